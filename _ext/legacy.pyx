"""Replace missing samples exactly as the published scripts did, bit for bit.

Compiled for the same reasons as `nodata`: one pass, no temporaries, no GIL.
"""

from libc.stdint cimport int64_t, uint8_t

from pixel cimport is_finite, pixel_t

# Bits of the scratch row in `replace`.
cdef enum:
    CLASS = 1
    OPTICAL = 2
    TOPO = 4


def replace(
    const pixel_t[:, :, ::1] stack not None,
    const int64_t[::1] probes not None,
    const pixel_t[::1] sentinels not None,
    const uint8_t[::1] selects not None,
    uint8_t[::1] scratch not None,
    pixel_t[:, :, ::1] out not None,
):
    """Write `stack` into `out` with missing samples replaced as the published scripts did.

    Shapes: stack and out (band, row, col), which may be the same memory; probes (4,), the 0-based
    class, optical, topo and alternative topo band, the last -1 if unused; sentinels (5,), the
    nodata of class, optical and topo, the saturation value and the fill; selects (band,), the bits
    for which a band is replaced: 1 class, 2 optical, 4 topo; scratch (col,). Releases the GIL.
    """
    cdef Py_ssize_t n_bands = stack.shape[0], i, y
    if out.shape[0] != n_bands or out.shape[1] != stack.shape[1] or out.shape[2] != stack.shape[2]:
        raise ValueError("stack and out must have the same shape")
    if probes.shape[0] != 4 or sentinels.shape[0] != 5:
        raise ValueError("probes must have 4 values and sentinels 5")
    if selects.shape[0] != n_bands or scratch.shape[0] != stack.shape[2]:
        raise ValueError("selects must have one value per band, scratch one per column")
    for i in range(4):
        if probes[i] >= n_bands or probes[i] < (-1 if i == 3 else 0):
            raise ValueError("a probed band is outside the stack")
    # Indices: probes are bands of the stack or, for the last, -1; scratch is as wide as the stack, out as large.
    # In place: a row is probed before any of it is replaced, and no row depends on another.
    with nogil:
        for y in range(stack.shape[1]):
            _probe_row(stack, probes, sentinels, scratch, y)
            _replace_row(stack, sentinels[4], selects, scratch, out, y)


cdef void _probe_row(
    const pixel_t[:, :, ::1] stack,
    const int64_t[::1] probes,
    const pixel_t[::1] sentinels,
    uint8_t[::1] scratch,
    Py_ssize_t y,
) noexcept nogil:
    """Write the bits of each pixel of row `y` into scratch."""
    cdef pixel_t of_class = sentinels[0], optical = sentinels[1], topo = sentinels[2]
    cdef pixel_t saturated = sentinels[3], value
    cdef Py_ssize_t c = probes[0], o = probes[1], t = probes[2], a = probes[3], x
    for x in range(stack.shape[2]):
        scratch[x] = <uint8_t>(
            CLASS * (stack[c, y, x] == of_class)
            | OPTICAL * (stack[o, y, x] == optical)
            | TOPO * (stack[t, y, x] < 0)
        )
    # There is no alternative band to probe. As an index, -1 would point before the stack.
    if a < 0:
        return
    for x in range(stack.shape[2]):
        value = stack[a, y, x]
        scratch[x] = <uint8_t>(scratch[x] | TOPO * ((value == saturated) | (value == topo) | (value == of_class)))


cdef void _replace_row(
    const pixel_t[:, :, ::1] stack,
    pixel_t fill,
    const uint8_t[::1] selects,
    const uint8_t[::1] scratch,
    pixel_t[:, :, ::1] out,
    Py_ssize_t y,
) noexcept nogil:
    """Write row `y` of all bands, filled where the bits in scratch say so."""
    cdef Py_ssize_t band, x
    cdef uint8_t select
    cdef pixel_t value
    for band in range(stack.shape[0]):
        select = selects[band]
        for x in range(stack.shape[2]):
            value = stack[band, y, x]
            # The scripts checked whether sample x mask is true: zero never is, and NaN and
            # infinity always are.
            out[band, y, x] = fill if (((scratch[x] & select) != 0) & (value != 0)) | (not is_finite(value)) else value
