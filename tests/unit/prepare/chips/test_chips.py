"""Where chips lie, what they hold, and which are kept."""

import dataclasses

import numpy as np
import pytest

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.chips.chips import ChipLoad, chip_load, chip_offsets, chip_origins, coverage, cut_chips
from gcn_luigi.prepare.chips.selection import (
    ChipCounts,
    RejectionReason,
    count_chips,
    is_balanced,
    rejection_reasons,
    select_chips,
)
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.settings import ChipSettings
from tests.reference.chips import chip_counts

# Flags of a pixel beyond the planes.
BEYOND = Flag.OPTICAL | Flag.TOPO | Flag.LABEL | Flag.OUTSIDE
LENIENT = {"min_valid_label_share": 0.0, "min_valid_topo_share": 0.0}


class TestOffsets:
    @pytest.mark.parametrize("edge", ["legacy", "clamp", "drop", "pad"])
    @pytest.mark.parametrize(("step", "count"), [(8, 17), (16, 9), (32, 5), (4, 33), (128, 2)])
    def test_a_step_that_divides_gives_the_same_chips_under_every_policy(self, edge, step, count):
        offsets = chip_offsets(256, 128, step, edge)

        assert (len(offsets), offsets[0], offsets[-1]) == (count, 0, 128)
        assert set(np.diff(offsets)) == {step}

    @pytest.mark.parametrize(
        ("edge", "expected"),
        [
            ("legacy", (0, 48, 96, 144)),
            ("pad", (0, 48, 96, 144)),
            ("clamp", (0, 48, 96, 128)),
            ("drop", (0, 48, 96)),
        ],
    )
    def test_policies_differ_where_the_step_does_not_divide(self, edge, expected):
        assert chip_offsets(256, 128, 48, edge) == expected

    @pytest.mark.parametrize("edge", ["legacy", "clamp", "drop", "pad"])
    @pytest.mark.parametrize("step", [1, 7, 1000])
    def test_a_chip_as_large_as_the_extent_has_one_place(self, edge, step):
        assert chip_offsets(5, 5, step, edge) == (0,)

    def test_pad_never_starts_a_chip_beyond_the_edge(self):
        assert chip_offsets(10, 2, 5, "pad") == (0, 5)
        assert chip_offsets(10, 2, 5, "legacy") == (0, 5, 10)

    @pytest.mark.parametrize("edge", ["legacy", "clamp", "drop", "pad"])
    @pytest.mark.parametrize(("extent", "size", "step"), [(4, 5, 1), (4, 0, 1), (4, -1, 1), (4, 2, 0), (0, 1, 1)])
    def test_lengths_that_make_no_sense_are_refused(self, extent, size, step, edge):
        with pytest.raises(ConfigError, match="cannot cut chips"):
            chip_offsets(extent, size, step, edge)

    def test_origins_are_row_major(self):
        origins = chip_origins((4, 5), 2, 2, "drop")

        assert origins.dtype == np.int64
        assert origins.tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]


