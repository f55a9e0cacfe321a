"""Stages that turn partitions into shards of chips."""
