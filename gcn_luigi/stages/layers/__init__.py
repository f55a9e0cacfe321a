"""Stages that make rasters: mosaics, label, distance, stacks; and the quality of tiles."""
