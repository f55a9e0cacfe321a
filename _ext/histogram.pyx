"""Weighted histograms of int16 bands, one bin a value.

Compiled because numpy needs a mask, a flattened copy and a weighted bincount
in float64 for each band; here integers are added once.
"""

cimport numpy as cnp

cdef enum:
    N_BINS = 65536
    ZERO_BIN = 32768


def add(
    const cnp.int16_t[:, :, ::1] image not None,
    const cnp.uint8_t[:, ::1] flags not None,
    const cnp.uint8_t[::1] band_flags not None,
    const cnp.uint32_t[:, ::1] weight not None,
    cnp.int64_t[:, ::1] histogram not None,
):
    """Add `weight` to bin ``value + 32768`` of each band, save where the band's flag is set.

    Shapes: image (band, row, col); flags, weight (row, col); band_flags (band,);
    histogram (band, 65536), added to. Releases the GIL.
    """
    cdef Py_ssize_t band, y
    if flags.shape[0] != image.shape[1] or flags.shape[1] != image.shape[2]:
        raise ValueError("flags is not (row, col) of the image")
    if weight.shape[0] != image.shape[1] or weight.shape[1] != image.shape[2]:
        raise ValueError("weight is not (row, col) of the image")
    if band_flags.shape[0] != image.shape[0] or histogram.shape[0] != image.shape[0]:
        raise ValueError("band_flags and histogram have one row a band")
    if histogram.shape[1] != N_BINS:
        raise ValueError("histogram has 65536 bins a band")
    with nogil:
        for band in range(image.shape[0]):
            for y in range(image.shape[1]):
                _add_row(image, flags, band_flags[band], weight, histogram, band, y)


cdef void _add_row(
    const cnp.int16_t[:, :, ::1] image,
    const cnp.uint8_t[:, ::1] flags,
    cnp.uint8_t bit,
    const cnp.uint32_t[:, ::1] weight,
    cnp.int64_t[:, ::1] histogram,
    Py_ssize_t band,
    Py_ssize_t y,
) noexcept nogil:
    cdef Py_ssize_t x
    for x in range(image.shape[2]):
        if (flags[y, x] & bit) == 0:
            histogram[band, <Py_ssize_t>image[band, y, x] + ZERO_BIN] += weight[y, x]
