"""The loops of `rows.h`, by sample type."""

cimport numpy as cnp

from pixel cimport pixel_t

cdef extern from "rows.h" nogil:
    enum:
        GCN_BLOCK
    Py_ssize_t mark_int16(const cnp.int16_t*, Py_ssize_t, const cnp.int16_t*, cnp.uint8_t, cnp.uint8_t*)
    Py_ssize_t mark_int32(const cnp.int32_t*, Py_ssize_t, const cnp.int32_t*, cnp.uint8_t, cnp.uint8_t*)
    Py_ssize_t mark_float32(const cnp.float32_t*, Py_ssize_t, const cnp.float32_t*, cnp.uint8_t, cnp.uint8_t*)
    Py_ssize_t mark_float64(const cnp.float64_t*, Py_ssize_t, const cnp.float64_t*, cnp.uint8_t, cnp.uint8_t*)
    void fill_int16(
        const cnp.int16_t*, Py_ssize_t, const cnp.uint8_t*, cnp.uint8_t, cnp.int16_t, cnp.int16_t*)
    void fill_int32(
        const cnp.int32_t*, Py_ssize_t, const cnp.uint8_t*, cnp.uint8_t, cnp.int32_t, cnp.int32_t*)
    void fill_float32(
        const cnp.float32_t*, Py_ssize_t, const cnp.uint8_t*, cnp.uint8_t, cnp.float32_t, cnp.float32_t*)
    void fill_float64(
        const cnp.float64_t*, Py_ssize_t, const cnp.uint8_t*, cnp.uint8_t, cnp.float64_t, cnp.float64_t*)
    void label_int16(const cnp.int16_t*, Py_ssize_t, cnp.int16_t, cnp.uint8_t, cnp.uint8_t*, cnp.uint8_t*)
    void label_int32(const cnp.int32_t*, Py_ssize_t, cnp.int32_t, cnp.uint8_t, cnp.uint8_t*, cnp.uint8_t*)
    void label_float32(const cnp.float32_t*, Py_ssize_t, cnp.float32_t, cnp.uint8_t, cnp.uint8_t*, cnp.uint8_t*)
    void label_float64(const cnp.float64_t*, Py_ssize_t, cnp.float64_t, cnp.uint8_t, cnp.uint8_t*, cnp.uint8_t*)
    void count_bytes(const cnp.uint8_t*, Py_ssize_t, cnp.int64_t*)
    void weigh_classes(const cnp.uint8_t*, const cnp.uint32_t*, Py_ssize_t, cnp.int64_t*)
    void pack_weights(const cnp.uint32_t*, const cnp.uint8_t*, cnp.uint8_t, Py_ssize_t, cnp.uint64_t*)
    void add_packed(const cnp.int16_t*, const cnp.uint64_t*, Py_ssize_t, cnp.uint64_t*)
    void copy_rows(char*, Py_ssize_t, const char*, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    void stream_rows(char*, Py_ssize_t, const char*, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    void stream_end()


cdef inline Py_ssize_t mark_run(
    const pixel_t* run, Py_ssize_t n, const pixel_t* limits, cnp.uint8_t bit, cnp.uint8_t* flags
) noexcept nogil:
    if pixel_t is cnp.int16_t:
        return mark_int16(run, n, limits, bit, flags)
    elif pixel_t is cnp.int32_t:
        return mark_int32(run, n, limits, bit, flags)
    elif pixel_t is cnp.float32_t:
        return mark_float32(run, n, limits, bit, flags)
    else:
        return mark_float64(run, n, limits, bit, flags)


cdef inline void fill_run(
    const pixel_t* run, Py_ssize_t n, const cnp.uint8_t* flags, cnp.uint8_t bit, pixel_t fill, pixel_t* out
) noexcept nogil:
    if pixel_t is cnp.int16_t:
        fill_int16(run, n, flags, bit, fill, out)
    elif pixel_t is cnp.int32_t:
        fill_int32(run, n, flags, bit, fill, out)
    elif pixel_t is cnp.float32_t:
        fill_float32(run, n, flags, bit, fill, out)
    else:
        fill_float64(run, n, flags, bit, fill, out)


cdef inline void label_run(
    const pixel_t* run, Py_ssize_t n, pixel_t nodata, cnp.uint8_t bit, cnp.uint8_t* flags, cnp.uint8_t* label
) noexcept nogil:
    if pixel_t is cnp.int16_t:
        label_int16(run, n, nodata, bit, flags, label)
    elif pixel_t is cnp.int32_t:
        label_int32(run, n, nodata, bit, flags, label)
    elif pixel_t is cnp.float32_t:
        label_float32(run, n, nodata, bit, flags, label)
    else:
        label_float64(run, n, nodata, bit, flags, label)
