"""The inputs of a user: find tiles, match them to bands, and read outlines and grids."""
