"""What makes a file stale is said in words."""

import json

import pytest

from gcn_luigi.tasks.graph import differences


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (
            {"settings": {"chips": {"step": 32}}},
            {"settings": {"chips": {"step": 16}}},
            "setting chips.step was 32, is now 16",
        ),
        (
            {"settings": {"bands": [{"name": "dem", "nodata": -9999}, {"name": "nbr", "nodata": 0}]}},
            {"settings": {"bands": [{"name": "dem", "nodata": -1}, {"name": "nbr", "nodata": 0}]}},
            "setting bands.dem.nodata was -9999, is now -1",
        ),
        (
            {"settings": {"bands": [{"name": "dem"}]}},
            {"settings": {"bands": [{"name": "slope"}]}},
            'setting bands.dem was {"name": "dem"}, is now not set; bands.slope was not set, is now {"name": "slope"}',
        ),
        ({"settings": {"a": None}}, {"settings": {"a": "x"}}, 'setting a was not set, is now "x"'),
        ({"sources": {"a.tif": [1, 2]}}, {"sources": {"a.tif": [1, 3]}}, "source a.tif was touched"),
        ({"sources": {"a.tif": [1, 2]}}, {"sources": {"a.tif": [5, 3]}}, "source a.tif changed (1 to 5 bytes)"),
        ({"sources": {"a.tif": [1, 2]}}, {"sources": {"a.tif": None}}, "source a.tif is gone"),
        ({"sources": {}}, {"sources": {"a.tif": [1, 2]}}, "source a.tif is new"),
        (
            {"sources": {"a.vrt": {"a.vrt": [1, 2], "b.tif": [3, 4]}}},
            {"sources": {"a.vrt": {"a.vrt": [1, 2], "b.tif": [5, 6]}}},
            "source b.tif changed (3 to 5 bytes)",
        ),
        (
            {"sources": {"a.tif": [1, 2]}},
            {"sources": {"a.tif": {"a.tif": [1, 2], "a.tif.aux.xml": [3, 4]}}},
            "source a.tif.aux.xml is new",
        ),
        (
            {"sources": {"o.shp": {"o.dbf": [1, 2], "o.shp": [3, 4]}}},
            {"sources": {"o.shp": [3, 4]}},
            "source o.dbf is gone",
        ),
        ({"inventory": {"lattice": "a"}}, {"inventory": {"lattice": "b"}}, "the inventory changed (lattice)"),
        (
            {"inventory": {"band:nbr": "a"}},
            {"inventory": {"band:nbr": "b"}},
            "the inventory lists other files of band nbr",
        ),
        ({"reads": {"label.tif": "a"}}, {"reads": {"label.tif": "b"}}, "label.tif was rebuilt with other content"),
        ({"reads": {}}, {"reads": {"label.tif": "b"}}, "label.tif is now also read"),
        ({"reads": {"label.tif": "a"}}, {"reads": {}}, "label.tif no longer exists"),
        ({"code_version": 1}, {"code_version": 2}, "the stage's code changed (version 1 to 2)"),
        (
            {"place": ".."},
            {"place": "../.."},
            "the sources have moved relative to the file, which names them by relative paths",
        ),
        (
            {"parameters": {"year": "2004"}},
            {"parameters": {"year": "2008"}},
            'parameters year was "2004", is now "2008"',
        ),
        ({"task": "gcn.A"}, {"task": "gcn.B"}, 'task was "gcn.A", is now "gcn.B"'),
    ],
    ids=lambda value: json.dumps(value)[:30],
)
def test_each_difference_is_one_sentence(before, now, said):
    assert list(differences(before, now)) == [said]


def test_what_is_equal_is_not_named():
    parts = {"settings": {"a": [1, 2]}, "sources": {"b": [1, 2]}, "code_version": 1}

    assert list(differences(parts, json.loads(json.dumps(parts)))) == []
