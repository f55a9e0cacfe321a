"""Kernels refuse arrays that do not fit each other before they touch any of them."""

import numpy as np
import pytest

from gcn_luigi._core import counts, filters, histogram, legacy, nodata, repeats, windows


def _zeros(*shape, dtype=np.int16):
    return np.zeros(shape, dtype)


def _origins(*pairs):
    return np.array(pairs, np.int64).reshape(-1, 2)


# Each entry: the kernel, arguments that fit, and by name what does not fit in their place.
CASES = [
    (
        legacy.replace,
        {
            "stack": _zeros(3, 4, 5),
            "probes": np.array([2, 0, 1, -1]),
            "sentinels": _zeros(5),
            "selects": _zeros(3, dtype=np.uint8),
            "scratch": _zeros(5, dtype=np.uint8),
            "out": _zeros(3, 4, 5),
        },
        {
            "probes": [np.array([2, 0, 1]), np.array([3, 0, 1, -1]), np.array([-1, 0, 1, -1]), np.array([2, 0, 1, -2])],
            "sentinels": [_zeros(4)],
            "selects": [_zeros(2, dtype=np.uint8)],
            "scratch": [_zeros(4, dtype=np.uint8)],
            "out": [_zeros(2, 4, 5), _zeros(3, 3, 5), _zeros(3, 4, 4), _zeros(3, 4, 5, dtype=np.int32), None],
        },
    ),
    (
        nodata.mark_missing,
        {
            "stack": _zeros(3, 4, 5),
            "limits": _zeros(3, 4),
            "bits": np.ones(3, np.uint8),
            "inside": np.array([0, 4, 0, 5]),
            "flags": _zeros(4, 5, dtype=np.uint8),
            "out_of_range": _zeros(3, dtype=np.int64),
        },
        {
            "limits": [_zeros(2, 4), _zeros(3, 3)],
            "bits": [np.ones(2, np.uint8)],
            "inside": [np.array([0, 5, 0, 5]), np.array([0, 4, 0, 6]), np.array([-1, 4, 0, 5]), np.array([0, 4, 0])],
            "flags": [_zeros(3, 5, dtype=np.uint8), _zeros(4, 4, dtype=np.uint8)],
            "out_of_range": [_zeros(2, dtype=np.int64)],
        },
    ),
    (
        nodata.fill_missing,
        {
            "stack": _zeros(3, 4, 5),
            "bits": np.array([1, 0, 2], np.uint8),
            "flags": _zeros(4, 5, dtype=np.uint8),
            "fill": 0,
            "image": _zeros(2, 4, 5),
        },
        {
            "bits": [np.array([1, 1, 2], np.uint8), np.array([1, 2], np.uint8)],
            "flags": [_zeros(3, 5, dtype=np.uint8), _zeros(4, 4, dtype=np.uint8)],
            "image": [_zeros(3, 4, 5), _zeros(2, 3, 5), _zeros(2, 4, 4)],
        },
    ),
    (
        nodata.read_label,
        {
            "band": _zeros(4, 5),
            "nodata": 255,
            "bit": 4,
            "flags": _zeros(4, 5, dtype=np.uint8),
            "label": _zeros(4, 5, dtype=np.uint8),
        },
        {
            "flags": [_zeros(3, 5, dtype=np.uint8), _zeros(4, 4, dtype=np.uint8)],
            "label": [_zeros(3, 5, dtype=np.uint8), _zeros(4, 4, dtype=np.uint8)],
        },
    ),
    (
        windows.cut,
        {
            "stack": _zeros(3, 4, 5),
            "origins": _origins((0, 0), (9, 9)),
            "fill": 0,
            "stretched": False,
            "out": _zeros(2, 3, 2, 2),
        },
        {
            "origins": [
                _origins((0, 0)),
                _origins((-1, 0), (0, 0)),
                _origins((0, 0), (0, -1)),
                _zeros(2, 3, dtype=int),
            ],
            "out": [_zeros(1, 3, 2, 2), _zeros(2, 2, 2, 2), _zeros(2, 3, 2**31, 0), _zeros(2, 3, 0, 2**31)],
        },
    ),
    (
        windows.gather,
        {
            "windows": _zeros(2, 3, 4, 5),
            "extents": _origins((4, 5), (0, 2)),
            "places": np.array([[0, 3, 3], [1, 9, 9], [0, 0, 0]]),
            "fill": 0,
            "stretched": True,
            "out": _zeros(3, 3, 2, 2),
        },
        {
            "extents": [
                _origins((4, 5)),
                _origins((5, 5), (0, 2)),
                _origins((4, 6), (0, 2)),
                _origins((-1, 5), (0, 2)),
                _origins((4, -1), (0, 2)),
                _zeros(2, 3, dtype=int),
            ],
            "places": [
                np.array([[0, 3, 3], [2, 9, 9], [0, 0, 0]]),
                np.array([[0, 3, 3], [-1, 9, 9], [0, 0, 0]]),
                np.array([[0, -1, 3], [1, 9, 9], [0, 0, 0]]),
                np.array([[0, 3, -1], [1, 9, 9], [0, 0, 0]]),
                _zeros(2, 3, dtype=int),
                _zeros(3, 2, dtype=int),
            ],
            "out": [
                _zeros(2, 3, 2, 2),
                _zeros(3, 2, 2, 2),
                _zeros(3, 3, 2, 2, dtype=np.int32),
                _zeros(3, 3, 2**31, 0),
                _zeros(3, 3, 0, 2**31),
            ],
        },
    ),
    (
        counts.count_windows,
        {
            "label": _zeros(4, 5, dtype=np.uint8),
            "flags": _zeros(4, 5, dtype=np.uint8),
            "values": np.arange(3, dtype=np.uint8),
            "masks": _zeros(3, dtype=np.uint8),
            "origins": _origins((0, 0), (9, 9)),
            "size": 2,
            "slots": _zeros(5, dtype=np.int64),
            "columns": _zeros(6, 5, dtype=np.uint8),
            "sums": _zeros(5, 6, 6, dtype=np.uint32),
            "counts": _zeros(2, 6, dtype=np.int64),
        },
        {
            "flags": [_zeros(3, 5, dtype=np.uint8), _zeros(4, 4, dtype=np.uint8)],
            "values": [_zeros(2, dtype=np.uint8), _zeros(4, dtype=np.uint8)],
            "masks": [_zeros(2, dtype=np.uint8)],
            "origins": [
                _origins((0, 0)),
                _origins((0, 0), (-1, 0)),
                _origins((0, 0), (0, -1)),
                _zeros(2, 3, dtype=int),
            ],
            "size": [0, -1, 65536],
            "slots": [_zeros(4, dtype=np.int64)],
            "columns": [_zeros(5, 5, dtype=np.uint8), _zeros(6, 4, dtype=np.uint8)],
            "sums": [
                _zeros(4, 6, 6, dtype=np.uint32),
                _zeros(5, 5, 6, dtype=np.uint32),
                _zeros(5, 6, 5, dtype=np.uint32),
            ],
            "counts": [_zeros(1, 6, dtype=np.int64), _zeros(2, 5, dtype=np.int64)],
        },
    ),
    (
        counts.cover,
        {"origins": _origins((0, 0), (9, 9)), "size": 2, "seen": _zeros(4, 5, dtype=np.uint32)},
        {
            "origins": [_origins((0, 0), (-1, 0)), _origins((0, -1)), _zeros(2, 3, dtype=int)],
            "size": [0, -1, 65536],
        },
    ),
    (
        counts.weigh,
        {
            "label": _zeros(4, 5, dtype=np.uint8),
            "values": np.arange(3, dtype=np.uint8),
            "weight": _zeros(4, 5, dtype=np.uint32),
            "counts": _zeros(3, 2, dtype=np.int64),
        },
        {
            "values": [_zeros(2, dtype=np.uint8), _zeros(4, dtype=np.uint8)],
            "weight": [_zeros(3, 5, dtype=np.uint32), _zeros(4, 4, dtype=np.uint32)],
            "counts": [_zeros(2, 2, dtype=np.int64), _zeros(3, 1, dtype=np.int64)],
        },
    ),
    (
        counts.count_classes,
        {
            "label": _zeros(9, dtype=np.uint8),
            "values": np.arange(3, dtype=np.uint8),
            "counts": _zeros(4, dtype=np.int64),
        },
        {
            "values": [_zeros(2, dtype=np.uint8), _zeros(4, dtype=np.uint8)],
            "label": [_zeros(3, 3, dtype=np.uint8), np.zeros(18, np.uint8)[::2], None],
            "counts": [_zeros(3, dtype=np.int64), _zeros(5, dtype=np.int64)],
        },
    ),
    *(
        (
            kernel,
            {"values": _zeros(9, dtype=np.uint8), "item_size": 2, "out": _zeros(9, dtype=np.uint8)},
            {"item_size": [0, 3, -2, 16], "out": [_zeros(8, dtype=np.uint8)]},
        )
        for kernel in (filters.shuffle, filters.unshuffle)
    ),
    (
        filters.fletcher32,
        {"values": _zeros(9, dtype=np.uint8), "out": _zeros(1, dtype=np.uint32)},
        {"out": [_zeros(2, dtype=np.uint32), _zeros(0, dtype=np.uint32)]},
    ),
    (
        repeats.squared_counts,
        {
            "plane": _zeros(10, dtype=np.uint8),
            "segment": 5,
            "stride": 1,
            "counts": _zeros(256, dtype=np.uint32),
            "squares": _zeros(2, dtype=np.int64),
        },
        {
            "plane": [_zeros(9, dtype=np.uint8), _zeros(11, dtype=np.uint8)],
            "segment": [0, -5, 2, 2**31],
            "stride": [0, -1],
            "counts": [_zeros(255, dtype=np.uint32)],
            "squares": [_zeros(1, dtype=np.int64), _zeros(3, dtype=np.int64)],
        },
    ),
    (
        histogram.add,
        {
            "image": _zeros(2, 4, 5),
            "flags": _zeros(4, 5, dtype=np.uint8),
            "band_flags": _zeros(2, dtype=np.uint8),
            "weight": _zeros(4, 5, dtype=np.uint32),
            "packed": _zeros(2, 65536, dtype=np.uint64),
        },
        {
            "flags": [_zeros(3, 5, dtype=np.uint8), _zeros(4, 4, dtype=np.uint8)],
            "band_flags": [_zeros(1, dtype=np.uint8)],
            "weight": [_zeros(3, 5, dtype=np.uint32), _zeros(4, 4, dtype=np.uint32)],
            "packed": [_zeros(1, 65536, dtype=np.uint64), _zeros(2, 65535, dtype=np.uint64)],
        },
    ),
]


