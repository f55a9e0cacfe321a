"""How many small faults, put into the code on purpose, the tests notice."""
