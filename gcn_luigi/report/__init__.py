"""The quality page and the other pages of a dataset, each one self-contained HTML file."""
