"""Files that found one source in two states are told from those that did not."""

import pytest

from gcn_luigi.prepare.disagreements import Disagreement, disagreements, source_files

OLD, NEW = [1, 10], [1, 20]


def found(*recorded):
    return list(disagreements(recorded))


@pytest.mark.parametrize(
    "sources",
    [
        {},
        {"o.gpkg": OLD},
        {"o.gpkg": None},
        {"v.vrt": {"v.vrt": OLD, "x.tif": NEW}},
        {"tiles": {"tiles/1/a.tif": OLD, "tiles/2/a.tif": NEW}, "v.tif": OLD},
    ],
)
def test_equal_states_are_none(sources):
    assert found(("label.tif", sources), ("distance.tif", sources), ("index.parquet", {})) == []


def test_different_sources_are_no_different_states():
    assert found(("a", {"a.tif": OLD}), ("b", {"b.tif": NEW})) == []


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ({"o.gpkg": OLD}, {"o.gpkg": NEW}, ("o.gpkg",)),
        ({"o.gpkg": OLD}, {"o.gpkg": None}, ("o.gpkg",)),
        ({"o.gpkg": OLD}, {"o.gpkg": {"o.gpkg": OLD, "o.gpkg-wal": NEW}}, ("o.gpkg-wal",)),
        ({"o.shp": {"o.dbf": OLD, "o.shp": OLD}}, {"o.shp": {"o.dbf": NEW, "o.shp": OLD}}, ("o.dbf",)),
        ({"o.shp": {"o.dbf": OLD, "o.shp": OLD}}, {"o.shp": OLD}, ("o.dbf",)),
        # One and the same file, by way of a VRT, of a directory, and by itself.
        ({"v.vrt": {"v.vrt": OLD, "x.tif": OLD}}, {"x.tif": NEW}, ("x.tif",)),
        ({"tiles": {"tiles/1/a.tif": OLD}}, {"tiles/1/a.tif": NEW}, ("tiles/1/a.tif",)),
        ({"a.tif": OLD, "b.tif": OLD, "c.tif": OLD}, {"a.tif": NEW, "b.tif": OLD, "c.tif": NEW}, ("a.tif", "c.tif")),
    ],
)
def test_two_states_are_told_with_both_files_in_either_order(first, second, named):
    assert found(("one", first), ("two", second)) == [Disagreement("one", "two", named)]
    assert found(("two", second), ("one", first)) == [Disagreement("two", "one", named)]


def test_each_file_is_told_with_the_one_that_it_differs_from():
    recorded = [
        ("label.tif", {"votes.tif": OLD, "o.gpkg": OLD}),
        ("distance.tif", {"o.gpkg": NEW}),
        ("catalog.parquet", {"o.gpkg": OLD}),
        ("grid.gpkg", {"o.gpkg": NEW, "cells.gpkg": OLD}),
    ]

    assert found(*recorded) == [
        Disagreement("label.tif", "distance.tif", ("o.gpkg",)),
        Disagreement("label.tif", "grid.gpkg", ("o.gpkg",)),
    ]


def test_every_single_file_is_listed():
    assert source_files({"t": {"t/a": OLD, "t/b": NEW}, "v": None, "w": OLD}) == {
        "t/a": OLD, "t/b": NEW, "v": None, "w": OLD,
    }  # fmt: skip
