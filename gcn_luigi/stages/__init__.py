"""Stages: files in, one file out. Each is a plain function that a task calls once."""

from collections.abc import Callable

# Told a line and the share of work done, 0 to 1.
Say = Callable[[str, float], None]