class TestCutting:
    STACK = np.arange(2 * 12 * 14, dtype=np.int16).reshape(2, 12, 14)

    def test_a_chip_shows_the_stack_at_its_origin(self):
        chips = cut_chips(self.STACK, chip_origins((12, 14), 8, 4, "clamp"), 8, edge="clamp")

        assert chips.shape == (6, 2, 8, 8)
        np.testing.assert_array_equal(chips[5], self.STACK[:, 4:12, 6:14])

    def test_legacy_stretches_what_is_inside(self):
        columns = np.broadcast_to(np.arange(14, dtype=np.int16), (1, 12, 14))
        rows = np.broadcast_to(np.arange(12, dtype=np.int16)[:, None], (1, 12, 14))
        origin = np.array([[8, 8]])

        assert cut_chips(columns, origin, 8, edge="legacy")[0, 0, 3].tolist() == [8, 8, 9, 10, 11, 11, 12, 13]
        assert cut_chips(rows, origin, 8, edge="legacy")[0, 0, :, 3].tolist() == [8, 8, 9, 9, 10, 10, 11, 11]

    @pytest.mark.parametrize("edge", ["legacy", "pad"])
    @pytest.mark.parametrize("origin", [(12, 0), (0, 14), (99, 99), (2**62, 2**62)])
    def test_a_chip_wholly_outside_is_the_fill(self, edge, origin):
        chips = cut_chips(self.STACK, np.array([origin]), 3, edge=edge, fill=-32768)

        assert (chips == -32768).all()

    def test_pad_fills_the_overhang_and_moves_nothing(self):
        chip = cut_chips(self.STACK, np.array([[10, 12]]), 4, edge="pad", fill=-1)[0, 1]

        assert chip[:2, :2].tolist() == self.STACK[1, 10:, 12:].tolist()
        assert chip.sum() == self.STACK[1, 10:, 12:].sum() - 12

    @pytest.mark.parametrize("edge", ["clamp", "drop"])
    def test_a_chip_over_the_edge_is_refused_where_none_may_be(self, edge):
        with pytest.raises(InputError, match="extends beyond the edge"):
            cut_chips(self.STACK, np.array([[0, 0], [5, 7]]), 8, edge=edge)

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16])
    def test_planes_are_cut_as_well(self, dtype):
        plane = np.array([[1, 2], [3, 4]], dtype)

        chips = cut_chips(plane, np.array([[0, 0], [1, 1]]), 1, edge="drop")

        assert chips.dtype == dtype
        np.testing.assert_array_equal(chips, np.stack([plane[:1, :1], plane[1:, 1:]]))

    def test_a_buffer_is_written_to_and_returned(self):
        out = np.full((1, 2, 4, 4), 77, np.int16)

        assert cut_chips(self.STACK, np.array([[1, 1]]), 4, edge="drop", out=out) is out
        np.testing.assert_array_equal(out[0], self.STACK[:, 1:5, 1:5])

    def test_no_origins_give_no_chips(self):
        assert cut_chips(self.STACK, np.empty((0, 2), np.int64), 4, edge="drop").shape == (0, 2, 4, 4)

    @pytest.mark.parametrize(
        ("stack", "origins", "size", "fill", "error"),
        [
            (STACK, [[-1, 0]], 2, 0, InputError),
            (STACK, [[0, 0, 0]], 2, 0, InputError),
            (STACK, [[0.5, 0]], 2, 0, InputError),
            (STACK, [[0, 0]], 0, 0, ConfigError),
            (STACK, [[0, 0]], 2, 40000, ConfigError),
            (STACK.astype(np.int32), [[0, 0]], 2, 0, InputError),
            (STACK[0, 0], [[0, 0]], 2, 0, InputError),
        ],
    )
    def test_what_cannot_be_cut_is_refused(self, stack, origins, size, fill, error):
        with pytest.raises(error):
            cut_chips(stack, np.array(origins), size, edge="pad", fill=fill)

    def test_a_fill_below_zero_does_not_fit_a_plane_of_flags(self):
        with pytest.raises(ConfigError, match="does not fit uint8"):
            cut_chips(np.zeros((2, 2), np.uint8), np.array([[0, 0]]), 3, edge="pad", fill=-1)

    @pytest.mark.parametrize("out", [np.zeros((1, 2, 4, 5), np.int16), np.zeros((1, 2, 4, 8), np.int16)[..., ::2]])
    def test_a_buffer_that_does_not_fit_is_refused(self, out):
        with pytest.raises(InputError, match="buffer"):
            cut_chips(self.STACK, np.array([[0, 0]]), 4, edge="drop", out=out)


class TestDensity:
    @pytest.mark.parametrize(("glacier", "balanced"), [(26214, False), (26215, True), (39321, True), (39322, False)])
    @pytest.mark.parametrize("value", [1, 2])
    def test_the_check_vectors_hold(self, glacier, balanced, value):
        label = np.zeros(65536, np.uint8)
        label[:glacier] = value

        assert is_balanced(label.reshape(256, 256), 256) is balanced

    def test_both_bounds_belong_to_the_range(self):
        label = np.array([1] * 10 + [0] * 15, np.uint8).reshape(5, 5)

        assert is_balanced(label, 5)
        assert is_balanced(1 - label, 5)

    def test_missing_labels_count_in_neither_share(self):
        label = np.array([1] * 12 + [255] * 13, np.uint8).reshape(5, 5)

        assert not is_balanced(label, 5)

    def test_shares_are_of_the_declared_square(self):
        label = np.array([1, 0], np.uint8).reshape(1, 2)

        assert not is_balanced(label, 2)

    @pytest.mark.parametrize(
        ("step", "densify", "split", "glacier", "expected"),
        [
            (32, True, "train", 8, 16),
            (1, True, "train", 8, 1),
            (9, True, "train", 8, 4),
            (32, False, "train", 8, 32),
            (32, True, "dev", 8, 32),
            (32, True, "train", 1, 32),
        ],
    )
    def test_the_step_is_halved_on_balanced_train_partitions_alone(self, step, densify, split, glacier, expected):
        label = np.array([1] * glacier + [0] * (16 - glacier), np.uint8).reshape(4, 4)
        chips = ChipSettings(size=2, step=step, densify=densify)

        assert select_chips(chips, label, np.zeros_like(label), split=split, extent=4, beyond=0).step == expected


