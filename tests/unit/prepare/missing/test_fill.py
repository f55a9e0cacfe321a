"""The nodata rules on cases small enough to do by hand."""

import dataclasses

import numpy as np
import pytest

from gcn_luigi.bands import Band, BandSchema, Role
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.missing.fill import Corrected, Flag, band_flags, outside_flags, strict_nodata
from gcn_luigi.prepare.missing.legacy import LegacyRule, as_legacy_stack, legacy_corrected, legacy_nodata
from gcn_luigi.settings import NodataSettings
from tests.reference import nodata as reference

# The call of the published main.
PRODUCTION = LegacyRule(alt_topo_band=-4)

SCHEMA = BandSchema(
    (
        *(Band(name, Role.OPTICAL) for name in ("nbr", "ndsi", "ndvi", "tcb", "tcw")),
        *(Band(name, Role.TOPO, nodata=-9999) for name in ("north", "south", "curvature")),
        Band("dem", Role.TOPO, nodata=-9999, valid_min=0),
        Band("label", Role.LABEL, nodata=255, valid_min=0, valid_max=2),
        Band("distance", Role.DISTANCE, valid_min=0),
    )
)
NO_EXTRAS = BandSchema((Band("label", Role.LABEL, nodata=255),))


def _stack(n_bands=11, value=5, label=2, dtype=np.int16, shape=(1, 2)):
    stack = np.full((n_bands, *shape), value, dtype)
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
        corrected = legacy_nodata(_changed(band, value), PRODUCTION)

        assert corrected[:, 0, 0].tolist() == expected
        assert corrected[:, 0, 1].tolist() == [5] * 9 + [2, 5]

    def test_zeros_are_not_replaced_even_where_the_fill_is_not_zero(self):
        stack = np.zeros((10, 1, 1), np.int16)
        stack[0] = -32768

        corrected = legacy_nodata(stack, LegacyRule(fill=7))

        assert corrected[:5, 0, 0].tolist() == [7, 0, 0, 0, 0]

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("band", [1, 9, 10])
    def test_a_float_that_is_not_finite_is_replaced_without_any_mask(self, bad, band):
        stack = np.full((11, 1, 3), 5, np.float32)
        stack[band, 0, 1] = bad

        corrected = legacy_nodata(stack, LegacyRule())

        assert corrected[band, 0].tolist() == [5, 0, 5]
        assert np.count_nonzero(corrected != 5) == 1

    def test_with_ten_bands_the_topo_band_is_curvature(self):
        stack = np.full((10, 1, 1), 5, np.int16)
        stack[7] = -1

        corrected = legacy_nodata(stack, PRODUCTION)

        assert corrected[:, 0, 0].tolist() == [5] * 5 + [0] * 4 + [5]

    def test_land_below_the_sea_is_wiped_and_an_optical_hole_elsewhere_leaks(self):
        stack = _stack()
        stack[8, 0, 0] = -1
        stack[4, 0, 1] = -32768

        corrected = legacy_nodata(stack, PRODUCTION)

        assert corrected[5:9, 0, 0].tolist() == [0] * 4
        assert corrected[4, 0, 1] == -32768

    @pytest.mark.parametrize("value", [32767, -9999, -32768])
    def test_the_alternative_band_is_probed_for_three_sentinels(self, value):
        stack = _changed(6, value)

        assert legacy_nodata(stack, LegacyRule(alt_topo_band=6))[5:9, 0, 0].tolist() == [0] * 4
        assert legacy_nodata(stack, LegacyRule())[6, 0, 0] == value

    def test_a_class_nodata_of_its_own_moves_the_saturation_value(self):
        stack = _changed(7, 4)

        corrected = legacy_nodata(stack, LegacyRule(alt_topo_band=-4, class_nodata=-5))

        assert corrected[5:9, 0, 0].tolist() == [0] * 4

    @pytest.mark.parametrize("none", [None, 0])
    def test_zero_means_none_for_class_nodata_and_the_alternative_band(self, none):
        stack = _stack(label=0)
        stack[0, 0, 0] = 32767
        stack[9, 0, 1] = -32768

        corrected = legacy_nodata(stack, LegacyRule(alt_topo_band=none, class_nodata=none))

        assert corrected[:, 0, 0].tolist() == [32767] + [5] * 8 + [0, 5]
        assert corrected[:, 0, 1].tolist() == [0] * 11

    def test_the_input_stays_as_it_is_unless_it_is_the_output(self):
        stack = _changed(9, -32768)
        before = stack.copy()

        made = legacy_nodata(stack, PRODUCTION)
        np.testing.assert_array_equal(stack, before)
        again = legacy_nodata(stack, PRODUCTION, out=stack)

        assert again is stack
        np.testing.assert_array_equal(stack, made)

    def test_a_strided_stack_is_read_right(self):
        stack = _changed(0, -32768)

        np.testing.assert_array_equal(
            legacy_nodata(np.asfortranarray(stack)[:, :, ::-1], PRODUCTION),
            legacy_nodata(stack, PRODUCTION)[:, :, ::-1],
        )

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.dtype(">i2"), bool])
    def test_an_unsupported_dtype_is_refused(self, dtype):
        with pytest.raises(InputError, match="is no stack"):
            legacy_nodata(np.zeros((11, 2, 2), dtype), LegacyRule())

    @pytest.mark.parametrize(
        "rule",
        [
            LegacyRule(fill=40000),
            LegacyRule(fill=0.5),
            LegacyRule(fill=float("nan")),
            LegacyRule(class_nodata=40000),
            LegacyRule(topo_nodata=-99999),
            LegacyRule(topo_start=10),
            LegacyRule(optical_start=6),
        ],
    )
    def test_a_rule_that_cannot_act_is_refused(self, rule):
        with pytest.raises(ConfigError):
            legacy_nodata(_stack(), rule)

    @pytest.mark.parametrize("n_bands", [1, 9])
    def test_too_few_bands_are_refused(self, n_bands):
        with pytest.raises(InputError, match=f"class_band 9 is not among the {n_bands} bands"):
            legacy_nodata(np.zeros((n_bands, 1, 1), np.int16), LegacyRule())

    @pytest.mark.parametrize("out", [np.zeros((11, 1, 3), np.int16), np.zeros((11, 1, 2), np.int32)])
    def test_a_buffer_that_does_not_fit_is_refused(self, out):
        with pytest.raises(InputError, match="are needed"):
            legacy_nodata(_stack(), LegacyRule(), out=out)


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

    def test_only_finite_values_beyond_the_range_count_as_out_of_range(self):
        stack = _stack(dtype=np.float32, shape=(1, 6))
        stack[8, 0] = [-9999, np.nan, -np.inf, 32767, -1, 0]

        corrected = strict_nodata(stack, SCHEMA)

        assert corrected.out_of_range.tolist() == [0] * 8 + [1, 0]
        assert corrected.flags.tolist() == [[Flag.TOPO] * 5 + [0]]

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

    @pytest.mark.parametrize("value", [0.5, 1.999, -1e-9, np.nan, np.inf, 256.0, 257.0])
    def test_a_float_that_is_no_class_is_a_missing_label(self, value):
        corrected = strict_nodata(np.full((1, 1, 1), value, np.float64), NO_EXTRAS)

        assert corrected.label[0, 0] == 255

    @pytest.mark.parametrize(
        ("dtype", "low", "high", "valid"),
        [
            (np.int16, -1.5, 1.5, [-1, 0, 1]),
            (np.int16, 40000, None, []),
            (np.int16, None, -40000, []),
            (np.int16, -40000, 40000, [-2, -1, 0, 1, 2]),
            (np.int16, 0.2, 0.8, []),
            (np.float32, 1e300, None, []),
            (np.float32, -1, 1, [-1, 0, 1]),
        ],
    )
    def test_limits_between_or_beyond_the_values_of_the_dtype_stay_exact(self, dtype, low, high, valid):
        schema = BandSchema(
            (Band("ndsi", Role.OPTICAL, valid_min=low, valid_max=high), Band("label", Role.LABEL, nodata=255))
        )
        values = np.array([-2, -1, 0, 1, 2], dtype)

        corrected = strict_nodata(np.stack([values, np.zeros_like(values)])[:, None], schema)

        assert values[corrected.flags[0] == 0].tolist() == valid
        assert corrected.out_of_range.tolist() == [5 - len(valid)]

    def test_a_limit_that_single_precision_cannot_hold_is_not_rounded_outwards(self):
        schema = BandSchema(
            (Band("ndsi", Role.OPTICAL, valid_min=0.7, valid_max=0.9), Band("label", Role.LABEL, nodata=255))
        )
        edge = np.float32(0.7)
        values = np.array([np.nextafter(edge, np.float32(0)), edge, np.nextafter(edge, np.float32(1))], np.float32)

        corrected = strict_nodata(np.stack([values, np.zeros_like(values)])[:, None], schema)

        assert (corrected.flags[0] == 0).tolist() == [float(value) >= 0.7 for value in values]

    def test_buffers_are_reused_and_leave_no_trace_of_what_they_held(self):
        buffers = Corrected.empty(SCHEMA, (1, 2))
        fresh = [strict_nodata(_changed(band, -32768), SCHEMA) for band in (0, 9)]

        for band, expected in zip((0, 9), fresh, strict=True):
            made = strict_nodata(_changed(band, -32768), SCHEMA, out=buffers)
            assert made is buffers
            for field in dataclasses.fields(Corrected):
                np.testing.assert_array_equal(getattr(made, field.name), getattr(expected, field.name))

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(InputError, match="10 bands where 11 are expected"):
            strict_nodata(_stack(10), SCHEMA)
        with pytest.raises(InputError, match="is no stack"):
            strict_nodata(np.zeros((2, 2), np.int16), SCHEMA)
        with pytest.raises(ConfigError, match="fill 40000 does not fit int16"):
            strict_nodata(_stack(), SCHEMA, fill=40000)
        with pytest.raises(ConfigError, match="nodata of band label"):
            strict_nodata(np.zeros((1, 1, 1), np.int16), BandSchema((Band("label", Role.LABEL, nodata=70000),)))
        with pytest.raises(InputError, match="are needed"):
            strict_nodata(_stack(), SCHEMA, out=Corrected.empty(SCHEMA, (2, 2)))


