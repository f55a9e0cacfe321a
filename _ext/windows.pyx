"""Cut chips out of planes, and gather them from many partitions.

Compiled to run without the GIL under any edge policy, and to read a plane from the first-level
cache: it is cut strip by strip, and each strip is copied into all the chips that show it. Only the
speed of writing the chips limits it.
"""

from libc.stdint cimport int64_t

from pixel cimport sample_t
from rows cimport copy_rows, gcn_stream_end, stream_rows

cdef enum:
    # The rows of a strip, read for every chip that shows them, fill a quarter of the usual first-level cache.
    STRIP_BYTES = 8192
    # Planes larger than this do not come from a partition, and few of their chips share a strip.
    MOST_STRIPPED_BYTES = 1048576
    # If all chips of a call take more bytes than this, their rows bypass the caches, which could rarely hold them.
    STREAMED_BYTES = 33554432
    # The start and length of a streamed row must be multiples of this.
    STREAMED_UNIT = 16
    # In a chip with at most this many pixels per side, the product of two positions fits in 63 bits.
    MOST_SIZE = 2147483647


def cut(
    const sample_t[:, :, ::1] stack not None,
    const int64_t[:, ::1] origins not None,
    sample_t fill,
    bint stretched,
    sample_t[:, :, :, ::1] out not None,
):
    """Copy the window at each origin into `out`; where it extends beyond the edge, use `fill` or stretch it.

    If a stretched chip has h rows inside, its row i shows row ``floor(i * h / size)``, and likewise for
    columns; a window entirely outside is `fill`. Shapes: stack (band, row, col); origins (chip, 2)
    row and column, not negative; out (chip, band, y, x), which shares no memory with stack. Releases the GIL.
    """
    cdef Py_ssize_t band, top, bottom, n_strip
    _check(origins, out)
    if stack.shape[0] != out.shape[1]:
        raise ValueError("out must have as many bands as stack")
    if out.shape[0] * out.shape[1] * out.shape[2] * out.shape[3] == 0:
        return
    # Indices: no origin is negative (_check). Origins beyond the stack are skipped; from the others on, only rows and
    # columns that both the stack and the chip have are read.
    with nogil:
        n_strip = _strip_rows(stack.shape[1], stack.shape[2] * <Py_ssize_t>sizeof(sample_t))
        for band in range(stack.shape[0]):
            top = 0
            while top < stack.shape[1] and stack.shape[2] > 0:
                bottom = min(top + n_strip, stack.shape[1])
                _cut_strip(stack, band, top, bottom, origins, stretched, out)
                top = bottom
            _cut_edges(stack, band, origins, fill, stretched, out)
        gcn_stream_end()


def gather(
    const sample_t[:, :, :, ::1] windows not None,
    const int64_t[:, ::1] extents not None,
    const int64_t[:, ::1] places not None,
    sample_t fill,
    bint stretched,
    sample_t[:, :, :, ::1] out not None,
):
    """Copy a chip from each place, given as partition, row and column; edges are treated as in `cut`.

    Shapes: windows (partition, band, row, col); extents (partition, 2), the rows and columns that
    hold samples, because smaller partitions are stored padded; places (chip, 3), not negative; out
    (chip, band, y, x), which shares no memory with windows. Releases the GIL.
    """
    cdef Py_ssize_t chip, band
    if places.shape[1] != 3 or places.shape[0] != out.shape[0] or windows.shape[1] != out.shape[1]:
        raise ValueError("places must be (chip, 3) and out (chip, band, y, x)")
    if out.shape[2] > MOST_SIZE or out.shape[3] > MOST_SIZE:
        raise ValueError("a chip must have at most 2**31 - 1 pixels per side")
    if extents.shape[0] != windows.shape[0] or extents.shape[1] != 2:
        raise ValueError("extents must be (partition, 2)")
    for chip in range(extents.shape[0]):
        if not (0 <= extents[chip, 0] <= windows.shape[2] and 0 <= extents[chip, 1] <= windows.shape[3]):
            raise ValueError("an extent is negative or larger than the windows")
    for chip in range(places.shape[0]):
        if not (0 <= places[chip, 0] < windows.shape[0]) or places[chip, 1] < 0 or places[chip, 2] < 0:
            raise ValueError("a place is outside the partitions, or its row or column is negative")
    # Indices: all partitions are in `windows`; rows and columns are not negative, those beyond the extent are skipped,
    # and no extent is larger than the windows.
    with nogil:
        if out.shape[2] * out.shape[3] > 0:
            for chip in range(places.shape[0]):
                for band in range(windows.shape[1]):
                    _gather_plane(windows, extents, places, fill, stretched, out, chip, band)


cdef void _gather_plane(
    const sample_t[:, :, :, ::1] windows,
    const int64_t[:, ::1] extents,
    const int64_t[:, ::1] places,
    sample_t fill,
    bint stretched,
    sample_t[:, :, :, ::1] out,
    Py_ssize_t chip,
    Py_ssize_t band,
) noexcept nogil:
    """Copy one band of one chip. The differences below fit in 63 bits, because no operand is negative."""
    cdef Py_ssize_t partition = places[chip, 0], row = places[chip, 1], col = places[chip, 2]
    cdef Py_ssize_t height = max(<Py_ssize_t>0, min(out.shape[2], extents[partition, 0] - row))
    cdef Py_ssize_t width = max(<Py_ssize_t>0, min(out.shape[3], extents[partition, 1] - col))
    cdef Py_ssize_t item = <Py_ssize_t>sizeof(sample_t)
    cdef const sample_t* source = NULL
    if height > 0 and width > 0:
        source = &windows[partition, band, row, col]
    if source != NULL and (not stretched or (height == out.shape[2] and width == out.shape[3])):
        copy_rows(
            <char*>&out[chip, band, 0, 0],
            out.shape[3] * item,
            <const char*>source,
            windows.shape[3] * item,
            width * item,
            height,
        )
    _finish(source, windows.shape[3], height, width, fill, stretched, out, chip, band)


