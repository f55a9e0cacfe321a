"""Each chip carries who it is, where it lies and what it holds."""

from dataclasses import fields

import numpy as np
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips.metadata import (
    Partition,
    chip_columns,
    empty_columns,
    empty_window_columns,
    window_columns,
)
from gcn_luigi.prepare.chips.selection import ChipCounts
from tests.reference.chips import chip_counts

LATTICE = Lattice("EPSG:32606", left=500_000.0, top=6_800_000.0, pixel_size=12.5, height=100, width=80)
ORIGINS = np.array([[0, 0], [0, 4], [12, 8]], np.int64)


def make_place(partition="r0001_c0002", row=16, col=32):
    return Partition(partition, "dev", 2004, 3, Window(row, col, 20, 20), LATTICE)


def make_counts(n=3):
    # Chips of 4 x 4 pixels; every kind has a number of its own.
    return chip_counts(*(np.arange(n, dtype=np.int64) + offset for offset in range(7)))


def test_ids_tell_region_split_partition_year_and_place():
    columns = chip_columns("alps", make_place(), ORIGINS, make_counts(), 4)

    assert columns["chip_id"].astype(str).tolist() == [
        "alps_dev_r0001_c0002_2004_r0000_c0000",
        "alps_dev_r0001_c0002_2004_r0000_c0004",
        "alps_dev_r0001_c0002_2004_r0012_c0008",
    ]
    assert columns["partition"].astype(str).tolist() == ["r0001_c0002"] * 3
    assert (columns["year"].tolist(), columns["year_gap"].tolist()) == ([2004] * 3, [3] * 3)
    assert (columns["row"].tolist(), columns["col"].tolist()) == ([0, 0, 12], [0, 4, 8])


def test_the_transform_is_that_of_each_chip():
    columns = chip_columns("alps", make_place(), ORIGINS, make_counts(), 4)

    expected = [LATTICE.crop(Window(16 + row, 32 + col, 4, 4)).transform for row, col in ORIGINS]
    assert columns["transform"].tolist() == [list(transform) for transform in expected]


def test_a_partition_beyond_the_lattice_has_its_place_too():
    columns = chip_columns("alps", make_place(row=-5, col=-6), ORIGINS[:1], make_counts(1), 4)

    assert columns["transform"][0].tolist() == [12.5, 0.0, 500_000.0 - 75.0, 0.0, -12.5, 6_800_000.0 + 62.5]


def test_shares_are_of_the_pixels_of_a_chip():
    counts = make_counts()

    columns = chip_columns("alps", make_place(), ORIGINS, counts, 4)

    taken = {
        "share_none": counts.classes[:, 0] / 16,
        "share_debris": counts.classes[:, 1] / 16,
        "share_ice": counts.classes[:, 2] / 16,
        "valid_label": 1 - counts.ignore / 16,
        "valid_optical": 1 - counts.optical_missing / 16,
        "valid_topo": 1 - counts.topo_missing / 16,
        "valid_share": 1 - counts.any_missing / 16,
    }
    for name, share in taken.items():
        np.testing.assert_array_equal(columns[name], share.astype(np.float32), err_msg=name)


def test_chosen_counts_keep_their_order_and_their_kind():
    chosen = make_counts().of(np.array([True, False, True]))

    for field in fields(ChipCounts):
        assert getattr(chosen, field.name).tolist() == getattr(make_counts(), field.name)[[0, 2]].tolist()


def test_no_chips_have_the_same_names_types_and_axes_as_any():
    some = chip_columns("alps", make_place(), ORIGINS, make_counts(), 4)
    none = empty_columns("alps", "dev", LATTICE)

    assert list(none) == list(some)
    for name, values in none.items():
        assert values.shape == (0, *some[name].shape[1:])
        assert values.dtype == some[name].dtype, name


def test_the_longest_names_are_kept_whole():
    place = make_place("p" * 64)

    columns = chip_columns("r" * 32, place, np.array([[10_000, 65_535]]), make_counts(1), 4)

    assert columns["chip_id"].astype(str).tolist() == [f"{'r' * 32}_dev_{'p' * 64}_2004_r10000_c65535"]
    assert columns["partition"].astype(str).tolist() == ["p" * 64]


@pytest.mark.parametrize("partition", ["p" * 65, "Großer Aletsch"])
def test_an_id_that_does_not_fit_is_refused_rather_than_cut(partition):
    with pytest.raises(InputError, match="does not fit") as caught:
        chip_columns("alps", make_place(partition), ORIGINS, make_counts(), 4)

    assert partition in caught.value.where


def test_without_windows_every_column_is_there_and_empty():
    empty, one = empty_window_columns(LATTICE), window_columns(make_place())
    assert {name: (len(values), values.dtype, values.shape[1:]) for name, values in empty.items()} == {
        name: (0, values.dtype, values.shape[1:]) for name, values in one.items()
    }
