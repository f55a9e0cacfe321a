"""Decode the LZW of TIFF (TIFF 6.0, section 13).

Compiled because no well-kept library of a reasonable size decodes it, and Python would need a second for a block.
"""

from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    CLEAR = 256
    END = 257
    FIRST = 258
    # Codes have 12 bits at most. Writers that do not clear the table in time go on for some codes more.
    N_CODES = 4096
    MOST_CODES = 5119
    # Strings up to this length are copied in one piece of this size.
    PIECE = 16


def decode(const uint8_t[::1] stored not None, uint8_t[::1] out not None):
    """Decode a stream of codes into `out` and return how many bytes it gave; -1 if it is damaged.

    Decoding ends with the end code, with the stream, or when `out` is full; a last string may be longer than what is
    left of it. Shapes: stored, out (byte,), which share no memory. Releases the GIL.
    """
    cdef Py_ssize_t n_out
    if stored.shape[0] == 0 or out.shape[0] == 0:
        return 0
    if out.shape[0] >= UINT32_MAX:
        raise ValueError("blocks have less than 4 GB")
    with nogil:
        n_out = _decode(&stored[0], stored.shape[0], &out[0], out.shape[0])
    return n_out


cdef Py_ssize_t _decode(const uint8_t* stored, Py_ssize_t n_stored, uint8_t* out, Py_ssize_t n_out) noexcept nogil:
    # The string of a code is a single byte, or a piece of what was decoded before: the string of an earlier code and
    # the byte after it.
    cdef uint8_t single[CLEAR + PIECE]
    cdef uint8_t piece[PIECE]
    cdef const uint8_t* strings[N_CODES]
    cdef uint32_t lengths[N_CODES]
    cdef const uint8_t* string
    cdef const uint8_t* last = NULL
    cdef uint64_t bits = 0
    cdef uint32_t code, n_codes = FIRST, length, last_length = 0
    cdef int n_bits = 0, width = 9
    cdef Py_ssize_t at = 0, place = 0, i
    memset(single, 0, CLEAR + PIECE)
    for i in range(CLEAR):
        single[i] = <uint8_t> i
        strings[i] = &single[i]
        lengths[i] = 1
    while place < n_out:
        if n_bits < width:
            # Indices: four bytes at once where the stream has them.
            if at + 4 <= n_stored:
                bits = (
                    bits << 32 | <uint64_t> stored[at] << 24 | <uint64_t> stored[at + 1] << 16
                    | <uint64_t> stored[at + 2] << 8 | stored[at + 3]
                )
                at += 4
                n_bits += 32
            while n_bits < width and at < n_stored:
                bits = bits << 8 | stored[at]
                at += 1
                n_bits += 8
            if n_bits < width:
                return place
        n_bits -= width
        code = <uint32_t> (bits >> n_bits) & ((1u << width) - 1)
        if code == END:
            return place
        if code == CLEAR:
            n_codes, width, last = <uint32_t> FIRST, 9, NULL
            continue
        if code < n_codes and (code < CLEAR or last != NULL):
            string, length = strings[code], lengths[code]
        elif code == n_codes and last != NULL and n_codes < N_CODES:
            # A code that is only now defined is the last string and its own first byte, which will follow it.
            string, length = last, <uint32_t> (last_length + 1)
        else:
            return -1
        # Indices: strings are single bytes, which have PIECE bytes behind them, or lie before `place` except for a last
        # byte that is the first one written here. A whole piece is read and written only within `out`.
        if length <= PIECE and place + PIECE <= n_out and string + length != out + place + 1:
            memcpy(piece, string, PIECE)
            memcpy(out + place, piece, PIECE)
        else:
            for i in range(min(<Py_ssize_t> length, n_out - place)):
                out[place + i] = string[i]
        if last != NULL:
            if n_codes < N_CODES:
                strings[n_codes] = last
                lengths[n_codes] = last_length + 1
            n_codes += 1
            if n_codes >= MOST_CODES:
                return -1
            # One code earlier than needed, as all writers of TIFF do.
            if n_codes + 1 >= (1u << width) and width < 12:
                width += 1
        last, last_length = out + place, length
        place += length
    return n_out