@pytest.mark.parametrize(("kernel", "good"), [case[:2] for case in CASES], ids=[case[0].__name__ for case in CASES])
def test_arrays_that_fit_are_taken(kernel, good):
    assert kernel(*(np.copy(value) if isinstance(value, np.ndarray) else value for value in good.values())) is None


@pytest.mark.parametrize(
    ("kernel", "good", "name", "bad"),
    [
        pytest.param(kernel, good, name, bad, id=f"{kernel.__name__}-{name}-{number}")
        for kernel, good, replacements in CASES
        for name, candidates in replacements.items()
        for number, bad in enumerate(candidates)
    ],
)
def test_arrays_that_do_not_fit_are_refused(kernel, good, name, bad):
    before = {key: np.copy(value) for key, value in good.items()}

    with pytest.raises((ValueError, TypeError)):
        kernel(*(good | {name: bad}).values())

    for key, value in good.items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("kernel", [filters.shuffle, filters.unshuffle])
@pytest.mark.parametrize("start", [0, 3, 8])
def test_bytes_are_not_shuffled_into_the_memory_they_are_read_from(kernel, start):
    memory = np.arange(17, dtype=np.uint8)

    with pytest.raises(ValueError, match="overlap"):
        kernel(memory[:9], 2, memory[start : start + 9])

    assert memory.tolist() == list(range(17))


@pytest.mark.parametrize("kernel", [filters.shuffle, filters.unshuffle])
def test_bytes_may_be_shuffled_into_the_memory_beside_them(kernel):
    memory = np.arange(18, dtype=np.uint8)

    kernel(memory[:9], 4, memory[9:])
    kernel(memory[9:], 4, memory[:9])
    kernel(memory[:0], 4, memory[:0])

    assert sorted(memory[:9]) == list(range(9))


def test_a_stride_longer_than_a_segment_looks_at_its_first_byte():
    squares = np.empty(2, np.int64)

    for stride in (5, 6, 2**63 - 1):
        repeats.squared_counts(np.arange(10, dtype=np.uint8), 5, stride, np.empty(256, np.uint32), squares)
        assert squares.tolist() == [1, 1]
