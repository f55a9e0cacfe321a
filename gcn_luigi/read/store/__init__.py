"""Where a reader takes pixels from: shards on disk, decoded rows in memory, and buffers that are used again."""
