"""Running a build: start it, watch it, plan it, and clean up after it."""
