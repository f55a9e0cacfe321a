"""Datasets and readers as a notebook shows them: a table, a chip, and a map."""
