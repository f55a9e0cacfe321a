"""Stages: plain functions that read files and write one result. A task calls each once."""

from collections.abc import Callable

# Progress callback: it takes a message and the completed fraction, 0 to 1.
Say = Callable[[str, float], None]
