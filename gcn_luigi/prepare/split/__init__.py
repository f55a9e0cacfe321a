"""Train, dev, test and folds: how partitions are split, and what two splits share."""
