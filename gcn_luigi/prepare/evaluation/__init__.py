"""What an evaluation has to know about a dataset: distances between places of training and of prediction."""
