"""Checks of a finished dataset: one module for files, one for shards. They never change a file."""