class TestCounts:
    def test_counts_are_those_of_the_window(self):
        label = np.array([[0, 1, 2], [255, 1, 2], [0, 0, 0]], np.uint8)
        flags = np.array([[0, 1, 2], [4, 3, 8], [16, 0, 0]], np.uint8)

        counts = count_chips(label, flags, chip_origins((3, 3), 2, 1, "drop"), 2, edge="drop", beyond=BEYOND)

        assert dataclasses.asdict(counts).keys() == {
            "classes", "ignore", "optical_missing", "topo_missing", "any_missing",
        }  # fmt: skip
        assert counts.classes.T.tolist() == [[1, 0, 2, 2], [2, 2, 1, 1], [0, 2, 0, 1]]
        assert counts.ignore.tolist() == [1, 0, 1, 0]
        assert counts.optical_missing.tolist() == [2, 2, 1, 1]
        assert counts.topo_missing.tolist() == [1, 2, 1, 1]
        assert counts.any_missing.tolist() == [2, 4, 2, 2]

    def test_what_hangs_over_the_edge_has_no_class_and_is_missing(self):
        plane = np.zeros((2, 2), np.uint8)

        padded = count_chips(plane, plane, np.array([[1, 1], [5, 5]]), 2, edge="pad", beyond=BEYOND)
        stretched = count_chips(plane, plane, np.array([[1, 1], [5, 5]]), 2, edge="legacy", beyond=BEYOND)

        assert (padded.classes[:, 0].tolist(), padded.ignore.tolist()) == ([1, 0], [3, 4])
        assert padded.any_missing.tolist() == padded.topo_missing.tolist() == [3, 4]
        assert (stretched.classes[:, 0].tolist(), stretched.ignore.tolist()) == ([4, 0], [0, 4])

    def test_roles_that_a_schema_lacks_are_not_missing_beyond_the_edge(self):
        plane = np.zeros((1, 1), np.uint8)

        counts = count_chips(plane, plane, np.array([[0, 0]]), 2, edge="pad", beyond=Flag.LABEL | Flag.OUTSIDE)

        assert counts.optical_missing.tolist() == counts.topo_missing.tolist() == [0]
        assert counts.any_missing.tolist() == [3]

    def test_what_cannot_be_counted_is_refused(self):
        plane = np.zeros((4, 4), np.uint8)
        origins = np.array([[3, 3]])

        with pytest.raises(InputError, match="extends beyond"):
            count_chips(plane, plane, origins, 2, edge="clamp", beyond=BEYOND)

    def test_coverage_counts_the_chips_that_see_a_pixel(self):
        seen = coverage(np.array([[0, 0], [0, 1], [2, 2], [9, 0]]), 2, (3, 3))

        assert seen.dtype == np.uint32
        assert seen.tolist() == [[1, 2, 1], [1, 2, 1], [0, 0, 1]]

    def test_origins_as_large_as_can_be_lie_beyond_the_edge(self):
        far = np.array([[2**63 - 1, 0], [0, 2**63 - 1], [2**63 - 1, 2**63 - 1]])
        plane = np.zeros((3, 4), np.uint8)

        assert not coverage(far, 2, (3, 4)).any()
        assert count_chips(plane, plane, far, 2, edge="pad", beyond=BEYOND).ignore.tolist() == [4, 4, 4]
        assert (cut_chips(plane, far, 2, edge="pad", fill=9) == 9).all()
        assert (cut_chips(plane, far, 2, edge="legacy", fill=9) == 9).all()

    def test_coverage_without_chips_is_zero(self):
        assert not coverage(np.empty((0, 2), np.int64), 2, (3, 4)).any()


