"""Train and dev: how cells are split and what the two sides share."""
