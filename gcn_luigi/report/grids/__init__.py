"""The page that compares grid sizes."""