class TestLegacyOnOurStack:
    RULE = LegacyRule.of(SCHEMA, NodataSettings(mode="legacy"))

    def test_the_rule_of_a_schema_knows_its_label_and_its_optical_bands(self):
        small = BandSchema((Band("a", Role.OPTICAL), Band("b", Role.TOPO), Band("label", Role.LABEL)))

        rule = LegacyRule.of(small, NodataSettings(legacy={"topo_band": -2, "alt_topo_band": None}, fill=3))

        assert PRODUCTION == self.RULE
        assert (rule.class_band, rule.topo_start, rule.topo_band, rule.alt_topo_band, rule.fill) == (2, 1, -2, None, 3)

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

        corrected = legacy_corrected(stack, SCHEMA, self.RULE, inside=Window(0, 0, 1, 4))

        assert corrected.label.tolist() == [[0, 2, 2, 255, 0]]
        assert corrected.flags.tolist() == [[Flag.LABEL, Flag.OPTICAL, Flag.TOPO, Flag.LABEL, outside_flags(SCHEMA)]]
        assert corrected.image[3, 0].tolist() == [0, -32768, 5, 5, 0]
        assert corrected.image[8, 0].tolist() == [0, 5, 0, 5, 0]

    def test_every_pixel_equals_the_reference_on_the_published_stack(self):
        stack = np.random.default_rng(1).choice([-32768, -9999, -3, 0, 1, 2, 255, 32767], (11, 6, 7)).astype(np.int16)

        corrected = legacy_corrected(stack, SCHEMA, self.RULE, inside=Window(1, 0, 9, 6))

        expected = reference.legacy_nodata(as_legacy_stack(stack, SCHEMA, inside=Window(1, 0, 9, 6)), alt_topo_band=-4)
        np.testing.assert_array_equal(corrected.image, np.delete(expected, 9, axis=0))
        known = (expected[9] >= 0) & (expected[9] <= 2)
        np.testing.assert_array_equal(corrected.label, np.where(known, expected[9], 255))
        strict = strict_nodata(stack, SCHEMA, inside=Window(1, 0, 9, 6))
        np.testing.assert_array_equal(corrected.flags, strict.flags)
        np.testing.assert_array_equal(corrected.out_of_range, strict.out_of_range)

    def test_a_rule_for_another_label_is_refused(self):
        with pytest.raises(ConfigError, match="takes band 8 for the class"):
            legacy_corrected(_stack(), SCHEMA, LegacyRule(class_band=8))
