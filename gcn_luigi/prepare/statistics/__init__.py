"""Statistics of bands: exact sums, histograms, and distances between distributions."""
