"""Where a reader takes pixels from: files on disk or in a store, decoded rows in memory, and buffers that are used again."""
