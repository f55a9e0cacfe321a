"""Chips gathered from stored partitions: what is taken and what is refused."""

import numpy as np
import pytest

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.chips.chips import gather_chips

STORED = np.arange(3 * 2 * 4 * 5, dtype=np.int16).reshape(3, 2, 4, 5)


class TestGather:
    def test_extents_are_the_whole_partitions_when_not_given(self):
        out = np.empty((2, 2, 2, 3), np.int16)

        gather_chips(STORED, np.array([[2, 2, 2], [0, 3, 4]]), out, edge="pad", fill=-1)

        np.testing.assert_array_equal(out[0], STORED[2, :, 2:, 2:])
        assert out[1].tolist() == [[[19, -1, -1], [-1] * 3], [[39, -1, -1], [-1] * 3]]

    def test_a_chip_beyond_the_extent_is_refused_where_the_policy_says_so(self):
        out, extents = np.empty((1, 2, 2, 2), np.int16), np.array([[4, 5], [4, 4], [4, 5]])

        gather_chips(STORED, np.array([[0, 2, 3]]), out, edge="drop", extents=extents)
        with pytest.raises(InputError, match="extends beyond the edge"):
            gather_chips(STORED, np.array([[1, 2, 3]]), out, edge="drop", extents=extents)

    def test_a_read_only_map_is_gathered_from(self):
        stored = STORED.copy()
        stored.flags.writeable = False

        out = gather_chips(stored, np.array([[1, 0, 0]]), np.empty((1, 2, 4, 5), np.int16), edge="clamp")

        np.testing.assert_array_equal(out[0], STORED[1])

    @pytest.mark.parametrize(
        "changes",
        [
            {"windows": STORED[0, 0]},
            {"windows": STORED.astype(np.uint16)},
            {"windows": STORED[:, :, ::-1]},
            {"places": np.array([[3, 0, 0]])},
            {"places": np.array([[-1, 0, 0]])},
            {"places": np.array([[0, -1, 0]])},
            {"places": np.array([[0.0, 0, 0]])},
            {"places": np.array([[0, 0]])},
            {"out": np.empty((2, 2, 2, 2), np.int16)},
            {"out": np.empty((1, 3, 2, 2), np.int16)},
            {"out": np.empty((1, 2, 2, 2), np.int32)},
            {"extents": np.array([[4, 5], [4, 6], [4, 5]])},
            {"extents": np.array([[4, 5], [-1, 5], [4, 5]])},
            {"extents": np.array([[4, 5]])},
        ],
    )
    def test_what_does_not_belong_together_is_refused(self, changes):
        good = {"windows": STORED, "places": np.array([[0, 0, 0]]), "out": np.empty((1, 2, 2, 2), np.int16)}

        with pytest.raises(InputError):
            gather_chips(**(good | changes), edge="pad")

    def test_a_fill_that_does_not_fit_is_refused(self):
        with pytest.raises(ConfigError):
            gather_chips(STORED, np.array([[0, 0, 0]]), np.empty((1, 2, 2, 2), np.int16), edge="pad", fill=40000)
