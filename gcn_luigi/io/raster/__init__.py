"""Rasters: headers, windows, GeoTIFFs, VRTs, and styles for a GIS."""
