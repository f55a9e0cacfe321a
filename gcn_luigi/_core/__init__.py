"""Compiled kernels; their sources are in `_ext/`."""
