"""Glacier outlines: one row per glacier and date, in valid polygons on the lattice."""
