"""Folds: what each holds out, leaves out and trains on."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.split.folds import HELD_OUT, LEFT_OUT, TRAIN, FoldRequest, assign_folds, audit_folds, fold_table
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.prepare.split.units import refuse_empty_regions, refuse_unknown_regions, regions_of, unit_ids
from gcn_luigi.settings import SplitSettings
from tests.reference.catalog import PIXEL_M, join, make_catalog, square

NOTHING = join({})
EDGE_M = 256 * PIXEL_M


def in_a_row(count, **more):
    return make_catalog(square(1, count), split=["train"] * count, **more)


def roles(table, fold):
    return table[table["fold"] == fold].sort_values("partition")["role"].tolist()


def test_a_row_of_cells_is_held_out_cell_by_cell_with_its_neighbours_left_out():
    table = fold_table(in_a_row(5), np.array([0, 0, 1, 1, 1]), FoldRequest(2, buffer_px=256))

    assert roles(table, 0) == [HELD_OUT, HELD_OUT, LEFT_OUT, TRAIN, TRAIN]
    assert roles(table, 1) == [TRAIN, LEFT_OUT, HELD_OUT, HELD_OUT, HELD_OUT]


def test_every_fold_holds_out_about_its_part_with_the_same_cover():
    rng = np.random.default_rng(5)
    glacier = rng.beta(0.5, 0.8, 1600)
    catalog = make_catalog(square(40, 40), glacier=glacier, debris=glacier * 0.2, split=["train", "dev"] * 800)

    plan = assign_folds(catalog, NOTHING, FoldRequest(5, buffer_px=256))

    measured = audit_folds(catalog, NOTHING, plan.table)
    assert plan.notes == []
    for fold in measured:
        assert fold["n_held_out"] == pytest.approx(320, rel=0.05)
        assert fold["n_held_out"] + fold["n_train"] + fold["n_left_out"] == 1600
        assert fold["glacier_share_mean"] == pytest.approx(glacier.mean(), rel=0.1)
        assert fold["least_distance_px"] == 256.0
        assert fold["least_distance_m"] == EDGE_M
        assert fold["shared_pixels"] == 0


def test_test_is_in_no_fold():
    catalog = make_catalog(square(1, 12), split=["train"] * 8 + ["test"] * 4)

    plan = assign_folds(catalog, NOTHING, FoldRequest(2, buffer_px=0, block=1))

    assert (plan.fold[8:] == -1).all()
    assert sorted(set(plan.fold[:8])) == [0, 1]
    assert not set(plan.table["partition"]) & set(catalog["partition"][8:])


def test_a_small_region_gets_smaller_blocks_and_says_so():
    plan = assign_folds(in_a_row(12), NOTHING, FoldRequest(4, buffer_px=256, block=4))

    (note,) = plan.notes
    assert note.startswith("the region is too small for 4 folds of blocks of 4: ")
    assert [fold["n_train"] > 0 for fold in audit_folds(in_a_row(12), NOTHING, plan.table)] == [True] * 4


@pytest.mark.parametrize(
    ("cells", "count", "buffer", "told"),
    [
        (3, 5, 0, "3 train and dev partitions form only 3 units"),
        (4, 2, 1024, "4 train and dev partitions are too few for 2 folds: a buffer of 1024 pixels"),
    ],
)
def test_folds_that_cannot_be_separated_are_refused_with_numbers(cells, count, buffer, told):
    with pytest.raises(ConfigError) as refused:
        assign_folds(in_a_row(cells), NOTHING, FoldRequest(count, buffer_px=buffer, block=1))

    assert told in refused.value.what
    assert "folds" in refused.value.fix


def test_a_glacier_is_held_out_whole():
    joined = join({"a": ["p0000", "p0001", "p0002"], "b": ["p0003", "p0004"], "c": ["p0005", "p0006", "p0007"]})

    plan = assign_folds(in_a_row(8), joined, FoldRequest(3, buffer_px=0, unit="glacier", by_glacier=False))

    assert [len(set(plan.fold[part])) for part in (slice(0, 3), slice(3, 5), slice(5, 8))] == [1, 1, 1]
    assert sorted({int(plan.fold[0]), int(plan.fold[3]), int(plan.fold[5])}) == [0, 1, 2]


def test_the_unit_of_a_cell_is_its_largest_glacier_and_of_a_bare_cell_its_block():
    joined = pd.DataFrame(
        {"cell": ["p0000", "p0000", "p0001", "p0001"], "outline": ["b", "a", "b", "a"], "area_m2": [2.0, 1.0, 3.0, 3.0]}
    )

    units = unit_ids(in_a_row(3), joined, "glacier", 1)

    assert units[:2].tolist() == ["b", "a"]
    assert units[2] == unit_ids(in_a_row(3), joined, "blocks", 1)[2]


def areas(*boxes):
    """Return polygons given as name, first and last cell of the row."""
    shapes = [box(first * EDGE_M, -EDGE_M, last * EDGE_M, 0) for _, first, last in boxes]
    names = [name for name, *_ in boxes]
    return gpd.GeoDataFrame({"row": range(len(names)), "value": names}, geometry=shapes, crs="EPSG:3338")


def test_a_cell_belongs_to_the_region_that_covers_most_of_it():
    found, notes = regions_of(in_a_row(5), areas(("West", 0, 1.4), ("East", 1.4, 3), ("East", 3, 4)), "ranges.gpkg")

    assert found.tolist() == ["West", "East", "East", "East", ""]
    assert notes == [
        "partitions that lie on several regions: 1; each belongs to the one that covers most of it",
        "partitions that lie in no region: 1; each block of them is a unit of its own",
    ]


@pytest.mark.parametrize(
    ("boxes", "told"),
    [
        ([("West", 0, 2), (" ", 2, 4)], "1 of 2 polygons have no region name: row 1"),
        ([("West", 0, 2), ("East", 1, 4)], "regions overlap: East and West"),
    ],
)
def test_regions_without_a_name_or_upon_each_other_are_refused(boxes, told):
    with pytest.raises(InputError, match=told):
        regions_of(in_a_row(4), areas(*boxes), "ranges.gpkg")


def test_an_unknown_test_region_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="names North, which no polygon has") as refused:
        refuse_unknown_regions(("West", "North"), areas(("West", 0, 2), ("East", 2, 4)), "ranges.gpkg")

    assert refused.value.fix == "name some of: East, West"


def test_a_name_is_the_same_however_its_characters_are_composed_and_with_blanks_around_it():
    composed, apart = "\u00d6tztal", "O\u0308tztal"
    asked = SplitSettings(regions="r.gpkg", region_column="name", test_regions=(f" {apart} ",))

    found, _ = regions_of(in_a_row(4), areas((composed, 0, 1), (apart, 1, 2), ("East", 2, 4)), "ranges.gpkg")

    assert asked.test_regions == (composed,)
    assert found.tolist() == [composed, composed, "East", "East"]
    refuse_unknown_regions(asked.test_regions, areas((apart, 0, 2)), "ranges.gpkg")


def test_a_file_of_regions_that_no_used_partition_touches_is_refused():
    catalog = in_a_row(4)
    catalog["used"] = [True, True, False, False]

    with pytest.raises(InputError, match="none of the 2 partitions that can be used lies in a region"):
        regions_of(catalog, areas(("East", 2, 4)), "ranges.gpkg")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("East", "North"), "no partition that can be used belongs to North"),
        (("West", "East"), "test_regions take all 3 partitions that can be used"),
    ],
)
def test_test_regions_that_leave_a_split_without_partitions_are_named(asked, told):
    catalog = in_a_row(4)
    catalog["used"] = [True, True, True, False]
    shapes = areas(("West", 0, 1), ("East", 1, 3), ("North", 3, 4))
    found, _ = regions_of(catalog, shapes, "ranges.gpkg")

    with pytest.raises(ConfigError, match=told):
        refuse_empty_regions(asked, found, catalog, "ranges.gpkg")


def test_a_single_region_is_too_few_for_two_splits_and_the_note_says_so():
    catalog = in_a_row(4)
    found, _ = regions_of(catalog, areas(("West", 0, 4)), "ranges.gpkg")

    _, notes = assign_split(catalog, NOTHING, SplitSettings(regions="r.gpkg", region_column="name"), regions=found)

    assert notes[0] == "1 unit (regions go whole into one split) is too few for two splits"


def test_named_regions_are_the_test_split_and_each_region_is_whole():
    names = [f"R{i}" for i in range(10)]
    catalog = make_catalog(square(2, 40))
    shapes = areas(*((name, 4 * i, 4 * i + 4) for i, name in enumerate(names)))
    shapes["geometry"] = shapes.scale(yfact=2.0, origin=(0, 0))
    found, _ = regions_of(catalog, shapes, "ranges.gpkg")
    asked = SplitSettings(regions="r.gpkg", region_column="name", test_regions=("R3", "R7"))

    result, notes = assign_split(catalog, NOTHING, asked, splits=("train", "dev", "test"), regions=found)

    in_use = result[result["used"]]
    assert set(in_use.loc[in_use["split"] == "test", "block"]) == {"R3", "R7"}
    assert (in_use["split"] == "test").sum() == 16
    assert len(in_use[["block", "split"]].drop_duplicates()) == in_use["block"].nunique()
    assert set(in_use["split"]) == {"train", "dev", "test"}
    assert notes == []


def test_a_grid_with_three_splits_is_taken_as_it_is_and_dev_gives_way_to_test():
    windows = [(0, 0, 10, 10), (0, 20, 10, 10), (0, 25, 10, 10), (0, 40, 10, 10), (0, 45, 10, 10), (0, 60, 10, 10)]
    words = ["train", "train", "val", "val", "Test", "train"]

    result, notes = assign_split(
        make_catalog(windows, split=words), NOTHING, SplitSettings(method="column"), splits=("train", "dev", "test")
    )

    assert result["split"].tolist() == ["train", "", "dev", "", "test", "train"]
    assert result["reason"].tolist() == ["", "overlaps dev", "", "overlaps test", "", ""]
    assert notes == [
        "split.method = column: the grid's own split is kept, no buffer is made",
        "split.method = column: the grid's val is dev here",
        "split.method = column: the grid's Test is test here",
    ]


def test_a_grid_without_the_test_split_that_was_asked_for_is_refused():
    catalog = make_catalog(square(1, 3), split=["train", "val", "train"])

    with pytest.raises(InputError, match="names no cell test"):
        assign_split(catalog, NOTHING, SplitSettings(method="column"), splits=("train", "dev", "test"))


def test_as_many_folds_as_regions_hold_out_one_region_each():
    catalog = in_a_row(12)
    # A column of a grid, such as one with the number of a fold, is used in the same way.
    names = ["a"] * 3 + ["b"] * 5 + ["c"] * 4
    regions = pd.Series(names, index=catalog["partition"].to_numpy(object))
    joined = join({"wide": ["p0002", "p0003"]})

    plan = assign_folds(catalog, joined, FoldRequest(3, buffer_px=256, unit="regions", by_glacier=False), regions)

    assert len(set(zip(names, plan.fold.tolist(), strict=True))) == 3
    assert sorted(set(plan.fold.tolist())) == [0, 1, 2]
