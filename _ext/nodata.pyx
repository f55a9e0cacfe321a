"""Find, fill and record missing samples by role.

Compiled because one pass over a stack replaces the dozen temporaries that the
same rule needs in numpy, and because threads then run without the GIL. Samples are
processed in blocks whose flags stay in the first-level cache for all bands.
"""

from libc.stdint cimport int64_t, uint8_t

from pixel cimport pixel_t
from rows cimport GCN_BLOCK, fill_run, label_run, mark_run


def mark_missing(
    const pixel_t[:, :, ::1] stack not None,
    const pixel_t[:, ::1] limits not None,
    const uint8_t[::1] bits not None,
    const int64_t[::1] inside not None,
    uint8_t[:, ::1] flags not None,
    int64_t[::1] out_of_range not None,
):
    """Set a band's bit in `flags` where it is missing; count finite values out of range.

    Shapes: stack (band, row, col); limits (band, 4), nodata, second sentinel, lowest and highest
    valid value; bits (band,), where 0 skips the band; inside (4,), first row, end row, first
    column and end column to process; flags (row, col) and out_of_range (band,), added to.
    Releases the GIL.
    """
    cdef Py_ssize_t y, width
    if limits.shape[0] != stack.shape[0] or limits.shape[1] != 4:
        raise ValueError("limits must be (band, 4)")
    if bits.shape[0] != stack.shape[0] or out_of_range.shape[0] != stack.shape[0]:
        raise ValueError("bits and out_of_range must have one value per band")
    if flags.shape[0] != stack.shape[1] or flags.shape[1] != stack.shape[2]:
        raise ValueError("flags must have the stack's (row, col)")
    if inside.shape[0] != 4 or min(inside) < 0 or inside[1] > stack.shape[1] or inside[3] > stack.shape[2]:
        raise ValueError("inside extends beyond the stack")
    # Indices: a run starts within the stack, because its first row and column come before ends that are within it. A
    # run is either all of some whole rows or a part of one row.
    with nogil:
        width = inside[3] - inside[2]
        if inside[0] >= inside[1] or width <= 0:
            pass
        elif width == stack.shape[2]:
            _mark_run(stack, limits, bits, flags, out_of_range, inside[0], 0, (inside[1] - inside[0]) * width)
        else:
            for y in range(inside[0], inside[1]):
                _mark_run(stack, limits, bits, flags, out_of_range, y, inside[2], width)


cdef void _mark_run(
    const pixel_t[:, :, ::1] stack,
    const pixel_t[:, ::1] limits,
    const uint8_t[::1] bits,
    uint8_t[:, ::1] flags,
    int64_t[::1] out_of_range,
    Py_ssize_t row,
    Py_ssize_t col,
    Py_ssize_t n,
) noexcept nogil:
    """Mark `n` pixels from (row, col) on, which every plane has. Do all bands of a block before the next block."""
    cdef Py_ssize_t band, first = 0, length
    cdef uint8_t* marked = &flags[row, col]
    while first < n:
        length = min(<Py_ssize_t>GCN_BLOCK, n - first)
        for band in range(stack.shape[0]):
            if bits[band] != 0:
                out_of_range[band] += mark_run(
                    &stack[band, row, col] + first, length, &limits[band, 0], bits[band], marked + first
                )
        first += length


def fill_missing(
    const pixel_t[:, :, ::1] stack not None,
    const uint8_t[::1] bits not None,
    const uint8_t[:, ::1] flags not None,
    pixel_t fill,
    pixel_t[:, :, ::1] image not None,
):
    """Copy the bands that have a bit into `image`, with `fill` where `flags` has that bit.

    Shapes: stack (band, row, col); bits (band,), where 0 skips the band; flags (row, col);
    image (bands with a bit, row, col). Releases the GIL.
    """
    cdef Py_ssize_t band, n_kept = 0, n_pixels = stack.shape[1] * stack.shape[2]
    for band in range(bits.shape[0]):
        n_kept += bits[band] != 0
    if bits.shape[0] != stack.shape[0] or image.shape[0] != n_kept:
        raise ValueError("bits must have one value per band, image one plane per bit")
    if flags.shape[0] != stack.shape[1] or flags.shape[1] != stack.shape[2]:
        raise ValueError("flags must have the stack's (row, col)")
    if image.shape[1] != stack.shape[1] or image.shape[2] != stack.shape[2]:
        raise ValueError("image must have the stack's (row, col)")
    n_kept = 0
    # Indices: flags and all planes have n_pixels samples, and image has one plane per band with a bit.
    with nogil:
        for band in range(stack.shape[0] if n_pixels > 0 else 0):
            if bits[band] != 0:
                fill_run(&stack[band, 0, 0], n_pixels, &flags[0, 0], bits[band], fill, &image[n_kept, 0, 0])
                n_kept += 1


def read_label(
    const pixel_t[:, ::1] band not None,
    pixel_t nodata,
    uint8_t bit,
    uint8_t[:, ::1] flags not None,
    uint8_t[:, ::1] label not None,
):
    """Write classes 0, 1 and 2 of `band` into `label`, and 255 elsewhere or where `flags` has `bit`.

    `bit` is set in `flags` wherever 255 is written. Shapes: band, flags, label (row, col).
    Releases the GIL.
    """
    cdef Py_ssize_t n_pixels = band.shape[0] * band.shape[1]
    if flags.shape[0] != band.shape[0] or flags.shape[1] != band.shape[1]:
        raise ValueError("flags must have the band's (row, col)")
    if label.shape[0] != band.shape[0] or label.shape[1] != band.shape[1]:
        raise ValueError("label must have the band's (row, col)")
    if n_pixels > 0:
        # Indices: the three planes have n_pixels samples each.
        with nogil:
            label_run(&band[0, 0], n_pixels, nodata, bit, &flags[0, 0], &label[0, 0])
