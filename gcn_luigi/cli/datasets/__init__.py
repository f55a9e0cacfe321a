"""Commands that take a finished dataset: check it, measure it, export it, and show its pages."""
