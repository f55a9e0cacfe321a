"""Rectangles of pixels, asked by window."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.lattice import Window, WindowSet

WINDOWS = st.builds(Window, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 12), st.integers(1, 12))


@given(tiles=st.lists(WINDOWS, max_size=6), window=WINDOWS)
def test_pixels_without_a_tile_are_those_that_no_rectangle_holds(tiles, window):
    plane = np.zeros((60, 60), bool)
    for tile in tiles:
        plane[20 + tile.row : 20 + tile.row + tile.height, 20 + tile.col : 20 + tile.col + tile.width] = True
    expected = ~plane[20 + window.row :, 20 + window.col :][: window.height, : window.width]

    found = WindowSet(tiles).uncovered(window)

    if expected.any():
        np.testing.assert_array_equal(found, expected)
    else:
        assert found is None


def test_a_window_that_no_single_tile_covers_but_several_do_is_covered():
    cover = WindowSet([Window(0, 0, 4, 2), Window(0, 2, 4, 2)])

    assert cover.uncovered(Window(1, 1, 2, 2)) is None


@given(windows=st.lists(WINDOWS, max_size=6), window=WINDOWS)
def test_windows_that_meet_are_those_with_a_common_pixel(windows, window):
    expected = [i for i, other in enumerate(windows) if not other.intersection(window).is_empty]

    assert WindowSet(windows).meeting(window) == expected
