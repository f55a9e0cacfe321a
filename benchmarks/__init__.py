"""The benchmark: gcn_luigi and other ways to the same chips, side by side in one run. See docs/performance.md."""
