"""HDF5 shards: their format, codecs, writer and reader."""
