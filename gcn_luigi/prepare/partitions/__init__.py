"""Partitions: the grid, the catalog, the year of each."""
