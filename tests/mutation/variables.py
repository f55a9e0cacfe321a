"""Environment variables that lead from the command to its plugins: each names a file."""

# Which lines each test runs; the recording plugin writes it.
RECORDING = "GCN_MUTATION_RECORDING"
# The names of the tests to run.
CHOSEN = "GCN_MUTATION_CHOSEN"
# The names of the tests that failed; the plugin that runs chosen tests writes it.
FAILED = "GCN_MUTATION_FAILED"
