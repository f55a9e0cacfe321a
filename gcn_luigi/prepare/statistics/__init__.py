"""Statistics of bands: exact sums, histograms, distances between distributions."""
