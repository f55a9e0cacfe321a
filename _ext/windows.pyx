"""Chips cut out of a stack, and counts in many overlapping windows.

Counting is many times faster than numpy, which needs a chip's worth of pixels for every
chip or six cumulated copies. Cutting into a warm buffer is about as fast as the best numpy,
both near the speed of memory: it is here to run without the GIL, whatever the edge policy.
"""

from libc.string cimport memcpy

cimport numpy as cnp

from pixel cimport sample_t

# none, debris, ice, optical missing, topo missing, any band missing.
cdef enum:
    N_CLASSES = 3
    N_CHANNELS = 6


def cut(
    const sample_t[:, :, ::1] stack not None,
    const cnp.int64_t[:, ::1] origins not None,
    sample_t fill,
    sample_t[:, :, :, ::1] out not None,
):
    """Copy the window at each origin into `out`; `fill` where it hangs over the edge.

    Shapes: stack (band, row, col); origins (chip, 2) row and column, not negative;
    out (chip, band, y, x). Releases the GIL.
    """
    cdef Py_ssize_t chip
    _check(stack, origins, out)
    with nogil:
        for chip in range(origins.shape[0]):
            _cut_one(stack, origins[chip, 0], origins[chip, 1], fill, out, chip)


def cut_stretched(
    const sample_t[:, :, ::1] stack not None,
    const cnp.int64_t[:, ::1] origins not None,
    sample_t fill,
    sample_t[:, :, :, ::1] out not None,
):
    """Copy the window at each origin into `out`, the part inside stretched over the whole chip.

    Row i of a chip of which h rows lie inside shows row ``floor(i * h / size)``, columns
    likewise; a window wholly outside is `fill`. Shapes as in `cut`. Releases the GIL.
    """
    cdef Py_ssize_t chip, row, col
    _check(stack, origins, out)
    with nogil:
        for chip in range(origins.shape[0]):
            row = origins[chip, 0]
            col = origins[chip, 1]
            if row <= stack.shape[1] - out.shape[2] and col <= stack.shape[2] - out.shape[3]:
                _cut_one(stack, row, col, fill, out, chip)
            elif row >= stack.shape[1] or col >= stack.shape[2]:
                _cut_one(stack, row, col, fill, out, chip)
            else:
                _stretch_one(stack, row, col, out, chip)


cdef int _check(
    const sample_t[:, :, ::1] stack,
    const cnp.int64_t[:, ::1] origins,
    sample_t[:, :, :, ::1] out,
) except -1:
    cdef Py_ssize_t chip
    if origins.shape[1] != 2 or origins.shape[0] != out.shape[0] or stack.shape[0] != out.shape[1]:
        raise ValueError("origins is not (chip, 2) or out is not (chip, band, y, x)")
    for chip in range(origins.shape[0]):
        if origins[chip, 0] < 0 or origins[chip, 1] < 0:
            raise ValueError("a window starts before the stack")
    return 0


cdef void _cut_one(
    const sample_t[:, :, ::1] stack,
    Py_ssize_t row,
    Py_ssize_t col,
    sample_t fill,
    sample_t[:, :, :, ::1] out,
    Py_ssize_t chip,
) noexcept nogil:
    cdef Py_ssize_t height = max(0, min(out.shape[2], stack.shape[1] - row))
    cdef Py_ssize_t width = max(0, min(out.shape[3], stack.shape[2] - col))
    cdef Py_ssize_t band, i, j, first
    for band in range(stack.shape[0]):
        for i in range(out.shape[2]):
            first = 0
            if i < height and width > 0:
                memcpy(&out[chip, band, i, 0], &stack[band, row + i, col], width * sizeof(sample_t))
                first = width
            for j in range(first, out.shape[3]):
                out[chip, band, i, j] = fill


