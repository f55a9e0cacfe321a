"""What can be wrong with a finished dataset, one kind of evidence a module; nothing here changes a file."""
