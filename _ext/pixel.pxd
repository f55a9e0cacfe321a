"""Sample types of stacks and planes; types and inline functions only."""

cimport numpy as cnp

# What a stack may hold.
ctypedef fused pixel_t:
    cnp.int16_t
    cnp.int32_t
    cnp.float32_t
    cnp.float64_t

# What can be cut into chips: stacks, and the uint8 planes of label and flags.
ctypedef fused sample_t:
    cnp.uint8_t
    cnp.int16_t
    cnp.int32_t
    cnp.float32_t
    cnp.float64_t


cdef inline bint is_finite(pixel_t value) noexcept nogil:
    """False for NaN and both infinities; always true for whole numbers."""
    return value - value == 0
