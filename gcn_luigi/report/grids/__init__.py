"""The page that compares grid sizes: its data, figures and text."""
