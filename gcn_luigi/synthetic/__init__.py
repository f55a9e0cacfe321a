"""A small made-up Alaska for the demo and the tests."""
