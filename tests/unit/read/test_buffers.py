"""Memory of batches is used again, and never while somebody still looks at it."""

import numpy as np
import pytest

from gcn_luigi.read.store.buffers import BufferPool

SHAPES = {"image": (2, 3, 4, 4), "label": (2, 4, 4)}
DTYPES = {"image": np.dtype("<i2"), "label": np.dtype("u1")}


def address(array):
    return array.__array_interface__["data"][0]


def test_what_nobody_holds_is_used_again():
    pool = BufferPool(3)
    first = address(pool.take(SHAPES, DTYPES)["image"])

    assert all(address(pool.take(SHAPES, DTYPES)["image"]) == first for _ in range(5))


@pytest.mark.parametrize("hold", [lambda a: a, lambda a: a[0], lambda a: a.T, memoryview, lambda a: [a]])
def test_what_somebody_holds_is_left_alone(hold):
    pool = BufferPool(3)
    held = hold(pool.take(SHAPES, DTYPES)["image"])
    before = np.array(held, copy=True)

    for _ in range(5):
        pool.take(SHAPES, DTYPES)["image"][:] = 7

    np.testing.assert_array_equal(np.array(held), before)


def test_no_more_is_kept_than_asked_for():
    pool = BufferPool(2)
    held = [pool.take(SHAPES, DTYPES) for _ in range(6)]

    assert len({address(arrays["image"]) for arrays in held}) == 6
    assert len(pool._kept["image"]) == 2


def test_arrays_have_the_shape_and_type_asked_for():
    pool = BufferPool(3)
    pool.take(SHAPES, DTYPES)

    other = pool.take({"image": (1, 3, 4, 4), "label": (1, 4, 4)}, DTYPES)

    assert (other["image"].shape, other["label"].shape) == ((1, 3, 4, 4), (1, 4, 4))
    assert (other["image"].dtype, other["label"].dtype) == ("<i2", "u1")
