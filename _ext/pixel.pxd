"""Sample types of stacks and planes; types and inline functions only."""

from libc.stdint cimport int16_t, int32_t, uint8_t

# Sample types of a stack.
ctypedef fused pixel_t:
    int16_t
    int32_t
    float
    double

# Sample types that can be cut into chips: those of stacks, and uint8 for the planes of label and flags.
ctypedef fused sample_t:
    uint8_t
    int16_t
    int32_t
    float
    double


cdef inline bint is_finite(pixel_t value) noexcept nogil:
    """Return false for NaN and both infinities; always return true for whole numbers."""
    return value - value == 0
