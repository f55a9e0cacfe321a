"""Chips: where they are cut in a partition, which are kept, what is recorded about them."""
