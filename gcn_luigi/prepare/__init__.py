"""Pure science: arrays, geometries and tables in, the same out. No files, no luigi."""
