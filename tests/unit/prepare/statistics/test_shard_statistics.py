"""What a shard counts equals what its chips show, pixel by pixel."""

import numpy as np
import pytest

from gcn_luigi.bands import CLASS_NAMES, LABEL_IGNORE, Band, BandSchema, Role
from gcn_luigi.classes import DEFAULT_CLASSES
from gcn_luigi.prepare.chips.selection import ChipCounts, ChipSelection, RejectionReason, reasons_of
from gcn_luigi.prepare.missing.fill import Corrected, Flag
from gcn_luigi.prepare.statistics.histograms import ShardStatistics

SCHEMA = BandSchema(
    (
        Band("red", Role.OPTICAL),
        Band("dem", Role.TOPO, nodata=-9999),
        Band("label", Role.LABEL, nodata=LABEL_IGNORE),
        Band("distance", Role.DISTANCE),
    )
)
BITS = (Flag.OPTICAL, Flag.TOPO, Flag.DISTANCE)
SIZE = 4


def make_corrected(seed, shape=(9, 10)):
    rng = np.random.default_rng(seed)
    return Corrected(
        image=rng.choice(np.array([-32768, -1, 0, 7, 32767], np.int16), (3, *shape)),
        label=rng.choice(np.array([0, 1, 2, 255], np.uint8), shape),
        flags=rng.integers(0, 32, shape).astype(np.uint8),
        out_of_range=np.array([seed, 2 * seed, 0]),
    )


def make_selection(kept, *rejected, step=2):
    """Return chips of which the first are kept; the others start where no chip that is counted may."""
    kept = np.array(kept, np.int64).reshape(-1, 2)
    origins = np.concatenate([kept, np.full((len(rejected), 2), 3)])
    reasons = np.array([RejectionReason.KEPT] * len(kept) + list(rejected), dtype=object)
    return ChipSelection(origins, ChipCounts.empty(), reasons, step)


def shown(corrected, origins):
    """Yield band values and classes of every chip's valid pixels, chip by chip: the plainest count there is."""
    for row, col in origins:
        for y in range(row, min(row + SIZE, corrected.label.shape[0])):
            for x in range(col, min(col + SIZE, corrected.label.shape[1])):
                yield y, x


def counted(corrected, pixels):
    histogram, classes = np.zeros((3, 65536), np.int64), np.zeros(3, np.int64)
    for y, x in pixels:
        for band, bit in enumerate(BITS):
            if not corrected.flags[y, x] & bit:
                histogram[band, int(corrected.image[band, y, x]) + 32768] += 1
        if corrected.label[y, x] < 3:
            classes[corrected.label[y, x]] += 1
    return histogram, classes


@pytest.mark.parametrize(
    "origins",
    [[], [(0, 0)], [(0, 0), (0, 2), (2, 0), (2, 2)], [(0, 0), (5, 6)], [(0, 0), (0, 0)], [(7, 8)]],
    ids=["none", "one", "overlapping", "apart", "twice", "over the edge"],
)
def test_pixels_are_counted_once_and_once_for_each_chip_that_shows_them(origins):
    statistics, corrected = ShardStatistics(SCHEMA), make_corrected(1)

    statistics.add(corrected, make_selection(origins, RejectionReason.TOO_LITTLE_ICE), SIZE)

    seen, table = list(shown(corrected, origins)), statistics.tables(["p1"], [2000])["statistics"]
    for pixels, prefix in ((set(seen), ""), (seen, "chip_")):
        expected_histogram, expected_classes = counted(corrected, pixels)
        np.testing.assert_array_equal(table[f"{prefix}histogram"], expected_histogram)
        np.testing.assert_array_equal(table[f"{prefix}class_pixels"], expected_classes)


def test_partitions_add_up_in_any_order():
    parts = [(make_corrected(seed), make_selection([[0, 0], [seed, 2]]), SIZE) for seed in (1, 2, 3)]
    forth, back = ShardStatistics(SCHEMA), ShardStatistics(SCHEMA)
    for part in parts:
        forth.add(*part)
    for part in reversed(parts):
        back.add(*part)

    table = back.tables([], [])["statistics"]
    for name, values in forth.tables([], [])["statistics"].items():
        np.testing.assert_array_equal(values, table[name])
    assert forth.n_kept == back.n_kept == 6


def test_kept_and_rejected_chips_are_told_apart():
    statistics = ShardStatistics(SCHEMA)
    assert (statistics.n_kept, statistics.n_rejected) == (0, 0)

    statistics.add(make_corrected(1), make_selection([(0, 0)], *[RejectionReason.TOO_LITTLE_ICE] * 3), SIZE)
    statistics.add(make_corrected(2), make_selection([], RejectionReason.LABEL_MISSING), SIZE)

    assert (statistics.n_kept, statistics.n_rejected) == (1, 4)


def test_tables_hold_one_row_a_partition():
    counted_here = ShardStatistics(SCHEMA)
    counted_here.add(make_corrected(1), make_selection([(0, 0)], RejectionReason.TOO_LITTLE_ICE), SIZE)
    counted_here.add(make_corrected(2), make_selection([], RejectionReason.LABEL_MISSING, step=1), SIZE)

    tables = counted_here.tables(["p1", "p2"], [2000, 2004])

    partitions = tables["partitions"]
    assert partitions["name"].astype(str).tolist() == ["p1", "p2"]
    assert partitions["year"].tolist() == [2000, 2004]
    assert partitions["step"].tolist() == [2, 1]
    assert partitions["out_of_range"].tolist() == [[1, 2, 0], [2, 4, 0]]
    reasons = [reason.decode() for reason in partitions["reasons"]]
    assert reasons == list(reasons_of(DEFAULT_CLASSES))
    for row, expected in enumerate([{"kept": 1, "too-little-ice": 1}, {"label-missing": 1}]):
        assert {k: n for k, n in zip(reasons, partitions["verdicts"][row].tolist(), strict=True) if n} == expected
    statistics = tables["statistics"]
    assert statistics["histogram"].shape == statistics["chip_histogram"].shape == (3, 65536)
    assert statistics["class_pixels"].shape == statistics["chip_class_pixels"].shape == (len(CLASS_NAMES),)


def test_tables_of_nothing_have_the_same_names_types_and_axes():
    some, none = ShardStatistics(SCHEMA), ShardStatistics(SCHEMA)
    some.add(make_corrected(1), make_selection([(0, 0)]), SIZE)

    tables, empty = some.tables(["p1"], [2000]), none.tables([], [])

    for group, table in tables.items():
        assert list(empty[group]) == list(table)
        for name, values in table.items():
            assert empty[group][name].dtype == values.dtype, name
            assert empty[group][name].shape[1:] == values.shape[1:], name
    assert len(empty["partitions"]["name"]) == 0
    assert not empty["statistics"]["histogram"].any()
