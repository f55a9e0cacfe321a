"""Running a build: start it, follow it, plan it, clean up after it."""
