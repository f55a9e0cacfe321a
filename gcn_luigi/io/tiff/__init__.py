"""GeoTIFFs whose blocks are decoded here instead of by GDAL: what their tags say, one block, and windows of a file."""
