"""How a file becomes part of a dataset: paths, atomic writes, sidecars and the manifest."""
