"""Bytes: one file format a module."""
