"""Glacier outlines: one row per glacier and date, as valid polygons in the lattice's CRS."""
