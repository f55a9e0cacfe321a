"""What the commands share: options, progress, Ctrl-C, Luigi's settings."""
