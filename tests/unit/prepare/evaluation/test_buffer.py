"""Ranges beside the buffer of the split."""

import pytest

from gcn_luigi.prepare.evaluation.buffer import Buffer, compare_with_buffer


def layer(name, kind, range_m=None, longer_than_m=None):
    return {"name": name, "kind": kind, "range_m": range_m, "longer_than_m": longer_than_m}


LAYERS = [layer("ndsi", "optical", 9000.0), layer("dem", "topo", None, 30000.0), layer("ice", "label", 3300.0)]


def test_a_shorter_buffer_is_told_with_the_setting_that_covers_the_range():
    found = compare_with_buffer(LAYERS, Buffer(7680.0, 7680.0, "blocks"))

    assert found["longer"] == ["ndsi"]
    assert found["all"] == {"layer": "ndsi", "range_m": 9000.0, "buffer_partitions": 2}
    assert found["label"] == {"layer": "ice", "range_m": 3300.0, "buffer_partitions": 1}
    assert "[split] buffer_partitions = 2 covers every measured range" in found["hints"][1]
    assert "15,360 m" in found["hints"][1]


def test_the_label_gets_a_number_of_its_own_if_the_buffer_is_shorter_than_its_range():
    found = compare_with_buffer(LAYERS, Buffer(0.0, 2000.0, "blocks"))

    assert found["longer"] == ["ndsi", "ice"]
    assert "buffer_partitions = 2 covers the ranges of the label, up to 3,300 m (ice)" in found["hints"][1]
    assert "buffer_partitions = 5 covers every measured range, up to 9,000 m (ndsi)" in found["hints"][2]


def test_a_buffer_as_long_as_the_ranges_needs_no_setting():
    found = compare_with_buffer(LAYERS, Buffer(9000.0, 3000.0, "blocks"))

    assert found["longer"] == []
    assert found["hints"][0] == "The splits are 9,000 m apart, which is no less than any measured range."
    assert not any("buffer_partitions" in hint for hint in found["hints"])


def test_layers_without_a_plateau_are_named_and_give_no_number():
    found = compare_with_buffer(LAYERS[1:2], Buffer(7680.0, 7680.0, "blocks"))

    assert (found["all"], found["label"], found["no_plateau"]) == (None, None, ["dem"])
    assert len(found["hints"]) == 1
    assert "No range was found for dem" in found["hints"][0]


@pytest.mark.parametrize(("method", "is_told"), [("column", True), ("legacy", True), ("blocks", False)])
def test_a_method_without_a_buffer_is_told(method, is_told):
    hints = compare_with_buffer(LAYERS, Buffer(0.0, 7680.0, method))["hints"]

    assert any('[split] method = "blocks"' in hint for hint in hints) == is_told


def test_one_split_alone_has_no_distance_to_compare_with():
    found = compare_with_buffer(LAYERS, Buffer(None, 7680.0, "blocks"))

    assert found["longer"] == []
    assert found["hints"][0].startswith("Only one split has partitions")
