"""Chips that repeat others are found, all of them and no others, in every layout and codec."""

import itertools

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.errors import ShardError
from gcn_luigi.io.shard.equality import content_keys
from gcn_luigi.io.shard.format import PIXELS
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips.duplicates import count_repeats, footprint_keys
from gcn_luigi.prepare.chips.metadata import (
    Partition,
    chip_columns,
    empty_columns,
    empty_window_columns,
    window_columns,
)
from tests.reference.chips import chip_counts
from tests.reference.shards import LATTICE, TABLES, append, make_columns, make_header, make_pixels


def write_chips(path, pixels, codec):
    count = len(pixels["image"])
    with create_shard(path, make_header(), codec) as writer:
        for part in np.array_split(np.arange(count), 2):
            columns = {name: values[part] for name, values in make_columns(count).items()}
            append(writer, {name: values[part] for name, values in pixels.items()}, columns)
        writer.finish(empty_columns("alps", "train", LATTICE), TABLES)


def alike_by_loop(chips):
    """Return the pairs of equal chips, every one compared with every other."""
    pairs = itertools.combinations(range(len(chips)), 2)
    return {(i, j) for i, j in pairs if all(np.array_equal(chips[i][name], chips[j][name]) for name in PIXELS)}


def alike_by_key(keys):
    return {(i, j) for i, j in itertools.combinations(range(len(keys)), 2) if keys[i] == keys[j]}


@pytest.mark.parametrize("codec", ["deflate", "none", "zstd", "bitshuffle-lz4"])
def test_equal_chips_are_found_within_and_across_shards(tmp_path, codec):
    pixels = make_pixels(12)
    repeated = [(4, 1), (7, 1), (9, 8)]
    for row, of in repeated:
        for values in pixels.values():
            values[row] = values[of]
    # One band, one pixel of the label, one flag: no longer equal.
    for name in PIXELS:
        pixels[name][11] = pixels[name][10]
    pixels["flags"][11].flat[3] ^= 1
    first, second = ({name: values[part] for name, values in pixels.items()} for part in (slice(6), slice(6, 12)))
    write_chips(tmp_path / "a.h5", first, codec)
    write_chips(tmp_path / "b.h5", second, codec)
    places = [("a.h5", row) for row in range(6)] + [("b.h5", row) for row in range(6)]

    keys = content_keys(tmp_path, places)

    chips = [{name: values[row] for name, values in pixels.items()} for row in range(12)]
    assert alike_by_key(keys) == alike_by_loop(chips) == {(1, 4), (1, 7), (4, 7), (8, 9)}


@pytest.mark.parametrize("name", list(PIXELS))
@pytest.mark.parametrize("codec", ["deflate", "none"])
def test_one_changed_value_tells_chips_apart(tmp_path, codec, name):
    pixels = make_pixels(1)
    pixels = {key: np.concatenate([values] * 3) for key, values in pixels.items()}
    pixels[name][1].flat[0] ^= 1
    write_chips(tmp_path / "a.h5", pixels, codec)

    keys = content_keys(tmp_path, [("a.h5", 2), ("a.h5", 1), ("a.h5", 0)])

    assert alike_by_key(keys) == {(0, 2)}


@pytest.mark.parametrize("edge", ["clamp", "pad", "legacy"])
def test_chips_of_windows_are_compared_as_they_are_cut(tmp_path, edge):
    path, size, window = tmp_path / "a.h5", 16, Window(0, 0, 24, 40)
    # A pattern that repeats every 8 columns, with one pixel off; the second window is the first, moved by 8 columns.
    plane = np.tile(np.arange(24 * 8).reshape(24, 8), (1, 6)).astype(np.int16)
    plane[20, 4] = 999
    windows = [np.stack([plane[:, cut : cut + 40] + band for band in range(3)]) for cut in (0, 8)]
    columns_of_chips = (0, 8, 24) if edge == "clamp" else (0, 8, 24, 32)
    origins = np.array([(row, col) for row in (0, 8) for col in columns_of_chips], np.int64)
    n = len(origins)
    header = make_header(size=size, edge=edge, layout="windows", window=(24, 40))
    with create_shard(path, header, "deflate") as writer:
        for number, image in enumerate(windows):
            place = Partition(f"p{number}", "train", 2004, 1, window, LATTICE)
            counts = chip_counts(*(np.full(n, value, np.int64) for value in range(7)))
            columns = chip_columns("alps", place, origins, counts, size) | {"in_window": np.full(n, number, np.int32)}
            zeros = np.zeros((1, 24, 40), np.uint8)
            pixels = {"image": image[None], "label": zeros, "flags": zeros}
            append(writer, pixels, columns, window_columns(place))
        empty = empty_columns("alps", "train", LATTICE, in_windows=True)
        writer.finish(empty, TABLES, empty_window_columns(LATTICE))
    # Chips in turns from both windows: the order of the question is not that of the file.
    asked = [row + n * number for row in range(n) for number in (0, 1)]
    with open_shard(path) as shard:
        chips = [{name: shard.pixels(name, row) for name in PIXELS} for row in asked]

    keys = content_keys(tmp_path, [("a.h5", row) for row in asked])

    assert alike_by_key(keys) == alike_by_loop(chips)
    assert 4 < len(alike_by_loop(chips)) < len(asked) * (len(asked) - 1) // 2


