"""Undo the predictors of TIFF: differences between neighbours along rows, and the one for floating point.

Compiled because numpy's running sum along rows of several samples is slower than the inflate before it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

ctypedef fused word:
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef fused float_word:
    uint32_t
    uint64_t


def sum_differences(
    const word[:, ::1] differences not None,
    Py_ssize_t n_samples,
    word[:, ::1] out not None,
):
    """Undo horizontal differencing (predictor 2): each sample is the one to its left plus the stored difference.

    Sums wrap around. Words are in the byte order of the machine; signed integers and floats are given as words of the
    same size, as TIFF defines it. Shapes: differences, out (row, col * n_samples + sample), which may be the same
    array. Releases the GIL.
    """
    cdef Py_ssize_t n_rows = differences.shape[0], n_words = differences.shape[1], row
    _check(n_words, n_samples, out.shape[0] == n_rows and out.shape[1] == n_words)
    with nogil:
        for row in range(n_rows if n_words else 0):
            _sum_row(&differences[row, 0], n_words, n_samples, &out[row, 0])


def join_float_bytes(
    uint8_t[:, ::1] stored not None,
    Py_ssize_t n_samples,
    float_word[:, ::1] out not None,
):
    """Undo the predictor for floating point (predictor 3; Adobe Photoshop TIFF Technical Note 3, 2005).

    A stored row holds the highest bytes of all its samples, then the next bytes and so on, whatever the byte order of
    the file, as differences from the byte `n_samples` before. Shapes: stored (row, byte), out (row, col * n_samples +
    sample), the bits of the floats. `stored` is overwritten by the sums of the differences. Releases the GIL.
    """
    cdef Py_ssize_t n_rows = stored.shape[0], n_bytes = stored.shape[1], n_items = out.shape[1], row, i
    _check(n_items, n_samples, out.shape[0] == n_rows and n_items * <Py_ssize_t> sizeof(float_word) == n_bytes)
    with nogil:
        for row in range(n_rows if n_bytes else 0):
            _sum_row(&stored[row, 0], n_bytes, n_samples, &stored[row, 0])
            # Indices: n_items times the bytes of a word is n_bytes, as checked above.
            for i in range(n_items):
                if float_word is uint32_t:
                    out[row, i] = (
                        <uint32_t> stored[row, i] << 24
                        | <uint32_t> stored[row, n_items + i] << 16
                        | <uint32_t> stored[row, 2 * n_items + i] << 8
                        | <uint32_t> stored[row, 3 * n_items + i]
                    )
                else:
                    out[row, i] = (
                        <uint64_t> stored[row, i] << 56
                        | <uint64_t> stored[row, n_items + i] << 48
                        | <uint64_t> stored[row, 2 * n_items + i] << 40
                        | <uint64_t> stored[row, 3 * n_items + i] << 32
                        | <uint64_t> stored[row, 4 * n_items + i] << 24
                        | <uint64_t> stored[row, 5 * n_items + i] << 16
                        | <uint64_t> stored[row, 6 * n_items + i] << 8
                        | <uint64_t> stored[row, 7 * n_items + i]
                    )


cdef void _sum_row(const word* differences, Py_ssize_t n_words, Py_ssize_t n_samples, word* out) noexcept nogil:
    """Sum the differences of a row, which has at least `n_samples` words; `differences` and `out` may be the same."""
    cdef Py_ssize_t i
    cdef word left = 0
    if n_samples == 1:
        for i in range(n_words):
            left = <word> (left + differences[i])
            out[i] = left
        return
    for i in range(n_samples):
        out[i] = differences[i]
    for i in range(n_samples, n_words):
        out[i] = <word> (out[i - n_samples] + differences[i])


cdef int _check(Py_ssize_t length, Py_ssize_t unit, bint is_same) except -1:
    if unit < 1 or length % unit or not is_same:
        raise ValueError("rows need a whole number of pixels, and both arrays the same shape")
    return 0
