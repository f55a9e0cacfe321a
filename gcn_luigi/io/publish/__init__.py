"""Adding files to a dataset: paths, atomic writes, sidecars and the manifest."""
