"""HDF5 shards: their format, their codecs, a writer and a reader."""
