"""The colours that pictures and pages share."""

import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.prepare.appearance import colour, colour_bands


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
