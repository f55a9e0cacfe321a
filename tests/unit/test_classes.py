"""The table of classes."""

import pytest

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import ConfigError


def of(*rows):
    return ClassTable.of({"name": name, "value": value, **more} for name, value, more in rows)


def test_without_a_table_there_are_three_classes():
    assert ClassTable.of([]) is DEFAULT_CLASSES
    assert DEFAULT_CLASSES.names == ("none", "debris", "ice")
    assert (DEFAULT_CLASSES.values, DEFAULT_CLASSES.glacier) == ((0, 1, 2), ("debris", "ice"))
    assert of(("ice", 2, {}), ("debris", 1, {}), ("none", 0, {})).is_default


def test_classes_are_in_the_order_of_their_values_and_the_largest_is_254():
    table = of(("pond", 254, {}), ("none", 0, {}), ("ice", 7, {}))

    assert (table.names, table.values) == (("none", "ice", "pond"), (0, 7, 254))
    assert table.value_of == {"none": 0, "ice": 7, "pond": 254, "ignore": 255}
    assert table.value_array.tolist() == [0, 7, 254]
    assert (table.known.sum(), table.is_glacier.nonzero()[0].tolist()) == (3, [7])


def test_thirty_two_classes_get_colours_of_the_right_form():
    table = of(*((f"c{value}", value, {}) for value in range(32)))

    assert len(table) == 32
    assert all(len(each.colour) == 7 for each in table)
    assert len({each.colour for each in table}) == 32


@pytest.mark.parametrize(
    ("rows", "balanced"),
    [
        ([("none", 0, {}), ("debris", 1, {}), ("ice", 2, {})], ("debris",)),
        ([("none", 0, {}), ("debris", 1, {}), ("ice", 2, {}), ("lake", 3, {})], ("debris", "lake")),
        ([("rock", 0, {}), ("glacier", 1, {"glacier": True}), ("ice", 2, {})], ("ice",)),
        ([("rock", 0, {}), ("lake", 1, {}), ("snow", 2, {})], ("lake", "snow")),
        ([("none", 0, {}), ("ice", 1, {})], ()),
    ],
)
def test_shares_that_follow_from_the_others_are_not_balanced(rows, balanced):
    assert of(*rows).balanced() == balanced


def test_only_facts_that_differ_from_the_default_are_unusual():
    painted = of(("none", 0, {}), ("debris", 1, {}), ("ice", 2, {"colour": "#000001"}))

    assert painted.unusual("name", "value", "glacier") == {}
    assert painted.unusual("colour")["classes"][2] == {"colour": "#000001"}
    assert not painted.is_default


def test_every_problem_of_a_table_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        of(("ice", 300, {}), ("ice", 255, {}), ("missing", 1, {"colour": "red"}))

    for told in ("the name ice", "value 300", "value 255, which means", "missing means", "'red'"):
        assert told in caught.value.what
