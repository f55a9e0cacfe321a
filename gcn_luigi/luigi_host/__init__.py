"""What a Luigi process needs before it may run tasks: trusted settings, workers and their memory limit."""
