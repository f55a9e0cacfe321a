"""Stages that make rasters (mosaics, label, distance, stacks) and check the quality of tiles."""
