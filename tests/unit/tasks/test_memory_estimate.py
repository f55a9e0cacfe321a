"""The estimate for a shard: what it depends on, and what it says to lower."""

import pytest

from gcn_luigi.config import load_region
from gcn_luigi.tasks.shards import shard_bytes, shard_memory_advice
from tests.integration.builds import small_config


@pytest.fixture
def settings_of(tmp_path):
    """Return a function that gives settings with texts of the TOML file replaced."""

    def settings(*replacements):
        return load_region(small_config(tmp_path / "config", "made", *replacements) / "made.toml").settings

    return settings


def test_it_grows_with_threads_partitions_chips_and_bands(settings_of):
    usual = settings_of()
    large_chips = settings_of(("size = 64\nstep = 32", "size = 128\nstep = 32"))
    fewer_bands = settings_of(("enabled = true", "enabled = false"))
    amounts = [shard_bytes(usual, threads) for threads in (1, 2, 4, 8)]

    assert amounts == sorted(set(amounts))
    assert shard_bytes(usual, 1, 256) > shard_bytes(usual, 1, 128)
    assert shard_bytes(large_chips, 1) > shard_bytes(usual, 1) > shard_bytes(fewer_bands, 1)


def test_partitions_stored_whole_are_pieces_of_their_own_size(settings_of):
    windows = settings_of(("[shards]", '[shards]\nlayout = "windows"'))
    large = 2048

    assert shard_bytes(windows, 4, large) > shard_bytes(settings_of(), 4, large)


def test_the_threads_that_fit_are_named(settings_of):
    settings = settings_of(("size = 128\n# Cells", "size = 1024\n# Cells"))
    room = shard_bytes(settings, 3)

    assert shard_memory_advice(settings, 8, room) == ["lower threads ([gcn] in luigi.cfg, now 8) to 3"]


def test_where_one_thread_is_too_many_the_edge_that_fits_is_named(settings_of):
    settings = settings_of(("size = 128\n# Cells", "size = 4096\n# Cells"))
    room = shard_bytes(settings, 1, 1024)

    assert shard_memory_advice(settings, 1, room) == ["lower [grid] size (now 4096) to 1024"]
    assert shard_memory_advice(settings, 2, room) == [
        "lower threads ([gcn] in luigi.cfg, now 2) to 1",
        "lower [grid] size (now 4096) to 1024",
    ]


def test_where_nothing_fits_no_edge_is_named(settings_of):
    assert shard_memory_advice(settings_of(), 1, 0) == []
