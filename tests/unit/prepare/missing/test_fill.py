"""The nodata rules on cases small enough to do by hand."""

import dataclasses

import numpy as np
import pytest

from gcn_luigi.bands import Band, BandSchema, Role
from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.missing.fill import Corrected, Flag, band_flags, outside_flags, strict_nodata
from gcn_luigi.prepare.missing.legacy import as_legacy_stack, legacy_corrected, legacy_nodata
from gcn_luigi.settings import NodataSettings
from tests.reference import nodata as reference

# As the published main probes them.
PRODUCTION = NodataSettings(mode="legacy")
# As the published function does where it is not told.
PLAIN = NodataSettings(mode="legacy", legacy={"alt_topo_band": None})

SCHEMA = BandSchema(
    (
        *(Band(name, Role.OPTICAL) for name in ("nbr", "ndsi", "ndvi", "tcb", "tcw")),
        *(Band(name, Role.TOPO, nodata=-9999) for name in ("north", "south", "curvature")),
        Band("dem", Role.TOPO, nodata=-9999, valid_min=0),
        Band("label", Role.LABEL, nodata=255, valid_min=0, valid_max=2),
        Band("distance", Role.DISTANCE, valid_min=0),
    )
)
TEN_BANDS = BandSchema(SCHEMA.bands[:10])
NO_EXTRAS = BandSchema((Band("label", Role.LABEL, nodata=255),))


def _stack(n_bands=11, value=5, label=2, shape=(1, 2)):
    stack = np.full((n_bands, *shape), value, np.int16)
    stack[9] = label
    return stack


def _changed(band, value):
    """The stack of the table by hand: the change at the first pixel, none at the second."""
    stack = _stack()
    stack[band, 0, 0] = value
    return stack


class TestLegacy:
    @pytest.mark.parametrize(
        ("band", "value", "expected"),
        [
            (0, -32768, [0, 0, 0, 0, 0, 5, 5, 5, 5, 2, 5]),
            (8, -3, [5, 5, 5, 5, 5, 0, 0, 0, 0, 2, 5]),
            (7, 32767, [5, 5, 5, 5, 5, 0, 0, 0, 0, 2, 5]),
            (9, -32768, [0] * 11),
            (3, -32768, [5, 5, 5, -32768, 5, 5, 5, 5, 5, 2, 5]),
        ],
    )
    def test_the_table_by_hand_holds(self, band, value, expected):
        corrected = legacy_nodata(_changed(band, value), SCHEMA, PRODUCTION)

        assert corrected[:, 0, 0].tolist() == expected
        assert corrected[:, 0, 1].tolist() == [5] * 9 + [2, 5]

    def test_zeros_are_not_replaced_even_where_the_fill_is_not_zero(self):
        stack = np.zeros((10, 1, 1), np.int16)
        stack[0] = -32768

        corrected = legacy_nodata(stack, TEN_BANDS, NodataSettings(mode="legacy", fill=7))

        assert corrected[:5, 0, 0].tolist() == [7, 0, 0, 0, 0]

    def test_with_ten_bands_the_topo_band_is_curvature(self):
        stack = np.full((10, 1, 1), 5, np.int16)
        stack[7] = -1

        corrected = legacy_nodata(stack, TEN_BANDS, PRODUCTION)

        assert corrected[:, 0, 0].tolist() == [5] * 5 + [0] * 4 + [5]

    def test_land_below_the_sea_is_wiped_and_an_optical_hole_elsewhere_leaks(self):
        stack = _stack()
        stack[8, 0, 0] = -1
        stack[4, 0, 1] = -32768

        corrected = legacy_nodata(stack, SCHEMA, PRODUCTION)

        assert corrected[5:9, 0, 0].tolist() == [0] * 4
        assert corrected[4, 0, 1] == -32768

    @pytest.mark.parametrize("value", [32767, -9999, -32768])
    def test_the_alternative_band_is_probed_for_three_sentinels(self, value):
        stack = _changed(6, value)

        probing = NodataSettings(mode="legacy", legacy={"alt_topo_band": 6})

        assert legacy_nodata(stack.copy(), SCHEMA, PLAIN)[6, 0, 0] == value
        assert legacy_nodata(stack, SCHEMA, probing)[5:9, 0, 0].tolist() == [0] * 4

    @pytest.mark.parametrize("none", [None, 0])
    def test_zero_means_none_for_the_alternative_band(self, none):
        stack = _stack(label=0)
        stack[0, 0, 0] = 32767
        stack[9, 0, 1] = -32768

        corrected = legacy_nodata(stack, SCHEMA, NodataSettings(mode="legacy", legacy={"alt_topo_band": none}))

        assert corrected[:, 0, 0].tolist() == [32767] + [5] * 8 + [0, 5]
        assert corrected[:, 0, 1].tolist() == [0] * 11

    @pytest.mark.parametrize("key", ["optical_band", "topo_band", "alt_topo_band"])
    @pytest.mark.parametrize("band", [11, -12])
    def test_a_band_that_is_not_there_is_refused(self, key, band):
        with pytest.raises(InputError, match=f"{key} {band} is not among the 11 bands"):
            legacy_nodata(_stack(), SCHEMA, NodataSettings(mode="legacy", legacy={key: band}))


