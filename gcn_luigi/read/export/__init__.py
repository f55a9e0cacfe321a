"""Chips and partitions as GeoTIFFs."""
