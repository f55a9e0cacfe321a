"""Measure how often byte values repeat, to distinguish noise from data that compresses.

Compiled because numpy's bincount makes an int64 copy of every segment and holds the GIL.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    N_VALUES = 256


def squared_counts(
    const uint8_t[::1] plane not None,
    Py_ssize_t segment,
    Py_ssize_t stride,
    uint32_t[::1] counts not None,
    int64_t[::1] squares not None,
):
    """For each segment of `plane`, write the sum of the squared counts of its values.

    Only every `stride`-th byte is counted, from the first one of a segment on. Shapes: plane
    (segments x segment,); counts (256,), scratch; squares (segments,). Releases the GIL.
    """
    cdef Py_ssize_t number
    if segment < 1 or stride < 1 or segment > 0x7FFFFFFF:
        raise ValueError("segment and stride must be positive, and segment must be below 2**31")
    # This divides because a product could exceed 63 bits.
    if plane.shape[0] % segment != 0 or plane.shape[0] // segment != squares.shape[0] or counts.shape[0] != N_VALUES:
        raise ValueError("plane must consist of whole segments, and counts must have 256 values")
    # A longer stride would select the same bytes, and a sum with it could exceed 63 bits.
    stride = min(stride, segment)
    # Indices: segment `number` ends at (number + 1) * segment; the last one ends with the plane.
    with nogil:
        for number in range(squares.shape[0]):
            squares[number] = _squares_of(plane, number * segment, segment, stride, counts)


cdef int64_t _squares_of(
    const uint8_t[::1] plane,
    Py_ssize_t first,
    Py_ssize_t length,
    Py_ssize_t stride,
    uint32_t[::1] counts,
) noexcept nogil:
    """Return the sum of squares for the `length` bytes from `first` on, all within the plane."""
    cdef Py_ssize_t i
    cdef int64_t total = 0
    for i in range(N_VALUES):
        counts[i] = 0
    i = first
    while i < first + length:
        # A byte is below 256, the length of `counts`.
        counts[plane[i]] += 1
        i += stride
    # This is at most the square of a segment's length, which has 31 bits.
    for i in range(N_VALUES):
        total += <int64_t>counts[i] * counts[i]
    return total