cdef void _stretch_one(
    const sample_t[:, :, ::1] stack,
    Py_ssize_t row,
    Py_ssize_t col,
    sample_t[:, :, :, ::1] out,
    Py_ssize_t chip,
) noexcept nogil:
    cdef Py_ssize_t height = min(out.shape[2], stack.shape[1] - row)
    cdef Py_ssize_t width = min(out.shape[3], stack.shape[2] - col)
    cdef Py_ssize_t band, i, j, source
    for band in range(stack.shape[0]):
        for i in range(out.shape[2]):
            source = row + i * height // out.shape[2]
            for j in range(out.shape[3]):
                out[chip, band, i, j] = stack[band, source, col + j * width // out.shape[3]]


def integrate(
    const cnp.uint8_t[:, ::1] label not None,
    const cnp.uint8_t[:, ::1] flags not None,
    const cnp.uint8_t[::1] masks not None,
    cnp.uint32_t[:, :, ::1] sums not None,
):
    """Write the summed-area tables of three classes and three masks of flags.

    ``sums[r, c]`` counts the pixels above row r and left of column c. Counts wrap at 2**32,
    which differences of them undo. Shapes: label, flags (row, col); masks (3,);
    sums (row + 1, col + 1, 6). Releases the GIL.
    """
    cdef Py_ssize_t y, x, k
    if flags.shape[0] != label.shape[0] or flags.shape[1] != label.shape[1]:
        raise ValueError("label and flags differ in shape")
    if sums.shape[0] != label.shape[0] + 1 or sums.shape[1] != label.shape[1] + 1:
        raise ValueError("sums is not one row and one column larger than label")
    if masks.shape[0] != N_CHANNELS - N_CLASSES or sums.shape[2] != N_CHANNELS:
        raise ValueError("masks holds 3 values and sums 6 tables")
    with nogil:
        for x in range(sums.shape[1]):
            for k in range(N_CHANNELS):
                sums[0, x, k] = 0
        for y in range(label.shape[0]):
            _integrate_row(label, flags, masks, sums, y)


cdef void _integrate_row(
    const cnp.uint8_t[:, ::1] label,
    const cnp.uint8_t[:, ::1] flags,
    const cnp.uint8_t[::1] masks,
    cnp.uint32_t[:, :, ::1] sums,
    Py_ssize_t y,
) noexcept nogil:
    cdef cnp.uint32_t[N_CHANNELS] running
    cdef Py_ssize_t x, k
    for k in range(N_CHANNELS):
        running[k] = 0
        sums[y + 1, 0, k] = 0
    for x in range(label.shape[1]):
        for k in range(N_CLASSES):
            running[k] += label[y, x] == k
            running[N_CLASSES + k] += (flags[y, x] & masks[k]) != 0
        for k in range(N_CHANNELS):
            sums[y + 1, x + 1, k] = sums[y, x + 1, k] + running[k]


def count(
    const cnp.uint32_t[:, :, ::1] sums not None,
    const cnp.int64_t[:, ::1] origins not None,
    Py_ssize_t size,
    cnp.int64_t[:, ::1] counts not None,
):
    """Read from the tables of `integrate` how many pixels of each kind a window holds.

    The part of a window beyond the edge counts in nothing. Shapes: sums (row + 1, col + 1, 6);
    origins (chip, 2), not negative; counts (chip, 6). Releases the GIL.
    """
    cdef Py_ssize_t chip, k, top, left, bottom, right
    if sums.shape[0] < 1 or sums.shape[1] < 1 or sums.shape[2] != N_CHANNELS:
        raise ValueError("sums is not (row + 1, col + 1, 6)")
    if origins.shape[1] != 2 or counts.shape[0] != origins.shape[0] or counts.shape[1] != N_CHANNELS:
        raise ValueError("origins is not (chip, 2) or counts is not (chip, 6)")
    if size < 1 or size > 65535:
        raise ValueError("size is not in 1..65535")
    for chip in range(origins.shape[0]):
        if origins[chip, 0] < 0 or origins[chip, 1] < 0:
            raise ValueError("a window starts before the stack")
    with nogil:
        for chip in range(origins.shape[0]):
            top = min(origins[chip, 0], sums.shape[0] - 1)
            left = min(origins[chip, 1], sums.shape[1] - 1)
            bottom = min(top + size, sums.shape[0] - 1)
            right = min(left + size, sums.shape[1] - 1)
            for k in range(N_CHANNELS):
                counts[chip, k] = <cnp.uint32_t>(
                    sums[bottom, right, k] - sums[top, right, k] - sums[bottom, left, k] + sums[top, left, k]
                )
