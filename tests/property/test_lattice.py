"""Windows and bounds are two spellings of the same pixels, on any lattice."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.errors import LatticeError
from gcn_luigi.lattice import Lattice, Window

coordinates = st.floats(-1e7, 1e7, allow_nan=False, allow_subnormal=False)
lattices = st.builds(
    Lattice,
    st.sampled_from(["EPSG:3338", "EPSG:32606"]),
    coordinates,
    coordinates,
    st.sampled_from([0.5, 2.0, 10.0, 30.0, 27.3, 1000.0]),
    st.integers(1, 100_000),
    st.integers(1, 100_000),
)
windows = st.builds(
    Window, st.integers(-50_000, 50_000), st.integers(-50_000, 50_000), st.integers(1, 5_000), st.integers(1, 5_000)
)
small = st.builds(Window, st.integers(-6, 6), st.integers(-6, 6), st.integers(0, 6), st.integers(0, 6))


def pixels(window):
    rows = range(window.row, window.row + window.height)
    return {(row, col) for row in rows for col in range(window.col, window.col + window.width)}


@given(lattices, windows)
def test_bounds_of_a_window_give_the_window_back(lattice, window):
    assert lattice.window_of(lattice.crop(window).bounds, where="x") == window


@given(lattices)
def test_a_lattice_covers_itself(lattice):
    assert lattice.window_of(lattice.bounds, where="x") == lattice.window
    assert lattice.crop(lattice.window) == lattice


@given(lattices, windows, st.floats(0.01, 0.99), st.sampled_from([(1, 0), (0, 1), (1, 1)]))
def test_a_fraction_of_a_pixel_is_never_shifted_silently(lattice, window, share, direction):
    left, bottom, right, top = lattice.crop(window).bounds
    dx, dy = (share * lattice.pixel_size * step for step in direction)
    shifted = (left + dx, bottom + dy, right + dx, top + dy)

    with pytest.raises(LatticeError):
        lattice.window_of(shifted, where="x")
    snapped = lattice.window_of(shifted, where="x", snap=True)

    assert (snapped.height, snapped.width) == (window.height, window.width)
    assert abs(snapped.row - window.row) <= 1
    assert abs(snapped.col - window.col) <= 1
    assert lattice.window_of(lattice.crop(snapped).bounds, where="x") == snapped


@pytest.mark.parametrize("size", [1, 2, 255, 256])
@pytest.mark.parametrize(
    ("share", "moved"), [(0.0, 0), (0.4, 0), (0.5, 1), (0.6, 1), (1.5, 2), (2.5, 3), (-0.5, 0), (-1.5, -1)]
)
def test_snapped_bounds_keep_their_size_wherever_they_lie(size, share, moved):
    lattice = Lattice("EPSG:3338", 0.0, 0.0, 30.0, 1000, 1000)
    corner = 100 + share
    bounds = (corner * 30, -(corner + size) * 30, (corner + size) * 30, -corner * 30)

    assert lattice.window_of(bounds, where="x", snap=True) == Window(100 + moved, 100 + moved, size, size)


@given(st.lists(lattices, min_size=2, max_size=2), st.data())
def test_equality_is_of_every_field_and_equal_lattices_hash_equal(pair, data):
    one, other = pair
    names = [field.name for field in dataclasses.fields(Lattice)]
    taken = data.draw(st.sets(st.sampled_from(names)))
    mixed = dataclasses.replace(one, **{name: getattr(other, name) for name in taken})

    assert (mixed == one) == all(getattr(mixed, name) == getattr(one, name) for name in names)
    assert mixed != one or hash(mixed) == hash(one)


@settings(max_examples=60)
@given(small, small)
def test_an_intersection_is_that_of_the_pixels(one, other):
    common = one.intersection(other)

    assert pixels(common) == pixels(one) & pixels(other)
    assert common.is_empty == (not pixels(common))
