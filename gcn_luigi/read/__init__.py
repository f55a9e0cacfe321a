"""Read finished datasets."""
