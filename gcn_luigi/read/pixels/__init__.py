"""Pixels of chips, decoded when wanted or kept in memory."""
