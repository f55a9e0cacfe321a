"""Chips: where a partition is cut, which chips are kept, and what is recorded about them."""
