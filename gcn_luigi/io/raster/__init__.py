"""Rasters: headers, windows, GeoTIFFs, VRTs and how a GIS shows them."""
