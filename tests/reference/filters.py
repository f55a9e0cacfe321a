"""Filters of HDF5 in plain Python, from its specification."""


def shuffled(data, item_size):
    whole = len(data) // item_size * item_size
    return b"".join(data[k:whole:item_size] for k in range(item_size)) + data[whole:]


def fletcher32(data):
    first = second = 0
    padded = data + bytes(len(data) % 2)
    for high, low in zip(padded[::2], padded[1::2], strict=True):
        first += 256 * high + low
        second += first
    return _folded(second) * 65536 + _folded(first)


def _folded(total):
    """Add the halves of a sum until it fits 16 bits: 65535 stays, and only 0 gives 0."""
    while total > 65535:
        total = total % 65536 + total // 65536
    return total
