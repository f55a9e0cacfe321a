"""Stages that close a dataset: summary, data card, styles, manifest; and its conversion."""
