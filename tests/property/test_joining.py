"""Pieces laid back onto the lattice, compared with a loop over pixels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips.mosaic import Canvas
from gcn_luigi.prepare.partitions.query import window_around

FILLS = {"image": -7, "label": 255}
SIZE = st.integers(1, 6)
PLACE = st.integers(-4, 8)
WINDOW = st.builds(Window, PLACE, PLACE, SIZE, SIZE)


def _world(row, col):
    """Return what any honest piece shows at a pixel."""
    return {"image": [row * 10 + col, row - col], "label": (row * 3 + col) % 3}


def _piece(at, flip=()):
    image = np.empty((2, at.height, at.width), np.int16)
    label = np.empty((at.height, at.width), np.uint8)
    for row in range(at.height):
        for col in range(at.width):
            seen = _world(at.row + row, at.col + col)
            image[:, row, col], label[row, col] = seen["image"], seen["label"]
            if (at.row + row, at.col + col) in flip:
                image[1, row, col] += 1
    return {"image": image, "label": label}


@given(WINDOW, st.lists(st.tuples(WINDOW, WINDOW), max_size=6), st.sets(st.tuples(PLACE, PLACE), max_size=5))
def test_a_canvas_shows_the_first_piece_at_each_pixel_and_counts_those_that_differ(window, laid, flipped):
    like = _piece(Window(0, 0, 1, 1))
    canvas = Canvas.empty(window, like, FILLS)
    first: dict[tuple[int, int], bool] = {}

    for number, (at, shown) in enumerate(laid):
        flip = flipped if number % 2 else set()
        n_unlike = 0
        for row in range(window.row, window.row + window.height):
            for col in range(window.col, window.col + window.width):
                inside = all(
                    box.row <= row < box.row + box.height and box.col <= col < box.col + box.width
                    for box in (at, shown)
                )
                if inside:
                    is_flipped = (row, col) in flip
                    n_unlike += first.setdefault((row, col), is_flipped) != is_flipped
        assert canvas.add(_piece(at, flip), at, shown) == n_unlike

    for row in range(window.height):
        for col in range(window.width):
            place = window.row + row, window.col + col
            expected = {"image": [-7, -7], "label": 255}
            if place in first:
                expected = _world(*place)
                expected["image"][1] += first[place]
            assert canvas.planes["image"][:, row, col].tolist() == expected["image"]
            assert canvas.planes["label"][row, col] == expected["label"]
            assert canvas.covered[row, col] == (place in first)


@given(
    st.sampled_from([10.0, 30.0, 0.1, 7.5]),
    st.tuples(*[st.floats(-1e3, 1e3) for _ in range(2)]),
    st.tuples(*[st.floats(0.5, 500) for _ in range(2)]),
)
def test_the_window_around_a_box_holds_it_and_no_whole_pixel_more(pixel_size, corner, extent):
    lattice = Lattice("EPSG:3338", 12.0, 5000.0, pixel_size, 4, 5)
    bounds = (corner[0], corner[1], corner[0] + extent[0], corner[1] + extent[1])

    window = window_around(lattice, bounds)

    left, bottom, right, top = lattice.crop(window).bounds
    slack = pixel_size * 2e-3
    assert left <= bounds[0] + slack
    assert bottom <= bounds[1] + slack
    assert right >= bounds[2] - slack
    assert top >= bounds[3] - slack
    if min(extent) > pixel_size:
        assert left + pixel_size > bounds[0] - slack
        assert right - pixel_size < bounds[2] + slack
        assert bottom + pixel_size > bounds[1] - slack
        assert top - pixel_size < bounds[3] + slack


def test_a_box_that_ends_at_pixel_edges_is_that_window():
    lattice = Lattice("EPSG:3338", 0.1, 900.3, 30.0, 40, 50)
    window = Window(3, 7, 5, 6)

    assert window_around(lattice, lattice.crop(window).bounds) == window
