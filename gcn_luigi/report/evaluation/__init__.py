"""Sections of the quality page on evaluation: each module makes the HTML of one."""
