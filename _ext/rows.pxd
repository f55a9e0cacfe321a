"""The loops of `rows.h`, by sample type."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from pixel cimport pixel_t

cdef extern from "rows.h" nogil:
    enum:
        GCN_BLOCK
    Py_ssize_t mark_int16(const int16_t*, Py_ssize_t, const int16_t*, uint8_t, uint8_t*)
    Py_ssize_t mark_int32(const int32_t*, Py_ssize_t, const int32_t*, uint8_t, uint8_t*)
    Py_ssize_t mark_float32(const float*, Py_ssize_t, const float*, uint8_t, uint8_t*)
    Py_ssize_t mark_float64(const double*, Py_ssize_t, const double*, uint8_t, uint8_t*)
    void fill_int16(
        const int16_t*, Py_ssize_t, const uint8_t*, uint8_t, int16_t, int16_t*)
    void fill_int32(
        const int32_t*, Py_ssize_t, const uint8_t*, uint8_t, int32_t, int32_t*)
    void fill_float32(
        const float*, Py_ssize_t, const uint8_t*, uint8_t, float, float*)
    void fill_float64(
        const double*, Py_ssize_t, const uint8_t*, uint8_t, double, double*)
    void label_int16(const int16_t*, Py_ssize_t, int16_t, uint8_t, uint8_t*, uint8_t*)
    void label_int32(const int32_t*, Py_ssize_t, int32_t, uint8_t, uint8_t*, uint8_t*)
    void label_float32(const float*, Py_ssize_t, float, uint8_t, uint8_t*, uint8_t*)
    void label_float64(const double*, Py_ssize_t, double, uint8_t, uint8_t*, uint8_t*)
    void count_bytes(const uint8_t*, Py_ssize_t, int64_t*)
    void weigh_classes(const uint8_t*, const uint32_t*, Py_ssize_t, int64_t*)
    void pack_weights(const uint32_t*, const uint8_t*, uint8_t, Py_ssize_t, uint64_t*)
    void add_packed(const int16_t*, const uint64_t*, Py_ssize_t, uint64_t*)
    void copy_rows(char*, Py_ssize_t, const char*, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    void stream_rows(char*, Py_ssize_t, const char*, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    void gcn_stream_end()


cdef inline Py_ssize_t mark_run(
    const pixel_t* run, Py_ssize_t n, const pixel_t* limits, uint8_t bit, uint8_t* flags
) noexcept nogil:
    if pixel_t is int16_t:
        return mark_int16(run, n, limits, bit, flags)
    elif pixel_t is int32_t:
        return mark_int32(run, n, limits, bit, flags)
    elif pixel_t is float:
        return mark_float32(run, n, limits, bit, flags)
    else:
        return mark_float64(run, n, limits, bit, flags)


cdef inline void fill_run(
    const pixel_t* run, Py_ssize_t n, const uint8_t* flags, uint8_t bit, pixel_t fill, pixel_t* out
) noexcept nogil:
    if pixel_t is int16_t:
        fill_int16(run, n, flags, bit, fill, out)
    elif pixel_t is int32_t:
        fill_int32(run, n, flags, bit, fill, out)
    elif pixel_t is float:
        fill_float32(run, n, flags, bit, fill, out)
    else:
        fill_float64(run, n, flags, bit, fill, out)


cdef inline void label_run(
    const pixel_t* run, Py_ssize_t n, pixel_t nodata, uint8_t bit, uint8_t* flags, uint8_t* label
) noexcept nogil:
    if pixel_t is int16_t:
        label_int16(run, n, nodata, bit, flags, label)
    elif pixel_t is int32_t:
        label_int32(run, n, nodata, bit, flags, label)
    elif pixel_t is float:
        label_float32(run, n, nodata, bit, flags, label)
    else:
        label_float64(run, n, nodata, bit, flags, label)
