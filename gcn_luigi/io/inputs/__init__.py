"""What people hand in: tiles, outlines and grids, found, matched to bands and read."""
