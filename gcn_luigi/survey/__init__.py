"""A first look at a directory of sources, and a proposal of a region's TOML file: what `gcn init` does."""
