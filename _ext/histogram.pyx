"""Histograms of bands, which count pixels and their weights in one pass: int16 with one bin per value, and float32.

Compiled because numpy needs a mask, a flattened copy and a weighted bincount in float64 for each
band. Both counts of a bin share one 64-bit word, so a sample costs one read and one write.
The latency of these limits the speed, not the arithmetic.
"""

from libc.stdint cimport INT32_MIN, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from rows cimport GCN_BLOCK, add_packed, pack_weights

cdef enum:
    N_BINS = 65536
    ZERO_BIN = 32768
    # Counts of a bin of floats, and steps from its start to its middle.
    N_COUNTS = 6
    MIDDLE = 32768


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


def add_floats(
    const int32_t[:, :, ::1] image not None,
    const uint8_t[:, ::1] flags not None,
    const uint8_t[::1] band_flags not None,
    const uint32_t[:, ::1] weight not None,
    int64_t[:, :, ::1] counts not None,
    int32_t[:, ::1] extremes not None,
):
    """Count each finite float32 in the bin of its upper 16 bits, unless the band's flag is set or the weight is 0.

    `image` holds the bits of the floats. Of each bin, three sums are added to, each once per pixel and then by weight:
    the number of samples, their steps from the middle of the bin, and the squares of these steps. A step is a unit of
    the lower 16 bits. The caller makes sure that no sum exceeds 63 bits. `extremes` are the smallest and largest value
    of a band, as whole numbers that are in the order of the floats. Shapes: image (band, row, col); flags, weight
    (row, col); band_flags (band,); counts (band, 65536, 6); extremes (band, 2), both updated. Releases the GIL.
    """
    cdef Py_ssize_t band, n_pixels = image.shape[1] * image.shape[2]
    if flags.shape[0] != image.shape[1] or flags.shape[1] != image.shape[2]:
        raise ValueError("flags must have the image's (row, col)")
    if weight.shape[0] != image.shape[1] or weight.shape[1] != image.shape[2]:
        raise ValueError("weight must have the image's (row, col)")
    if band_flags.shape[0] != image.shape[0] or counts.shape[0] != image.shape[0]:
        raise ValueError("band_flags and counts must have one row per band")
    if extremes.shape[0] != image.shape[0] or extremes.shape[1] != 2:
        raise ValueError("extremes must be (band, 2)")
    if counts.shape[1] != N_BINS or counts.shape[2] != N_COUNTS:
        raise ValueError("counts must have 65536 bins of 6 sums per band")
    if n_pixels == 0:
        return
    # Indices: flags, weight and each band have n_pixels samples.
    with nogil:
        for band in range(image.shape[0]):
            _add_floats(
                &image[band, 0, 0], &flags[0, 0], band_flags[band], &weight[0, 0], n_pixels,
                &counts[band, 0, 0], &extremes[band, 0],
            )


cdef void _add_floats(
    const int32_t* run,
    const uint8_t* flags,
    uint8_t bit,
    const uint32_t* weight,
    Py_ssize_t n_pixels,
    int64_t* counts,
    int32_t* extremes,
) noexcept nogil:
    """Add the `n_pixels` samples of one band, whose counts are (65536, 6)."""
    cdef Py_ssize_t i
    cdef int32_t bits, lowest = extremes[0], highest = extremes[1]
    cdef int64_t step, times
    cdef int64_t* of_bin
    for i in range(n_pixels):
        if weight[i] == 0 or flags[i] & bit:
            continue
        # Negative zero is the same value as zero.
        bits = run[i] if run[i] != INT32_MIN else 0
        # Read as whole numbers, negative floats are in reverse order.
        bits = bits if bits >= 0 else <int32_t>(bits ^ 0x7FFFFFFF)
        # An int32 has an upper half of -32768 to 32767, so the bin is one of 65536.
        of_bin = counts + N_COUNTS * ((bits >> 16) + ZERO_BIN)
        step = (bits & 0xFFFF) - MIDDLE
        times = weight[i]
        of_bin[0] += 1
        of_bin[1] += step
        of_bin[2] += step * step
        of_bin[3] += times
        of_bin[4] += times * step
        of_bin[5] += times * step * step
        lowest = min(lowest, bits)
        highest = max(highest, bits)
    extremes[0] = lowest
    extremes[1] = highest
