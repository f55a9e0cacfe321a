"""Stages that measure what an evaluation on a dataset has to know."""
