"""The colours that pictures and pages share."""

import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.prepare.appearance import colour, colour_bands, look, recent_choice


def test_a_colour_has_two_digits_for_each_of_red_green_and_blue():
    assert colour("#1a2b3c") == (0x1A, 0x2B, 0x3C)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ("looto", (1, 2, 4)),
        ("ooooo", (0, 1, 2)),
        # With fewer than three, the last one is shown again.
        ("loo", (1, 2, 2)),
        ("tto", (2, 2, 2)),
        # Without any, the bands are shown as they come.
        ("tttt", (0, 1, 2)),
        ("tt", (0, 1, 1)),
    ],
)
def test_unknown_bands_are_shown_in_order_the_optical_ones_before_all_others(roles, expected):
    kinds = {"o": Role.OPTICAL, "t": Role.TOPO, "l": Role.LABEL}
    bands = [Band(f"b{number}", kinds[letter]) for number, letter in enumerate(roles)]
    assert colour_bands(bands) == expected


def test_the_first_triple_that_is_complete_is_shown_wherever_its_bands_are():
    bands = [Band(name, Role.OPTICAL) for name in ("tcw", "blue", "tcb", "green", "tcg", "red")]
    assert colour_bands(bands) == (2, 4, 0)


SENTINEL_2 = ("B02", "B03", "B04", "B05", "B08", "B8A", "B11", "B12")


def _optical(names):
    return [Band(name, Role.OPTICAL) for name in names]


@pytest.mark.parametrize(
    ("names", "red_green_blue"),
    [
        # Sentinel-2, as files and STAC call it, and as Earth Engine does. B08 is closer to the middle than B8A.
        (SENTINEL_2, ("B11", "B08", "B04")),
        (("b02", "b03", "b04"), ("b04", "b03", "b02")),
        (("b02", "b03", "b04", "b08"), ("b04", "b03", "b02")),
        (("B2", "B3", "B4", "B8", "B11", "B12"), ("B11", "B8", "B4")),
        (("b04", "b8a", "b12"), ("b12", "b8a", "b04")),
        (("S2_B02", "S2_B03", "S2_B04"), ("S2_B04", "S2_B03", "S2_B02")),
        # Landsat 8 and 9 (band 6 is swir1), and 4 to 7 (band 5 is).
        (tuple(f"SR_B{n}" for n in range(1, 8)), ("SR_B6", "SR_B5", "SR_B4")),
        (("sr_b2", "sr_b3", "sr_b4"), ("sr_b4", "sr_b3", "sr_b2")),
        (("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"), ("SR_B5", "SR_B4", "SR_B3")),
        # HLS from Landsat, and from Sentinel-2.
        (("B02", "B03", "B04", "B05", "B06", "B07"), ("B06", "B05", "B04")),
        (("B02", "B03", "B04", "B8A", "B11", "B12"), ("B11", "B8A", "B04")),
        (("Blue", "Green", "Red"), ("Red", "Green", "Blue")),
        (("BLUE", "GREEN", "RED", "NIR", "SWIR1", "SWIR2"), ("SWIR1", "NIR", "RED")),
        (("green", "red", "nir08", "swir16"), ("swir16", "nir08", "red")),
        (("green", "red", "nir"), ("nir", "red", "green")),
        (("NBR", "x", "NDVI", "NDSI"), ("NBR", "NDVI", "NDSI")),
        # Numbers from 1 may only count bands.
        (("b1", "b2", "b3", "b4"), ("b1", "b2", "b3")),
        (("b1", "b2", "b3", "b4", "b8", "b8a"), ("b4", "b3", "b2")),
    ],
)
def test_red_green_and_blue_are_the_bands_of_these_colours(names, red_green_blue):
    assert tuple(names[position] for position in colour_bands(_optical(names))) == red_green_blue


def test_a_wavelength_in_the_description_decides_before_the_name():
    told = {"one": "490 nm", "two": "560.5nm", "three": "central wavelength 665 nm", "four": "from 490 nm to 510 nm"}
    bands = [Band(name, Role.OPTICAL, description=text) for name, text in told.items()]
    assert colour_bands(bands) == (2, 1, 0)
    # Of two wavelengths none is certain.
    assert colour_bands(bands[1:]) == (0, 1, 2)
    assert colour_bands([*bands[:3], Band("red", Role.OPTICAL)]) == (3, 1, 0)


def test_topography_has_no_colour():
    bands = [Band("nir", Role.TOPO), *_optical(("red", "green")), Band("swir1", Role.TOPO)]
    assert recent_choice(bands) == {}


def test_a_composite_is_taken_as_it_is_named():
    bands = [*_optical(SENTINEL_2), Band("dem", Role.TOPO)]
    assert colour_bands(bands, ("dem", "B04", "dem")) == (8, 2, 8)


def test_only_pictures_of_red_green_and_blue_are_in_true_colour():
    bands = _optical(("B02", "B03", "B04", "B08", "B11"))
    assert look(bands, (2, 1, 0)) == "true colour"
    assert look(bands, colour_bands(bands)) == look(bands, (0, 1, 2)) == "false colour"


@pytest.mark.parametrize(
    "names", [("tcb", "nbr", "ndsi"), ("blue", "green", "red"), ("swir1", "nir", "red"), ("b1", "b2", "b3"), ("ndvi",)]
)
def test_a_choice_that_has_not_changed_is_in_no_fingerprint(names):
    bands = _optical(names)
    assert recent_choice(bands) == {}
    assert recent_choice(bands, [bands[position].name for position in colour_bands(bands)]) == {}
    assert recent_choice(bands, names[:1] * 3) == ({} if len(names) == 1 else {"composite": [names[0]] * 3})


def test_a_choice_by_colour_is_in_the_fingerprint():
    assert recent_choice(_optical(SENTINEL_2)) == {"composite": ["B11", "B08", "B04"]}
