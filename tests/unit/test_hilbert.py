import numpy as np
import pytest

from gcn_luigi.lattice import hilbert_order


def square(edge, step=1, row=0, col=0):
    rows, cols = np.mgrid[:edge, :edge].reshape(2, -1)
    return row + rows * step, col + cols * step


@pytest.mark.parametrize("step", [1, 256])
@pytest.mark.parametrize(("row", "col"), [(0, 0), (-8, 8), (-16, -24)])
@pytest.mark.parametrize("edge", [2, 4, 8])
def test_the_curve_passes_from_one_neighbour_to_the_next(edge, row, col, step):
    rows, cols = square(edge, step, row * step, col * step)

    order = hilbert_order(rows, cols)

    assert sorted(order) == list(range(edge * edge))
    steps = np.abs(np.diff(rows[order])) + np.abs(np.diff(cols[order]))
    assert set(steps.tolist()) == {step}


def test_a_quarter_is_finished_before_the_next_one_begins():
    rows, cols = square(16)

    quarters = (2 * (rows // 8) + cols // 8)[hilbert_order(rows, cols)]

    assert np.count_nonzero(np.diff(quarters)) == 3


def test_runs_of_places_are_compact_where_cells_are_unequally_spaced():
    rng = np.random.default_rng(5)
    rows, cols = square(40, step=300, row=-1111, col=77)
    rows, cols = rows + rng.integers(0, 90, rows.shape), cols + rng.integers(0, 90, cols.shape)

    order = hilbert_order(rows, cols)

    spans = [np.ptp(rows[run]) + np.ptp(cols[run]) for run in np.split(order, 25)]
    # 64 cells: a square spans 2 x 7 steps; a run of rows would span 39 of them along its columns alone.
    assert np.median(spans) < 25 * 300


def test_the_order_depends_on_the_places_alone():
    rng = np.random.default_rng(6)
    rows, cols = square(9, step=7)
    shuffled = rng.permutation(len(rows))

    one, other = hilbert_order(rows, cols), hilbert_order(rows[shuffled], cols[shuffled])

    np.testing.assert_array_equal(shuffled[other], one)


def test_equal_places_keep_their_order_and_no_place_is_fine():
    assert hilbert_order([5, 0, 5, 5], [5, 0, 5, 5]).tolist() == [1, 0, 2, 3]
    assert hilbert_order([], []).tolist() == []


def test_far_corners_are_apart():
    far = 2**30 - 1
    rows, cols = [-far, far, -far, far], [-far, -far, far, far]

    assert sorted(hilbert_order(rows, cols).tolist()) == [0, 1, 2, 3]
