"""Partitions put together from chips give the same chips again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.prepare.chips.chips import chip_origins, cut_chips
from gcn_luigi.prepare.chips.mosaic import reassemble

EDGES = ["clamp", "drop", "pad", "legacy"]


@settings(deadline=None)
@given(
    st.integers(1, 20),
    st.integers(0, 25),
    st.integers(0, 25),
    st.integers(1, 30),
    st.sampled_from(EDGES),
    st.integers(0, 3),
    st.data(),
)
def test_chips_come_back_whatever_the_policy(size, more_rows, more_cols, step, edge, bands, data):
    shape = (size + more_rows, size + more_cols)
    stack = np.random.default_rng(1).integers(-99, 99, (bands, *shape) if bands else shape).astype(np.int16)
    every = chip_origins(shape, size, step, edge)
    chosen = data.draw(st.lists(st.booleans(), min_size=len(every), max_size=len(every)).map(np.array))
    origins = every[chosen]
    chips = cut_chips(stack, origins, size, edge=edge, fill=-1)

    whole = reassemble(chips, origins, shape, edge=edge, fill=-1)

    assert whole.shape == stack.shape
    np.testing.assert_array_equal(cut_chips(whole, origins, size, edge=edge, fill=-1), chips)


def test_what_no_chip_shows_holds_the_fill():
    stack = np.ones((1, 6, 6), np.int16)
    origins = np.array([[0, 0], [2, 2]])

    whole = reassemble(cut_chips(stack, origins, 4, edge="drop"), origins, (6, 6), edge="drop", fill=-7)

    assert (whole[0, :4, :4] == 1).all()
    assert (whole[0, 2:, 2:] == 1).all()
    assert (whole[0, :2, 4:] == -7).all()
    assert (whole[0, 4:, :2] == -7).all()
