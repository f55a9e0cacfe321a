"""Missing samples by role: found, filled, recorded.

Compiled because one pass over a stack replaces the dozen temporaries that the
same rule needs in numpy, and because threads then run without the GIL.
"""

cimport numpy as cnp

from pixel cimport is_finite, pixel_t


def mark_missing(
    const pixel_t[:, :, ::1] stack not None,
    const pixel_t[:, ::1] limits not None,
    const cnp.uint8_t[::1] bits not None,
    const cnp.int64_t[::1] inside not None,
    cnp.uint8_t[:, ::1] flags not None,
    cnp.int64_t[::1] out_of_range not None,
):
    """Set a band's bit in `flags` where it is missing; count finite values out of range.

    Shapes: stack (band, row, col); limits (band, 4) nodata, second sentinel, lowest and highest
    valid value; bits (band,), 0 leaves the band out; inside (4,) first row, end row, first
    column, end column to look at; flags (row, col) and out_of_range (band,) are added to.
    Releases the GIL.
    """
    cdef Py_ssize_t band, y
    if limits.shape[0] != stack.shape[0] or limits.shape[1] != 4:
        raise ValueError("limits is not (band, 4)")
    if bits.shape[0] != stack.shape[0] or out_of_range.shape[0] != stack.shape[0]:
        raise ValueError("bits and out_of_range have one value a band")
    if flags.shape[0] != stack.shape[1] or flags.shape[1] != stack.shape[2]:
        raise ValueError("flags is not (row, col) of the stack")
    if inside.shape[0] != 4 or min(inside) < 0 or inside[1] > stack.shape[1] or inside[3] > stack.shape[2]:
        raise ValueError("inside reaches beyond the stack")
    with nogil:
        for y in range(inside[0], inside[1]):
            for band in range(stack.shape[0]):
                if bits[band] != 0:
                    out_of_range[band] += _mark_row(stack, limits, bits[band], inside, flags, band, y)


cdef Py_ssize_t _mark_row(
    const pixel_t[:, :, ::1] stack,
    const pixel_t[:, ::1] limits,
    cnp.uint8_t bit,
    const cnp.int64_t[::1] inside,
    cnp.uint8_t[:, ::1] flags,
    Py_ssize_t band,
    Py_ssize_t y,
) noexcept nogil:
    cdef pixel_t nodata = limits[band, 0], sentinel = limits[band, 1]
    cdef pixel_t lowest = limits[band, 2], highest = limits[band, 3], value
    cdef cnp.uint8_t gone, wild
    cdef Py_ssize_t n_wild = 0, x
    for x in range(inside[2], inside[3]):
        value = stack[band, y, x]
        gone = (value == nodata) | (value == sentinel) | (not is_finite(value))
        wild = ((value < lowest) | (value > highest)) & (gone ^ 1)
        n_wild += wild
        flags[y, x] |= bit * (gone | wild)
    return n_wild


def fill_missing(
    const pixel_t[:, :, ::1] stack not None,
    const cnp.uint8_t[::1] bits not None,
    const cnp.uint8_t[:, ::1] flags not None,
    pixel_t fill,
    pixel_t[:, :, ::1] image not None,
):
    """Copy the bands with a bit into `image`, `fill` where `flags` has that bit.

    Shapes: stack (band, row, col); bits (band,), 0 leaves the band out; flags (row, col);
    image (bands with a bit, row, col). Releases the GIL.
    """
    cdef Py_ssize_t band, y, n_kept = 0
    for band in range(bits.shape[0]):
        n_kept += bits[band] != 0
    if bits.shape[0] != stack.shape[0] or image.shape[0] != n_kept:
        raise ValueError("bits has one value a band, image one plane a bit")
    if flags.shape[0] != stack.shape[1] or flags.shape[1] != stack.shape[2]:
        raise ValueError("flags is not (row, col) of the stack")
    if image.shape[1] != stack.shape[1] or image.shape[2] != stack.shape[2]:
        raise ValueError("image is not (row, col) of the stack")
    n_kept = 0
    with nogil:
        for band in range(stack.shape[0]):
            if bits[band] != 0:
                for y in range(stack.shape[1]):
                    _fill_row(stack, bits[band], flags, fill, image, band, n_kept, y)
                n_kept += 1


cdef void _fill_row(
    const pixel_t[:, :, ::1] stack,
    cnp.uint8_t bit,
    const cnp.uint8_t[:, ::1] flags,
    pixel_t fill,
    pixel_t[:, :, ::1] image,
    Py_ssize_t band,
    Py_ssize_t plane,
    Py_ssize_t y,
) noexcept nogil:
    cdef Py_ssize_t x
    cdef pixel_t value
    for x in range(stack.shape[2]):
        # Read in any case: a conditional read cannot be vectorised.
        value = stack[band, y, x]
        image[plane, y, x] = fill if (flags[y, x] & bit) != 0 else value


def read_label(
    const pixel_t[:, ::1] band not None,
    pixel_t nodata,
    cnp.uint8_t bit,
    cnp.uint8_t[:, ::1] flags not None,
    cnp.uint8_t[:, ::1] label not None,
):
    """Write the classes 0, 1, 2 of `band` into `label`, 255 elsewhere and where `flags` has `bit`.

    `bit` is set in `flags` wherever 255 is written. Shapes: band, flags, label (row, col).
    Releases the GIL.
    """
    cdef Py_ssize_t y, x
    cdef pixel_t value
    cdef bint known
    if flags.shape[0] != band.shape[0] or flags.shape[1] != band.shape[1]:
        raise ValueError("flags is not (row, col) of the band")
    if label.shape[0] != band.shape[0] or label.shape[1] != band.shape[1]:
        raise ValueError("label is not (row, col) of the band")
    with nogil:
        for y in range(band.shape[0]):
            for x in range(band.shape[1]):
                value = band[y, x]
                # Without a branch, and never casting a value that uint8 cannot hold.
                known = ((value == 0) | (value == 1) | (value == 2)) & (value != nodata) & ((flags[y, x] & bit) == 0)
                label[y, x] = (value == 1) | ((value == 2) << 1) if known else 255
                flags[y, x] = flags[y, x] | (0 if known else bit)
