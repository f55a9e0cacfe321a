"""The byte filters of HDF5 around its compressors: shuffle and the Fletcher-32 checksum.

Compiled so that threads can run them on raw chunks without HDF5's library, which has one global lock.
numpy can shuffle only with a strided copy of single bytes, and it cannot sum 16-bit words modulo 65535.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

cdef extern from "filters.h" nogil:
    void shuffle_2(const uint8_t*, Py_ssize_t, uint8_t*)
    void shuffle_4(const uint8_t*, Py_ssize_t, uint8_t*)
    void shuffle_8(const uint8_t*, Py_ssize_t, uint8_t*)
    void unshuffle_2(const uint8_t*, Py_ssize_t, uint8_t*)
    void unshuffle_4(const uint8_t*, Py_ssize_t, uint8_t*)
    void unshuffle_8(const uint8_t*, Py_ssize_t, uint8_t*)
    uint32_t fletcher_32(const uint8_t*, Py_ssize_t)


def shuffle(
    const uint8_t[::1] values not None,
    Py_ssize_t item_size,
    uint8_t[::1] out not None,
):
    """Write the first bytes of all items, then all second bytes and so on; bytes after the last whole item stay last.

    Items have 1, 2, 4 or 8 bytes. Shapes: values, out (byte,), which share no memory. Releases the GIL.
    """
    cdef Py_ssize_t n_items = _items(values, item_size, out), n_moved = 0
    if n_items > 0:
        # Indices: the loops read and write n_items * item_size bytes; _items checks that both arrays have them.
        with nogil:
            if item_size == 2:
                shuffle_2(&values[0], n_items, &out[0])
            elif item_size == 4:
                shuffle_4(&values[0], n_items, &out[0])
            elif item_size == 8:
                shuffle_8(&values[0], n_items, &out[0])
            if item_size > 1:
                n_moved = n_items * item_size
    _copy_rest(values, n_moved, out)


def unshuffle(
    const uint8_t[::1] values not None,
    Py_ssize_t item_size,
    uint8_t[::1] out not None,
):
    """Undo `shuffle`. Shapes: values, out (byte,), which share no memory. Releases the GIL."""
    cdef Py_ssize_t n_items = _items(values, item_size, out), n_moved = 0
    if n_items > 0:
        # Indices: as in shuffle.
        with nogil:
            if item_size == 2:
                unshuffle_2(&values[0], n_items, &out[0])
            elif item_size == 4:
                unshuffle_4(&values[0], n_items, &out[0])
            elif item_size == 8:
                unshuffle_8(&values[0], n_items, &out[0])
            if item_size > 1:
                n_moved = n_items * item_size
    _copy_rest(values, n_moved, out)


cdef Py_ssize_t _items(const uint8_t[::1] values, Py_ssize_t item_size, const uint8_t[::1] out) except -1:
    """Return the number of whole items, after checking that both arrays have them and do not overlap."""
    cdef size_t begin, out_begin, n_bytes = <size_t>values.shape[0]
    if values.shape[0] != out.shape[0]:
        raise ValueError("values and out must have the same length")
    if item_size not in (1, 2, 4, 8):
        raise ValueError("item_size must be 1, 2, 4 or 8")
    if n_bytes > 0:
        begin, out_begin = <size_t>&values[0], <size_t>&out[0]
        if begin < out_begin + n_bytes and out_begin < begin + n_bytes:
            raise ValueError("values and out must not overlap")
    return values.shape[0] // item_size


cdef void _copy_rest(const uint8_t[::1] values, Py_ssize_t first, uint8_t[::1] out) noexcept nogil:
    """Copy any bytes from `first` to the end; both arrays have the same length and do not overlap."""
    if first < values.shape[0]:
        memcpy(&out[first], &values[first], <size_t>(values.shape[0] - first))


def fletcher32(
    const uint8_t[::1] values not None,
    uint32_t[::1] out not None,
):
    """Write HDF5's Fletcher-32 checksum of `values` into `out`.

    Shapes: values (byte,); out (1,). Releases the GIL.
    """
    if out.shape[0] != 1:
        raise ValueError("out must be (1,)")
    if values.shape[0] == 0:
        out[0] = 0
    else:
        # Indices: the loop reads exactly the bytes of values; if their number is odd, the last one is read alone.
        with nogil:
            out[0] = fletcher_32(&values[0], values.shape[0])
