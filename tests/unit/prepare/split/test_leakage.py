"""What the chips of two splits share, against pixels counted one by one."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.split import leakage
from gcn_luigi.prepare.split.leakage import Leakage, PairLeakage, chip_windows, count_shared, measure_leakage
from tests.reference.leaks import leaks_by_hand

SPLITS = ("train", "dev", "test")
LATTICE = Lattice("EPSG:32607", left=500_000.0, top=6_800_000.0, pixel_size=20.0, height=60, width=80)


def make_catalog(*partitions):
    names = ("partition", "row", "col", "height", "width", "rgi_ids")
    return pd.DataFrame(partitions, columns=list(names))


def make_chips(lattice, *chips):
    """Return an index of chips given as id, split, partition, row, col (on the lattice) and size."""
    rows = []
    for name, split, partition, row, col, size in chips:
        left, bottom, right, top = lattice.crop(Window(row, col, size, size)).bounds
        rows.append((name, split, partition, left, bottom, right, top))
    edges = ["left", "bottom", "right", "top"]
    table = pd.DataFrame(rows, columns=["chip_id", "split", "partition", *edges]).astype(dict.fromkeys(edges, float))
    boxes = shapely.box(table["left"], table["bottom"], table["right"], table["top"])
    return gpd.GeoDataFrame(table, geometry=boxes, crs=lattice.crs)


TWO = make_catalog(("a", 0, 0, 32, 32, "G1;G2"), ("b", 0, 48, 32, 32, "G2;G3"), ("c", 40, 0, 32, 32, "G2;G3"))


def test_chips_that_lie_apart_share_nothing_and_know_their_distance():
    chips = make_chips(
        LATTICE, ("t", "train", "a", 0, 0, 16), ("u", "train", "a", 16, 16, 16), ("d", "dev", "b", 8, 52, 16)
    )

    measured = measure_leakage(chips, TWO, LATTICE)

    pair = PairLeakage(("train", "dev"), 0, ("G2",), 20 * 20.0, ("u", "d"))
    assert measured == Leakage((pair,), {"train": 2, "dev": 1})


def test_whole_distances_are_whole_numbers_of_pixels():
    # Measured with the corners as floating-point numbers, these chips would be 29.000000000000004 px apart.
    chips = make_chips(LATTICE, ("t", "train", "a", 0, 0, 7), ("d", "dev", "b", 1, 36, 7))
    catalog = make_catalog(("a", 0, 0, 7, 7, ""), ("b", 1, 36, 7, 7, ""))

    assert measure_leakage(chips, catalog, LATTICE).least_distance_m == 29 * 20.0


def test_a_pixel_that_many_chips_show_is_shared_once():
    catalog = make_catalog(("a", 0, 0, 32, 32, ""), ("b", 8, 8, 32, 32, ""))
    chips = make_chips(
        LATTICE,
        ("t", "train", "a", 0, 0, 16),
        ("u", "train", "a", 4, 4, 16),
        ("d", "dev", "b", 8, 8, 16),
        ("e", "dev", "b", 12, 12, 16),
    )

    measured = measure_leakage(chips, catalog, LATTICE)

    # t and d share 8 x 8, u and d 12 x 12 around it; e adds nothing to either.
    assert (measured.shared_pixels, measured.least_distance_m) == (12 * 12, 0.0)
    assert measured.shared_glaciers == ()


def test_chips_that_touch_share_no_pixel_and_are_no_distance_apart():
    chips = make_chips(LATTICE, ("t", "train", "a", 0, 0, 16), ("d", "dev", "b", 0, 16, 16))
    catalog = make_catalog(("a", 0, 0, 16, 16, ""), ("b", 0, 16, 16, 16, ""))

    measured = measure_leakage(chips, catalog, LATTICE)

    assert (measured.shared_pixels, measured.least_distance_m) == (0, 0.0)


def test_padding_beyond_the_partition_or_the_lattice_is_not_shown():
    catalog = make_catalog(("a", 0, 0, 20, 20, ""), ("b", 0, 24, 20, 90, ""), ("c", 50, 20, 16, 16, ""))
    chips = make_chips(
        LATTICE,
        ("t", "train", "a", 8, 8, 16),
        ("d", "dev", "b", 8, 72, 16),
        ("e", "dev", "c", 50, 20, 16),
    )

    windows = chip_windows(chips, catalog, LATTICE)

    assert windows.tolist() == [[8, 8, 20, 20], [8, 72, 20, 80], [50, 20, 60, 36]]
    assert measure_leakage(chips, catalog, LATTICE).shared_pixels == 0


def test_glaciers_count_only_where_chips_were_cut():
    chips = make_chips(LATTICE, ("t", "train", "a", 0, 0, 16))

    measured = measure_leakage(chips, TWO, LATTICE)

    pair = PairLeakage(("train", "dev"), 0, (), None, None)
    assert measured == Leakage((pair,), {"train": 1, "dev": 0})


def test_no_chips_at_all_share_nothing():
    pair = PairLeakage(("train", "dev"), 0, (), None, None)
    assert measure_leakage(make_chips(LATTICE), TWO, LATTICE) == Leakage((pair,), {"train": 0, "dev": 0})


def test_a_chip_wholly_beyond_the_lattice_is_near_to_nothing():
    catalog = make_catalog(("a", 0, 0, 32, 32, ""), ("b", 60, 0, 32, 32, ""))
    chips = make_chips(LATTICE, ("t", "train", "a", 0, 0, 16), ("d", "dev", "b", 64, 0, 16))

    measured = measure_leakage(chips, catalog, LATTICE)

    assert (measured.least_distance_m, measured.counts["dev"]) == (None, 1)


def test_of_many_pairs_equally_near_the_first_by_id_is_named():
    catalog = make_catalog(("a", 0, 0, 60, 80, ""))
    places = [
        (name, split, "a", row, col, 8)
        for name, split, row, col in (
            ("t2", "train", 0, 0),
            ("t1", "train", 20, 0),
            ("d2", "dev", 0, 12),
            ("d1", "dev", 20, 12),
            ("d0", "dev", 20, 12),
        )
    ]

    measured = measure_leakage(make_chips(LATTICE, *places), catalog, LATTICE)

    assert measured.nearest == ("t1", "d0")


def test_chips_off_the_lattice_are_refused():
    chips = make_chips(LATTICE, ("t", "train", "a", 0, 0, 16))
    chips["left"] += 3.0

    with pytest.raises(LatticeError, match="1 chips are not on pixel edges"):
        measure_leakage(chips, TWO, LATTICE)


def test_chips_of_another_dataset_are_refused():
    chips = make_chips(LATTICE, ("t", "train", "z", 0, 0, 16))

    with pytest.raises(InputError, match="1 partitions of chips are not in the catalog"):
        measure_leakage(chips, TWO, LATTICE)


@st.composite
def worlds(draw):
    """Draw a catalog and chips, some hanging over, in a region of 60 x 80 px."""
    partitions = draw(
        st.lists(
            st.tuples(st.integers(-5, 50), st.integers(-5, 70), st.integers(4, 30), st.integers(4, 30)),
            min_size=1,
            max_size=4,
        )
    )
    glaciers = draw(
        st.lists(st.sampled_from(["", "A", "B", "A;B", "C"]), min_size=len(partitions), max_size=len(partitions))
    )
    catalog = make_catalog(
        *((f"p{i}", *window, ids) for i, (window, ids) in enumerate(zip(partitions, glaciers, strict=True)))
    )
    size = draw(st.integers(1, 16))
    chip = st.tuples(
        st.sampled_from(SPLITS), st.integers(0, len(partitions) - 1), st.integers(-4, 30), st.integers(-4, 30)
    )
    chips = [
        (f"c{i:02d}", split, f"p{which}", partitions[which][0] + row, partitions[which][1] + col, size)
        for i, (split, which, row, col) in enumerate(draw(st.lists(chip, max_size=12)))
    ]
    return make_chips(LATTICE, *chips), catalog


@settings(deadline=None, max_examples=200)
@given(worlds(), st.sampled_from([7, 32, 2048]))
def test_everything_measured_is_what_counting_pixel_by_pixel_gives(world, block):
    chips, catalog = world

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leakage, "_BLOCK", block)
        measured = measure_leakage(chips, catalog, LATTICE, SPLITS)

    by_hand = [leaks_by_hand(chips, catalog, LATTICE, *pair) for pair in itertools.combinations(SPLITS, 2)]
    assert [vars(pair) for pair in measured.pairs] == by_hand
    assert measured.counts == {split: (chips["split"] == split).sum() for split in SPLITS}
    assert measured.shared_pixels == sum(pair["shared_pixels"] for pair in by_hand)
    distances = [pair["least_distance_m"] for pair in by_hand if pair["least_distance_m"] is not None]
    assert measured.least_distance_m == min(distances, default=None)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(8)
    catalog = make_catalog(("a", 0, 0, 60, 40, "A"), ("b", 0, 40, 60, 40, "A"))
    places = [(f"c{i}", ("train", "dev")[i % 2], "ab"[i % 2], *rng.integers(0, 40, 2).tolist(), 9) for i in range(40)]
    chips = make_chips(LATTICE, *places)

    assert measure_leakage(chips.sample(frac=1, random_state=2), catalog, LATTICE) == measure_leakage(
        chips, catalog, LATTICE
    )


def test_windows_of_two_squares_are_counted_in_both():
    windows = np.array([[2040, 2040, 2060, 2060]])

    assert count_shared(windows, windows + 4) == 16 * 16