def _counts(**given):
    """Counts of one chip of 10 x 10 pixels without a fault, but for what is given."""
    others = (field.name for field in dataclasses.fields(ChipCounts)[1:])
    fields = {"none": 100, "debris": 0, "ice": 0} | dict.fromkeys(others, 0) | given
    return chip_counts(*(np.array([value], np.int64) for value in fields.values()))


class TestRejection:
    @pytest.mark.parametrize(
        ("settings", "met", "missed", "reason"),
        [
            ({"min_valid_label_share": 0.5}, {"ignore": 50}, {"ignore": 51}, RejectionReason.LABEL_MISSING),
            (
                {"min_valid_optical_share": 0.9},
                {"optical_missing": 10},
                {"optical_missing": 11},
                RejectionReason.OPTICAL_MISSING,
            ),
            ({"min_valid_topo_share": 0.5}, {"topo_missing": 50}, {"topo_missing": 51}, RejectionReason.TOPO_MISSING),
            ({"min_share": {"none": 0.1}}, {"none": 10}, {"none": 9}, RejectionReason.TOO_LITTLE_NONE),
            ({"min_share": {"debris": 0.1}}, {"debris": 10}, {"debris": 9}, RejectionReason.TOO_LITTLE_DEBRIS),
            ({"min_share": {"ice": 0.07}}, {"ice": 7}, {"ice": 6}, RejectionReason.TOO_LITTLE_ICE),
            (
                {"min_glacier_share": 0.2},
                {"ice": 10, "debris": 10},
                {"ice": 10, "debris": 9},
                RejectionReason.TOO_LITTLE_GLACIER,
            ),
        ],
    )
    def test_a_share_equal_to_its_threshold_is_kept(self, settings, met, missed, reason):
        thresholds = ChipSettings(**(LENIENT | settings))

        assert rejection_reasons(_counts(**met), 10, thresholds).tolist() == [RejectionReason.KEPT]
        assert rejection_reasons(_counts(**missed), 10, thresholds).tolist() == [reason]

    def test_an_absent_class_has_the_share_zero(self):
        rejected = rejection_reasons(_counts(), 10, ChipSettings(min_share={"debris": 0.01}))
        kept = rejection_reasons(_counts(), 10, ChipSettings(min_share={"debris": 0.0}))

        assert (rejected[0], kept[0]) == (RejectionReason.TOO_LITTLE_DEBRIS, RejectionReason.KEPT)

    def test_of_several_reasons_the_first_in_order_is_given(self):
        hopeless = _counts(none=0, ignore=100, optical_missing=100, topo_missing=100)
        thresholds = {"min_valid_optical_share": 0.5, "min_share": dict.fromkeys(("none", "debris", "ice"), 0.5)}
        release = {
            RejectionReason.LABEL_MISSING: {"min_valid_label_share": 0.0},
            RejectionReason.OPTICAL_MISSING: {"min_valid_optical_share": 0.0},
            RejectionReason.TOPO_MISSING: {"min_valid_topo_share": 0.0},
            RejectionReason.TOO_LITTLE_NONE: {"min_share": {"debris": 0.5, "ice": 0.5}},
            RejectionReason.TOO_LITTLE_DEBRIS: {"min_share": {"ice": 0.5}},
            RejectionReason.TOO_LITTLE_ICE: {"min_share": {}},
            RejectionReason.TOO_LITTLE_GLACIER: {"min_glacier_share": 0.0},
            RejectionReason.KEPT: {},
        }
        thresholds |= {"min_glacier_share": 0.5}

        for reason, easier in release.items():
            assert rejection_reasons(hopeless, 10, ChipSettings(**thresholds)).tolist() == [reason]
            thresholds |= easier

    def test_outcomes_are_text_that_tables_can_hold(self):
        assert [str(outcome) for outcome in rejection_reasons(_counts(), 10, ChipSettings())] == ["kept"]


def test_a_cell_smaller_than_a_chip_has_no_chips_and_no_overlap():
    assert chip_load(127, 128, 32, "clamp") == ChipLoad(n_chips=0, overlap=0.0, most=0, unseen=1.0)
    assert chip_load(128, 128, 32, "clamp") == ChipLoad(n_chips=1, overlap=1.0, most=1, unseen=0.0)
