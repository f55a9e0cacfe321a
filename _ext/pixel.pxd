"""Sample types of stacks and planes; types and inline functions only."""

from libc.stdint cimport int16_t, int32_t, uint8_t

# What a stack may hold.
ctypedef fused pixel_t:
    int16_t
    int32_t
    float
    double

# What can be cut into chips: stacks, and the uint8 planes of label and flags.
ctypedef fused sample_t:
    uint8_t
    int16_t
    int32_t
    float
    double


cdef inline bint is_finite(pixel_t value) noexcept nogil:
    """False for NaN and both infinities; always true for whole numbers."""
    return value - value == 0
