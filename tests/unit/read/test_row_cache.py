"""Decoded rows are kept as long as there is room; the one used longest ago goes first."""

import numpy as np

from gcn_luigi.read.store.rows import RowCache


def cache_of(n_slots):
    return RowCache({"image": (2, 3, 3)}, {"image": np.dtype("<i2")}, n_slots)


def put(cache, key):
    slot = cache.claim(key)
    cache.planes["image"][slot] = key[1]
    return slot


def test_a_row_is_found_where_it_was_put():
    cache = cache_of(3)
    slots = {number: put(cache, (0, number)) for number in range(3)}

    assert len(set(slots.values())) == 3
    for number, slot in slots.items():
        assert cache.slot((0, number)) == slot
        assert (cache.planes["image"][slot] == number).all()
    assert cache.slot((1, 0)) is None


def test_the_row_used_longest_ago_makes_room():
    cache = cache_of(2)
    put(cache, (0, 0))
    put(cache, (0, 1))
    cache.slot((0, 0))

    put(cache, (0, 2))

    assert cache.slot((0, 1)) is None
    assert {cache.slot((0, 0)), cache.slot((0, 2))} == {0, 1}
