"""Which values fill too much of a tile to be measured."""

import numpy as np
import pytest

from gcn_luigi.prepare.missing.constants import PixelSample


def everything(values):
    return np.ones(values.shape, bool)


def sampled(pixels, strip=100):
    """Return a sample of a tile that is seen window by window."""
    sample = PixelSample(*pixels.shape)
    for row in range(0, pixels.shape[0], strip):
        for col in range(0, pixels.shape[1], 130):
            sample.add(row, col, pixels[row : row + strip, col : col + 130])
    return sample


def measured(shape=(400, 500), dtype=np.int16):
    return np.random.default_rng(8).normal(300, 200, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint16])
@pytest.mark.parametrize("shape", [(400, 500), (900, 1100), (40, 50)])
def test_measurements_are_not_suspect(shape, dtype):
    assert sampled(np.abs(measured(shape)).astype(dtype)).constant(everything) is None


@pytest.mark.parametrize("values", [(0, 12), (200, 230)], ids=["few", "bytes"])
def test_values_that_are_few_by_their_nature_are_not_suspect(values):
    pixels = np.random.default_rng(1).integers(*values, (400, 500)).astype(np.uint8)

    assert sampled(pixels).constant(everything) is None


@pytest.mark.parametrize("value", [0, -1, 255, 32767, 7777])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_value_of_a_few_per_cent_is_found_with_its_share(value, dtype):
    pixels = measured(dtype=dtype)
    pixels[100:180, 200:300] = value

    found = sampled(pixels).constant(everything)

    assert (found.value, found.is_edge) == (value, False)
    assert found.share == pytest.approx((pixels == value).mean(), abs=0.01)


@pytest.mark.parametrize(
    "edge", [np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]], ids=["top", "bottom", "left", "right"]
)
def test_a_value_that_forms_an_edge_is_found_however_thin(edge):
    pixels = measured()
    pixels[edge] = 0

    found = sampled(pixels).constant(everything)

    assert (found.value, found.is_edge) == (0, True)
    assert found.share < 0.01


def test_a_few_equal_pixels_are_not_enough():
    pixels = measured()
    pixels[100:130, 200:300] = 0

    assert sampled(pixels).constant(everything) is None


def test_what_is_no_measurement_is_never_suspect():
    pixels = measured()
    pixels[:100] = -32768

    assert sampled(pixels).constant(lambda values: values != -32768) is None


@pytest.mark.parametrize(("lowest", "is_apart"), [(0, False), (800, True)], ids=["shore", "mountains"])
def test_flat_water_is_close_to_its_shore_and_a_stand_in_is_not(lowest, is_apart):
    pixels = np.random.default_rng(8).uniform(lowest, lowest + 2000, (400, 500)).astype(np.float32)
    pixels[:100] = 0

    assert sampled(pixels).constant(everything).is_apart is is_apart


def test_zero_is_told_without_a_sign():
    pixels = measured(dtype=np.float32)
    pixels[:100] = -0.0

    assert str(sampled(pixels).constant(everything).value) == "0.0"
