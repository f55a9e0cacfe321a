"""Where a reader takes pixels from: files, here or in a store, decoded rows in memory, and buffers to use again."""
