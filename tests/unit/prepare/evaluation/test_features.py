"""Features of chips and of windows of rasters."""

import numpy as np
import pytest

from gcn_luigi.bands import Band, BandSchema, Role, made_bands
from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.evaluation.features import (
    Scaling,
    chip_features,
    feature_names,
    is_complete,
    missing_pixels,
    window_features,
)
from gcn_luigi.prepare.missing.fill import Flag, band_flags, strict_nodata

BITS = np.array([Flag.OPTICAL, Flag.TOPO], np.uint8)
BANDS = (
    Band("red", Role.OPTICAL, nodata=-32768, valid_min=-100, valid_max=100),
    Band("nir", Role.OPTICAL, nodata=-32768),
    Band("dem", Role.TOPO, nodata=-9999),
)


def test_mean_and_standard_deviation_by_hand():
    images = np.array([[[[1, 3], [5, 7]], [[2, 2], [2, 2]]]], np.int16)

    assert chip_features(images, np.zeros((1, 2, 2), np.uint8), BITS).tolist() == [[4.0, 2.0, np.sqrt(5, dtype="f"), 0]]


def test_missing_pixels_do_not_count_and_only_in_their_own_role():
    images = np.array([[[[1, 3], [500, 8]], [[2, 4], [2, 4]]]], np.int16)
    flags = np.array([[[0, 0], [Flag.OPTICAL, Flag.LABEL]]], np.uint8)

    assert chip_features(images, flags, BITS)[0, :2].tolist() == [4.0, 3.0]


@pytest.mark.parametrize("flag", [Flag.TOPO, Flag.OUTSIDE])
def test_less_than_half_of_a_chip_has_no_features(flag):
    images = np.ones((2, 2, 2, 2), np.float32)
    flags = np.zeros((2, 2, 2), np.uint8)
    flags[0].flat[:2] = flag
    flags[1].flat[:3] = flag
    found = chip_features(images, flags, BITS)

    assert is_complete(found).tolist() == [True, False]
    assert np.isnan(found[1, [1, 3]]).all()
    assert np.isnan(found[1, [0, 2]]).all() == (flag is Flag.OUTSIDE)


def test_windows_of_a_strip_have_the_features_of_chips():
    random = np.random.default_rng(3)
    strip = (random.normal(size=(2, 16, 80)) * [[[300]], [[20]]] + [[[0]], [[5000]]]).astype(np.float32)
    flags = (random.random((16, 80)) < 0.2).astype(np.uint8) * Flag.OPTICAL
    # Windows there have none.
    flags[:, 40:60] = Flag.TOPO
    strip[:, flags > 0] = -32768
    cols = np.array([0, 1, 7, 40, 44, 64])
    chips = np.stack([strip[:, :, col : col + 16] for col in cols])
    wanted = chip_features(chips, np.stack([flags[:, col : col + 16] for col in cols]), BITS)
    missing = (flags & BITS[:, np.newaxis, np.newaxis]) > 0

    found = window_features(strip, missing, cols, np.array([10.0, 4900.0]))

    np.testing.assert_allclose(found, wanted, rtol=2e-6)
    assert is_complete(found).tolist() == [True, True, True, False, False, True]


def test_missing_pixels_are_those_that_a_build_flags():
    schema = BandSchema((*BANDS, *made_bands(None)))
    random = np.random.default_rng(4)
    stack = random.integers(-120, 120, (4, 30, 30)).astype(np.int16)
    stack[3] = 0
    for band, value in ((0, -32768), (1, -32768), (2, -9999), (2, 32767)):
        stack[band][random.random((30, 30)) < 0.05] = value
    flags = strict_nodata(stack, schema).flags
    wanted = (flags & band_flags(schema)[:, np.newaxis, np.newaxis]) > 0

    found = missing_pixels(stack[:3], BANDS, [band.nodata for band in BANDS], 32767)

    assert 0 < wanted[2].mean() < wanted[0].mean() < 1
    np.testing.assert_array_equal(found, wanted)


def test_not_a_number_and_masks_are_missing_without_any_nodata():
    values = np.zeros((3, 1, 4))
    values[0, 0, 0], values[2, 0, 1] = np.nan, np.inf
    masked = np.zeros(values.shape, bool)
    masked[2, 0, 3] = True

    found = missing_pixels(values, BANDS, [None] * 3, None, masked)

    # The second band is missing with the first, because both are optical.
    assert found[:, 0].tolist() == [[True, False, False, False]] * 2 + [[False, True, False, True]]


def test_standardised_features_of_training_have_mean_0_and_deviation_1():
    features = np.random.default_rng(5).normal(7.0, 3.0, (200, 3)).astype(np.float32)
    scaled = Scaling.of("abc", features).apply(features)

    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-6)


def test_a_constant_feature_has_no_axis_and_is_named():
    features = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]], np.float32)
    scaling = Scaling.of(("red_mean", "dem_std"), features)

    assert scaling.constant == ("dem_std",)
    assert scaling.apply(np.array([[2.0, 999.0]])).tolist() == [[0.0]]
    assert Scaling.from_dict(scaling.as_dict()).as_dict() == scaling.as_dict()


def test_weights_stretch_axes_and_features_without_one_are_left_out():
    features = np.array([[0.0, 0.0, 1.0], [2.0, 4.0, 0.0]], np.float32)
    scaling = Scaling.of("abc", features, {"a": 3.0, "b": 1.0})

    assert scaling.apply(features).tolist() == [[-3.0, -1.0], [3.0, 1.0]]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"d": 1.0}, "there is no feature 'd'"),
        ({"a": -1.0}, "the weight of a is -1.0"),
        ({"a": float("nan")}, "the weight of a is nan"),
        ({"b": 1.0}, "no feature with a weight varies"),
    ],
)
def test_weights_that_give_no_distance_are_refused(weights, said):
    with pytest.raises(ConfigError, match=said):
        Scaling.of("abc", np.array([[0.0, 5.0, 1.0], [2.0, 5.0, 0.0]]), weights)


def test_names_are_those_of_bands():
    assert feature_names(["red"]) == ("red_mean", "red_std")
