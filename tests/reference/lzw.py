"""The LZW of TIFF in plain Python, from section 13 of its specification."""

_CLEAR, _END, _FIRST = 256, 257, 258


def encoded(data, *, clears_at=4094, has_end=True):
    """Return the stream of a writer that clears its table when `clears_at` codes are defined."""
    codes, table, string = [(_CLEAR, 9)], _fresh(), b""
    width = 9
    for value in data:
        longer = string + bytes([value])
        if longer in table:
            string = longer
            continue
        codes.append((table[string], width))
        table[longer] = len(table) + 2
        # One code earlier than needed.
        width = min(max(9, (len(table) + 2).bit_length()), 12)
        if len(table) + 2 >= clears_at:
            codes.append((_CLEAR, width))
            table, width = _fresh(), 9
        string = bytes([value])
    if string:
        codes.append((table[string], width))
        width = min(max(9, (len(table) + 3).bit_length()), 12)
    if has_end:
        codes.append((_END, width))
    return packed(codes)


def packed(codes):
    """Return pairs of a code and its number of bits as bytes, highest bits first."""
    bits = "".join(f"{code:0{width}b}" for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def _fresh():
    return {bytes([value]): value for value in range(256)}
