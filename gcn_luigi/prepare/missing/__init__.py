"""Missing pixels: found, flagged and filled."""
