"""Stages: files in, one file out. Each is a plain function that a task calls once."""
