"""The grid covers every pixel once, wherever the lattice lies."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.partitions.grid import make_grid


@st.composite
def lattices(draw):
    pixel_size = draw(st.sampled_from([10.0, 30.0, 2.5]))
    col, row = draw(st.integers(-400_000, 400_000)), draw(st.integers(-400_000, 400_000))
    phase = draw(st.sampled_from([0.0, 0.25, 0.5]))
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    return Lattice("EPSG:32606", (col + phase) * pixel_size, (row + phase) * pixel_size, pixel_size, height, width)


@settings(max_examples=80)
@given(lattices(), st.integers(1, 40), st.sampled_from(["world", "lattice"]))
def test_every_pixel_lies_in_exactly_one_cell(lattice, size, origin):
    cells = make_grid(lattice, size, origin)

    parts = [cell.window.intersection(lattice.window) for cell in cells]
    assert all(not part.is_empty for part in parts)
    assert sum(part.height * part.width for part in parts) == lattice.height * lattice.width
    assert len({cell.window for cell in cells}) == len({cell.id for cell in cells}) == len(cells)
    assert [(c.window.row, c.window.col) for c in cells] == sorted((c.window.row, c.window.col) for c in cells)


@settings(max_examples=80)
@given(lattices(), st.integers(2, 40), st.data())
def test_an_id_means_the_same_ground_on_every_crop(lattice, size, data):
    row, col = data.draw(st.integers(0, lattice.height - 1)), data.draw(st.integers(0, lattice.width - 1))
    part = Lattice(
        lattice.crs,
        lattice.left + col * lattice.pixel_size,
        lattice.top - row * lattice.pixel_size,
        lattice.pixel_size,
        lattice.height - row,
        lattice.width - col,
    )
    whole = {cell.id: (cell.window.row, cell.window.col) for cell in make_grid(lattice, size, "world")}

    for cell in make_grid(part, size, "world"):
        assert whole[cell.id] == (cell.window.row + row, cell.window.col + col)
