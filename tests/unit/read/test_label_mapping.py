"""Classes joined for a model; a missing label stays missing."""

import numpy as np
import pytest

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.read.labels import map_label

LABEL = np.array([[0, 1], [2, 255]], np.uint8)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [("three", [[0, 1], [2, 255]]), ("binary", [[0, 1], [1, 255]]), ("debris", [[0, 1], [0, 255]])],
)
def test_classes_are_joined_and_a_missing_label_is_kept(mapping, expected):
    given = LABEL.copy()

    mapped = map_label(given, mapping)

    assert mapped.tolist() == expected
    assert mapped.dtype == np.uint8
    mapped[:] = 9
    np.testing.assert_array_equal(given, LABEL)


def test_many_chips_at_once_keep_their_shape():
    assert map_label(np.zeros((3, 4, 5), np.uint8), "binary").shape == (3, 4, 5)
    assert map_label(np.zeros((0, 4), np.uint8), "three").shape == (0, 4)


@pytest.mark.parametrize("value", [3, 128, 254])
def test_another_value_is_no_label_and_is_named(value):
    with pytest.raises(InputError, match=rf"holds {value}\n"):
        map_label(np.array([0, value, 255], np.uint8), "three")


@pytest.mark.parametrize("dtype", [np.int16, np.float32, bool])
def test_an_array_of_another_type_is_refused(dtype):
    with pytest.raises(InputError, match="uint8"):
        map_label(np.zeros((2, 2), dtype), "three")


def test_an_unknown_mapping_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="classes, three, binary, none, debris, ice"):
        map_label(LABEL, "snow")
