"""Images normalised by name, with missing pixels at the mean."""

import numpy as np
import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError, ShardError
from gcn_luigi.read.normalise import normalise

BANDS = (Band("nbr", Role.OPTICAL), Band("dem", Role.TOPO), Band("distance", Role.DISTANCE))
# In another order than the bands, as a JSON file may be.
STATISTICS = {
    "bands": {
        "dem": {"mean": 1000.25, "std": 500.0},
        "distance": {"mean": 0.5, "std": 0.125},
        "nbr": {"mean": -10.0, "std": 4.0},
        "spare": {"mean": None, "std": None},
    }
}


def plain(image, flags, mean, std, bits):
    """Return the result, pixel by pixel."""
    out = np.empty(image.shape, np.float32)
    for band, row, col in np.ndindex(image.shape):
        is_missing = int(flags[row, col]) & bits[band]
        out[band, row, col] = 0 if is_missing else (float(image[band, row, col]) - mean[band]) / std[band]
    return out


@pytest.fixture
def image():
    return np.random.default_rng(5).integers(-32768, 32767, (3, 6, 7), np.int16)


@pytest.fixture
def flags():
    return np.random.default_rng(6).choice(np.array([0, 1, 2, 4, 16, 3, 31], np.uint8), (6, 7))


def test_every_sample_is_scaled_by_its_own_band_and_missing_ones_are_zero(image, flags):
    given = image.copy()

    made = normalise(image, flags, STATISTICS, BANDS)

    assert made.dtype == np.float32
    expected = plain(image, flags, (-10.0, 1000.25, 0.5), (4.0, 500.0, 0.125), (1, 2, 16))
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(image, given)


def test_bands_go_by_name_in_the_order_of_the_image(image, flags):
    turned = normalise(image[::-1], flags, STATISTICS, BANDS[::-1])

    np.testing.assert_array_equal(turned, normalise(image, flags, STATISTICS, BANDS)[::-1])
    np.testing.assert_array_equal(normalise(image[1:2], flags, STATISTICS, BANDS[1:2])[0], turned[1])


def test_a_missing_label_hides_no_image(image):
    flags = np.full(image.shape[1:], 4, np.uint8)

    made = normalise(image, flags, STATISTICS, BANDS)

    np.testing.assert_array_equal(made, normalise(image, np.zeros_like(flags), STATISTICS, BANDS))
    assert (made != 0).any()


def test_several_chips_at_once_equal_one_after_the_other(image, flags):
    both = normalise(np.stack([image, image // 2]), np.stack([flags, flags.T.reshape(6, 7)]), STATISTICS, BANDS)

    np.testing.assert_array_equal(both[0], normalise(image, flags, STATISTICS, BANDS))
    np.testing.assert_array_equal(both[1], normalise(image // 2, flags.T.reshape(6, 7), STATISTICS, BANDS))


def test_a_missing_pixel_is_zero_even_where_it_holds_no_number(image):
    samples = image.astype(np.float32)
    samples[0, 0, 0] = np.nan
    flags = np.zeros(image.shape[1:], np.uint8)
    flags[0, 0] = 1

    assert normalise(samples, flags, STATISTICS, BANDS)[0, 0, 0] == 0


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (None, "dem is missing"),
        ({"mean": None, "std": None}, "dem has no valid pixel"),
        ({"mean": 7.0, "std": 0.0}, "dem has mean 7.0 and deviation 0.0"),
        ({"mean": float("nan"), "std": 1.0}, "dem has mean nan"),
    ],
)
def test_a_band_that_cannot_be_normalised_is_named(image, flags, entry, told):
    bands = {name: value for name, value in STATISTICS["bands"].items() if name != "dem"}
    statistics = {"bands": bands | ({} if entry is None else {"dem": entry})}

    with pytest.raises(ShardError, match=told):
        normalise(image, flags, statistics, BANDS)


def test_all_such_bands_are_told_at_once(image, flags):
    with pytest.raises(ShardError, match=r"nbr is missing; dem is missing; distance is missing"):
        normalise(image, flags, {}, BANDS)


@pytest.mark.parametrize(
    ("shape", "flag_shape"), [((2, 6, 7), (6, 7)), ((3, 6, 7), (7, 6)), ((2, 3, 6, 7), (6, 7)), ((6, 7), (6, 7))]
)
def test_arrays_that_do_not_fit_are_refused(shape, flag_shape):
    with pytest.raises(InputError, match="does not fit 3 bands"):
        normalise(np.zeros(shape, np.int16), np.zeros(flag_shape, np.uint8), STATISTICS, BANDS)
