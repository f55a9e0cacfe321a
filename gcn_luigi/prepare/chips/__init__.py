"""Chips: where they lie in a partition, which are kept, what is recorded about them."""