def test_a_lost_or_foreign_shard_is_named(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no shard")

    with pytest.raises(ShardError, match=r"a\.h5"):
        content_keys(tmp_path, [("a.h5", 0), ("a.h5", 1)])


def test_nothing_is_read_where_there_is_nothing_to_compare(tmp_path):
    assert content_keys(tmp_path, []) == []
    assert content_keys(tmp_path, [("not there.h5", 0)]) == [b""]


def counted_by_loop(keys, splits):
    """Return sets, spare chips of each split, and leaked chips, counted chip by chip."""
    n = range(len(keys))
    firsts = {keys[i] for i in n if keys.count(keys[i]) > 1}
    spare = {
        split: sum(any(keys[j] == keys[i] and splits[j] == split for j in range(i)) for i in n if splits[i] == split)
        for split in ("train", "dev", "test")
    }
    before = {"train": (), "dev": ("train",), "test": ("train", "dev")}
    leaked = sum(any(keys[j] == keys[i] and splits[j] in before[splits[i]] for j in n) for i in n)
    return len(firsts), spare, leaked


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["train", "dev", "test"])), max_size=12), st.randoms())
def test_repeats_are_counted_as_a_plain_loop_counts_them_in_any_order(chips, random):
    keys, splits = [key for key, _ in chips], [split for _, split in chips]
    ids = [f"chip{i}" for i in range(len(chips))]
    order = random.sample(range(len(chips)), len(chips))

    found = count_repeats(keys, splits, ids)

    assert (found.n_sets, dict(found.n_spare), found.n_leaked) == counted_by_loop(keys, splits)
    assert found.n_chips == len(chips)
    assert count_repeats([keys[i] for i in order], [splits[i] for i in order], [ids[i] for i in order]) == found


def test_sets_that_lie_in_both_splits_are_named_first():
    keys, splits = ["a", "a", "b", "b", "c"], ["train", "train", "train", "dev", "dev"]

    found = count_repeats(keys, splits, ["1", "2", "3", "4", "5"])

    assert found.examples == (("3", "4"), ("1", "2"))
    assert count_repeats(keys, splits, ["1", "2", "3", "4", "5"], n_examples=1).examples == (("3", "4"),)


def test_five_sets_are_named_if_nobody_asks_for_another_number():
    found = count_repeats([*range(7), *range(7)], ["train"] * 14, [f"chip{number:02d}" for number in range(14)])

    assert (found.n_sets, found.examples) == (7, tuple((f"chip{i:02d}", f"chip{i + 7:02d}") for i in range(5)))


def test_a_footprint_is_a_place_on_the_lattice_and_a_year():
    lattice = Lattice("EPSG:32606", left=100.1, top=900.3, pixel_size=0.1, height=100, width=100)
    chips = gpd.GeoDataFrame(
        {"left": [100.1 + 0.1 * 7, 100.8, 100.1, 100.8], "top": [900.3 - 0.1 * 3, 900.0, 900.3, 900.0],
         "year": np.array([2000, 2000, 2000, 2001], np.int16)}
    )  # fmt: skip

    assert footprint_keys(chips, lattice) == [(3, 7, 2000), (3, 7, 2000), (0, 0, 2000), (3, 7, 2001)]
