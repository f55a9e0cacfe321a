"""Train and dev: how partitions are split, and what the two splits share."""
