"""Find, flag and fill missing pixels."""
