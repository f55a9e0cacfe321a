"""Histograms of int16 bands, one bin per value, which count pixels and their weights in one pass.

Compiled because numpy needs a mask, a flattened copy and a weighted bincount in float64 for each
band. Both counts of a bin share one 64-bit word, so a sample costs one read and one write.
The latency of these limits the speed, not the arithmetic.
"""

from libc.stdint cimport int16_t, uint8_t, uint32_t, uint64_t

from rows cimport GCN_BLOCK, add_packed, pack_weights

cdef enum:
    N_BINS = 65536
    ZERO_BIN = 32768


def add(
    const int16_t[:, :, ::1] image not None,
    const uint8_t[:, ::1] flags not None,
    const uint8_t[::1] band_flags not None,
    const uint32_t[:, ::1] weight not None,
    uint64_t[:, ::1] packed not None,
):
    """Count each sample in bin ``value + 32768`` of its band, unless the band's flag is set or the weight is 0.

    A bin holds the sum of weights in its upper 32 bits and the number of pixels in its lower 32 bits.
    The caller makes sure that neither exceeds 2**32 - 1. Shapes: image (band, row, col); flags, weight (row, col);
    band_flags (band,); packed (band, 65536), added to. Releases the GIL.
    """
    cdef Py_ssize_t first = 0, length, n_pixels = image.shape[1] * image.shape[2]
    if flags.shape[0] != image.shape[1] or flags.shape[1] != image.shape[2]:
        raise ValueError("flags must have the image's (row, col)")
    if weight.shape[0] != image.shape[1] or weight.shape[1] != image.shape[2]:
        raise ValueError("weight must have the image's (row, col)")
    if band_flags.shape[0] != image.shape[0] or packed.shape[0] != image.shape[0]:
        raise ValueError("band_flags and packed must have one row per band")
    if packed.shape[1] != N_BINS:
        raise ValueError("packed must have 65536 bins per band")
    if image.shape[0] == 0 or n_pixels == 0:
        return
    # Indices: flags, weight and each band have n_pixels samples, and first + length never exceeds this.
    with nogil:
        while first < n_pixels:
            length = min(<Py_ssize_t>GCN_BLOCK, n_pixels - first)
            _add_block(image, &flags[0, 0] + first, band_flags, &weight[0, 0] + first, packed, first, length)
            first += length


cdef void _add_block(
    const int16_t[:, :, ::1] image,
    const uint8_t* flags,
    const uint8_t[::1] band_flags,
    const uint32_t* weight,
    uint64_t[:, ::1] packed,
    Py_ssize_t first,
    Py_ssize_t length,
) noexcept nogil:
    """Add the `length` pixels from `first` on, at most GCN_BLOCK of them; flags and weight start at `first`."""
    cdef uint64_t[GCN_BLOCK] words
    cdef Py_ssize_t band
    for band in range(image.shape[0]):
        # Neighbouring bands usually have the same role and therefore the same flag.
        if band == 0 or band_flags[band] != band_flags[band - 1]:
            pack_weights(weight, flags, band_flags[band], length, words)
        # From the middle of 65536 bins, an int16 reaches at most 32768 bins down and 32767 up.
        add_packed(&image[band, 0, 0] + first, words, length, &packed[band, ZERO_BIN])
