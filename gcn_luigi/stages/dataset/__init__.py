"""Stages that complete a dataset (summary, data card, styles, manifest), and its conversion."""
