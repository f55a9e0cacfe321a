"""A shard in a store hands out what was asked for, once, and forgets what nobody fetched."""

import numpy as np
import pytest

from gcn_luigi.errors import StoreError
from gcn_luigi.io.objects.address import Address
from gcn_luigi.io.objects.store import ObjectStore
from gcn_luigi.io.shard.object import ObjectShard
from tests.stores import serving

pytest.importorskip("obstore")

CONTENT = np.random.default_rng(2).integers(0, 256, 60_000, np.uint8)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr("gcn_luigi.io.shard.object._END", 1000)
    (tmp_path / "a.h5").write_bytes(CONTENT.tobytes())
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def shard(server):
    store = ObjectStore(Address("http", server.url))
    made = ObjectShard(store, "a.h5", len(CONTENT))
    server.asked.clear()
    yield made
    made.close()
    store.close()


def ranges(*pairs):
    return tuple(np.array(pairs, np.int64).reshape(-1, 2).T)


def taken(shard, start, size):
    out = np.zeros(size, np.uint8)
    return out[: shard.read_into(out, start)]


def test_chunks_that_were_asked_for_come_from_one_request(shard, server):
    shard.will_need(*ranges((500, 100), (100, 50), (900, 10)))
    shard.will_need(*ranges((100, 50)))

    for start, size in ((900, 10), (100, 50), (500, 100)):
        np.testing.assert_array_equal(taken(shard, start, size), CONTENT[start : start + size])
    assert server.asked == [("a.h5", 100, 810)]
    assert shard._coming == {}


def test_what_was_handed_out_or_not_asked_for_is_read_on_its_own(shard, server):
    shard.will_need(*ranges((100, 50)))
    for _ in range(2):
        np.testing.assert_array_equal(taken(shard, 100, 50), CONTENT[100:150])
    np.testing.assert_array_equal(taken(shard, 20_000, 7), CONTENT[20_000:20_007])

    assert server.asked == [("a.h5", 100, 50), ("a.h5", 100, 50), ("a.h5", 20_000, 7)]


def test_bytes_beyond_the_end_are_none_and_those_at_the_end_are_kept(shard, server):
    np.testing.assert_array_equal(taken(shard, len(CONTENT) - 5, 20), CONTENT[-5:])
    assert len(taken(shard, len(CONTENT), 20)) == 0
    shard.will_need(*ranges((len(CONTENT) + 5, 10), (-1, 0)))

    assert server.asked == []


def test_what_failed_is_asked_for_again(shard, server):
    server.fault = "403"
    shard.will_need(*ranges((100, 50), (200, 50)))
    with pytest.raises(StoreError):
        taken(shard, 100, 50)
    server.fault = ""
    shard.will_need(*ranges((100, 50), (200, 50)))

    for start in (100, 200):
        np.testing.assert_array_equal(taken(shard, start, 50), CONTENT[start : start + 50])


def test_what_nobody_fetches_is_forgotten_the_oldest_first(shard, monkeypatch):
    monkeypatch.setattr("gcn_luigi.io.shard.object._MOST_AHEAD", 250)
    for start in (100, 200, 300):
        shard.will_need(*ranges((start, 100)))

    assert sorted(shard._coming) == [200, 300]
    np.testing.assert_array_equal(taken(shard, 100, 100), CONTENT[100:200])


def test_a_closed_shard_reads_again_when_it_is_asked(shard):
    shard.will_need(*ranges((100, 50)))
    shard.close()

    np.testing.assert_array_equal(taken(shard, 100, 50), CONTENT[100:150])
