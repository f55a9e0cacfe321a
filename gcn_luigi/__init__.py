"""Training chips for glacier-cover networks: one Luigi graph from STEM tiles to HDF5 shards."""

__version__ = "0.1.0"
