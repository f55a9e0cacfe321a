"""Reading and writing files: one format per module."""
