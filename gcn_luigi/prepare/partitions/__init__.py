"""Partitions: the grid, the catalog, and the year of each partition."""
