"""Small pages served while a build runs: catalog and shards."""