class TestStrict:
    @pytest.mark.parametrize(
        ("band", "value", "image", "label", "flag"),
        [
            (0, -32768, [0, 0, 0, 0, 0, 5, 5, 5, 5, 5], 2, Flag.OPTICAL),
            (8, -3, [5, 5, 5, 5, 5, 0, 0, 0, 0, 5], 2, Flag.TOPO),
            (7, 32767, [5, 5, 5, 5, 5, 0, 0, 0, 0, 5], 2, Flag.TOPO),
            (9, -32768, [5] * 10, 255, Flag.LABEL),
            (3, -32768, [0, 0, 0, 0, 0, 5, 5, 5, 5, 5], 2, Flag.OPTICAL),
            (6, -9999, [5, 5, 5, 5, 5, 0, 0, 0, 0, 5], 2, Flag.TOPO),
            (10, -32768, [5] * 9 + [0], 2, Flag.DISTANCE),
            (9, 255, [5] * 10, 255, Flag.LABEL),
            (9, 3, [5] * 10, 255, Flag.LABEL),
            (0, 32767, [32767, 5, 5, 5, 5, 5, 5, 5, 5, 5], 2, 0),
        ],
    )
    def test_the_table_by_hand_holds(self, band, value, image, label, flag):
        corrected = strict_nodata(_changed(band, value), SCHEMA)

        assert corrected.image[:, 0, 0].tolist() == image
        assert corrected.label.tolist() == [[label, 2]]
        assert corrected.flags.tolist() == [[flag, 0]]
        assert corrected.image[:, 0, 1].tolist() == [5] * 10

    def test_land_below_the_sea_is_valid_without_a_floor(self):
        bands = [dataclasses.replace(band, valid_min=None) for band in SCHEMA]

        corrected = strict_nodata(_changed(8, -3), BandSchema(tuple(bands)))

        assert corrected.image[8, 0, 0] == -3
        assert not corrected.flags.any()

    def test_masked_zeros_are_filled_too(self):
        stack = np.zeros((11, 1, 1), np.int16)
        stack[0] = -32768

        corrected = strict_nodata(stack, SCHEMA, fill=7)

        assert corrected.image[:, 0, 0].tolist() == [7] * 5 + [0] * 5

    def test_only_values_that_are_no_sentinel_count_as_out_of_range(self):
        stack = _stack(shape=(1, 4))
        stack[8, 0] = [-9999, 32767, -1, 0]

        corrected = strict_nodata(stack, SCHEMA)

        assert corrected.out_of_range.tolist() == [0] * 8 + [1, 0]
        assert corrected.flags.tolist() == [[Flag.TOPO] * 3 + [0]]

    def test_pixels_beyond_the_mosaic_have_every_flag_and_count_as_nothing(self):
        stack = _stack(value=-5, shape=(2, 3))

        corrected = strict_nodata(stack, SCHEMA, inside=Window(-4, 1, 5, 1), fill=9)

        everything = Flag.OPTICAL | Flag.TOPO | Flag.LABEL | Flag.OUTSIDE | Flag.DISTANCE
        assert outside_flags(SCHEMA) == everything
        topo_and_distance = Flag.TOPO | Flag.DISTANCE
        assert corrected.flags.tolist() == [[everything, topo_and_distance, everything], [everything] * 3]
        assert corrected.label.tolist() == [[255, 2, 255], [255] * 3]
        assert corrected.image[0].tolist() == [[9, -5, 9], [9] * 3]
        assert corrected.out_of_range.tolist() == [0] * 8 + [1, 1]

    @pytest.mark.parametrize("inside", [Window(5, 0, 2, 2), Window(0, 0, 0, 0), Window(-3, -3, 2, 9)])
    def test_a_stack_wholly_beyond_the_mosaic_is_all_missing(self, inside):
        corrected = strict_nodata(_stack(), SCHEMA, inside=inside)

        assert (corrected.flags == outside_flags(SCHEMA)).all()
        assert not corrected.image.any()

    def test_roles_that_the_schema_lacks_are_never_flagged(self):
        corrected = strict_nodata(np.array([[[1, 255]]], np.int16), NO_EXTRAS, inside=Window(0, 0, 1, 1))

        assert corrected.image.shape == (0, 1, 2)
        assert corrected.label.tolist() == [[1, 255]]
        assert corrected.flags.tolist() == [[0, Flag.LABEL | Flag.OUTSIDE]]
        assert band_flags(NO_EXTRAS).tolist() == []

    def test_a_class_that_is_the_labels_own_nodata_is_missing(self):
        schema = BandSchema((Band("label", Role.LABEL, nodata=0),))

        corrected = strict_nodata(np.array([[[0, 1, 2]]], np.int16), schema)

        assert corrected.label.tolist() == [[255, 1, 2]]

    @pytest.mark.parametrize(
        ("low", "high", "valid"),
        [
            (-1.5, 1.5, [-1, 0, 1]),
            (40000, None, []),
            (None, -40000, []),
            (-40000, 40000, [-2, -1, 0, 1, 2]),
            (0.2, 0.8, []),
            (1e300, None, []),
        ],
    )
    def test_limits_between_or_beyond_whole_numbers_stay_exact(self, low, high, valid):
        schema = BandSchema(
            (Band("ndsi", Role.OPTICAL, valid_min=low, valid_max=high), Band("label", Role.LABEL, nodata=255))
        )
        values = np.array([-2, -1, 0, 1, 2], np.int16)

        corrected = strict_nodata(np.stack([values, np.zeros_like(values)])[:, None], schema)

        assert values[corrected.flags[0] == 0].tolist() == valid
        assert corrected.out_of_range.tolist() == [5 - len(valid)]

    def test_buffers_are_reused_and_leave_no_trace_of_what_they_held(self):
        buffers = Corrected.empty(SCHEMA, (1, 2))
        fresh = [strict_nodata(_changed(band, -32768), SCHEMA) for band in (0, 9)]

        for band, expected in zip((0, 9), fresh, strict=True):
            made = strict_nodata(_changed(band, -32768), SCHEMA, out=buffers)
            assert made is buffers
            for field in dataclasses.fields(Corrected):
                np.testing.assert_array_equal(getattr(made, field.name), getattr(expected, field.name))