cdef int _check(const int64_t[:, ::1] origins, sample_t[:, :, :, ::1] out) except -1:
    cdef Py_ssize_t chip
    if origins.shape[1] != 2 or origins.shape[0] != out.shape[0]:
        raise ValueError("origins must be (chip, 2) and out (chip, band, y, x)")
    if out.shape[2] > MOST_SIZE or out.shape[3] > MOST_SIZE:
        raise ValueError("a chip must have at most 2**31 - 1 pixels per side")
    for chip in range(origins.shape[0]):
        if origins[chip, 0] < 0 or origins[chip, 1] < 0:
            raise ValueError("a window starts before the stack")
    return 0


cdef Py_ssize_t _strip_rows(Py_ssize_t rows, Py_ssize_t row_bytes) noexcept nogil:
    if rows * row_bytes > MOST_STRIPPED_BYTES:
        return rows
    return max(<Py_ssize_t>1, STRIP_BYTES // max(<Py_ssize_t>1, row_bytes))


cdef void _cut_strip(
    const sample_t[:, :, ::1] stack,
    Py_ssize_t band,
    Py_ssize_t top,
    Py_ssize_t bottom,
    const int64_t[:, ::1] origins,
    bint stretched,
    sample_t[:, :, :, ::1] out,
) noexcept nogil:
    """Copy rows `top` to `bottom` of a band into the chips that show them."""
    cdef Py_ssize_t chip, row, col, first, last, width
    cdef Py_ssize_t item = <Py_ssize_t>sizeof(sample_t)
    cdef Py_ssize_t out_pitch = out.shape[3] * item, pitch = stack.shape[2] * item
    cdef bint streams = (
        out.shape[0] * out.shape[1] * out.shape[2] * out_pitch > STREAMED_BYTES
        and out_pitch % STREAMED_UNIT == 0
        and <size_t>&out[0, 0, 0, 0] % STREAMED_UNIT == 0
    )
    cdef char* target
    cdef const char* begin
    for chip in range(origins.shape[0]):
        row = origins[chip, 0]
        col = origins[chip, 1]
        if row >= bottom or col >= stack.shape[2]:
            continue
        # The origin is on the stack: no sum with the size of a chip exceeds 63 bits.
        first = max(top, row)
        last = min(bottom, row + out.shape[2])
        width = min(out.shape[3], stack.shape[2] - col)
        if first >= last or (stretched and (width < out.shape[3] or row + out.shape[2] > stack.shape[1])):
            continue
        target = <char*>&out[chip, band, first - row, 0]
        begin = <const char*>&stack[band, first, col]
        if streams and width == out.shape[3]:
            stream_rows(target, out_pitch, begin, pitch, out_pitch, last - first)
        else:
            copy_rows(target, out_pitch, begin, pitch, width * item, last - first)


cdef void _cut_edges(
    const sample_t[:, :, ::1] stack,
    Py_ssize_t band,
    const int64_t[:, ::1] origins,
    sample_t fill,
    bint stretched,
    sample_t[:, :, :, ::1] out,
) noexcept nogil:
    """Fill or stretch the chips that extend beyond the edge, which `_cut_strip` does not finish."""
    cdef Py_ssize_t chip, height, width
    cdef const sample_t* begin
    for chip in range(origins.shape[0]):
        height = max(<Py_ssize_t>0, min(out.shape[2], stack.shape[1] - origins[chip, 0]))
        width = max(<Py_ssize_t>0, min(out.shape[3], stack.shape[2] - origins[chip, 1]))
        begin = NULL
        if height > 0 and width > 0:
            begin = &stack[band, origins[chip, 0], origins[chip, 1]]
        _finish(begin, stack.shape[2], height, width, fill, stretched, out, chip, band)


cdef void _finish(
    const sample_t* source,
    Py_ssize_t pitch,
    Py_ssize_t height,
    Py_ssize_t width,
    sample_t fill,
    bint stretched,
    sample_t[:, :, :, ::1] out,
    Py_ssize_t chip,
    Py_ssize_t band,
) noexcept nogil:
    """Fill or stretch a chip that has `height` rows and `width` columns inside, from `source` on.

    Neither exceeds the size of the chip, and `source` is NULL if one is 0. In a stretched chip, row i
    shows row i * height // size, which is below height, and likewise for columns.
    """
    cdef Py_ssize_t i, j
    if height == out.shape[2] and width == out.shape[3]:
        return
    if stretched and source != NULL:
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[chip, band, i, j] = source[i * height // out.shape[2] * pitch + j * width // out.shape[3]]
        return
    for i in range(out.shape[2]):
        for j in range(width if i < height else 0, out.shape[3]):
            out[chip, band, i, j] = fill
