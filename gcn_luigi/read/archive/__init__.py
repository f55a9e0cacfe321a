"""A finished dataset as an archive: what a reader needs, as a directory or a tar file, for people and repositories."""
