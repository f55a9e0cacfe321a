"""Sections of the quality page about evaluation; each module has one section."""
