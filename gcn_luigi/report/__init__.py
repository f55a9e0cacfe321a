"""The quality page: one self-contained HTML file."""
