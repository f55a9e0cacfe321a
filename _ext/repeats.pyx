"""How far the values of a byte plane repeat, to tell noise from what compresses.

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
    """Write for each segment of `plane` the sum of the squares of how often each value occurs.

    Every `stride`-th byte is looked at, from the first of a segment on. Shapes: plane
    (segments x segment,); counts (256,) scratch; squares (segments,). Releases the GIL.
    """
    cdef Py_ssize_t number
    if segment < 1 or stride < 1 or segment > 0x7FFFFFFF:
        raise ValueError("segment and stride are not positive, or a segment exceeds 31 bits")
    # Divided, not multiplied: the product could pass 63 bits.
    if plane.shape[0] % segment != 0 or plane.shape[0] // segment != squares.shape[0] or counts.shape[0] != N_VALUES:
        raise ValueError("plane is not whole segments, or counts does not hold 256 values")
    # A longer stride looks at no other bytes, and a sum with it could pass 63 bits.
    stride = min(stride, segment)
    # Indices: segment `number` ends at (number + 1) * segment, the last one where the plane ends.
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
    """Return the sum of squares for the `length` bytes from `first` on, all of which the plane has."""
    cdef Py_ssize_t i
    cdef int64_t total = 0
    for i in range(N_VALUES):
        counts[i] = 0
    i = first
    while i < first + length:
        # A byte is below 256, as many as `counts` holds.
        counts[plane[i]] += 1
        i += stride
    # At most the square of a segment, which has 31 bits.
    for i in range(N_VALUES):
        total += <int64_t>counts[i] * counts[i]
    return total
