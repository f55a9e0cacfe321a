"""Export chips and partitions as GeoTIFFs."""