class TestLegacyOnOurStack:
    def test_the_published_stack_had_one_nodata_for_all_bands(self):
        stack = _stack(shape=(1, 3))
        stack[9, 0, 0] = 255
        stack[8, 0, 1] = -9999
        stack[0, 0, 1] = 255

        made = as_legacy_stack(stack, SCHEMA, inside=Window(0, 0, 1, 2))

        assert made[:, 0, 0].tolist() == [5] * 9 + [-32768, 5]
        assert made[:, 0, 1].tolist() == [255] + [5] * 7 + [-9999, 2, 5]
        assert made[:, 0, 2].tolist() == [-32768] * 11
        assert stack[9, 0, 0] == 255

    def test_pixels_are_legacy_and_flags_tell_the_truth(self):
        stack = _stack(shape=(1, 5))
        stack[9, 0, 0] = 255
        stack[3, 0, 1] = -32768
        stack[8, 0, 2] = -9999
        stack[9, 0, 3] = 7

        corrected = legacy_corrected(stack, SCHEMA, PRODUCTION, inside=Window(0, 0, 1, 4))

        assert corrected.label.tolist() == [[0, 2, 2, 255, 0]]
        assert corrected.flags.tolist() == [[Flag.LABEL, Flag.OPTICAL, Flag.TOPO, Flag.LABEL, outside_flags(SCHEMA)]]
        assert corrected.image[3, 0].tolist() == [0, -32768, 5, 5, 0]
        assert corrected.image[8, 0].tolist() == [0, 5, 0, 5, 0]

    def test_every_pixel_equals_the_reference_on_the_published_stack(self):
        stack = np.random.default_rng(1).choice([-32768, -9999, -3, 0, 1, 2, 255, 32767], (11, 6, 7)).astype(np.int16)

        corrected = legacy_corrected(stack, SCHEMA, PRODUCTION, inside=Window(1, 0, 9, 6))

        expected = reference.legacy_nodata(as_legacy_stack(stack, SCHEMA, inside=Window(1, 0, 9, 6)), alt_topo_band=-4)
        np.testing.assert_array_equal(corrected.image, np.delete(expected, 9, axis=0))
        known = (expected[9] >= 0) & (expected[9] <= 2)
        np.testing.assert_array_equal(corrected.label, np.where(known, expected[9], 255))
        strict = strict_nodata(stack, SCHEMA, inside=Window(1, 0, 9, 6))
        np.testing.assert_array_equal(corrected.flags, strict.flags)
        np.testing.assert_array_equal(corrected.out_of_range, strict.out_of_range)
