"""What a Luigi process needs before it may run tasks: checked settings, workers and their memory limit."""
