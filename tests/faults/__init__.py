"""Faults on purpose: whatever happens to a build, running it again must end in exactly the undisturbed dataset."""
