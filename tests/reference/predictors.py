"""The predictors of TIFF in plain Python, from its specification and from Adobe's technical note 3."""


def differences(row, n_samples, bits):
    """Return the differences that a writer stores for a row of whole numbers."""
    return [(value - (row[i - n_samples] if i >= n_samples else 0)) % (1 << bits) for i, value in enumerate(row)]


def float_bytes(row, n_samples, item_size):
    """Return the bytes that a writer stores for a row of floats, which are given as their big-endian bytes."""
    planes = [item[byte] for byte in range(item_size) for item in row]
    return bytes(differences(planes, n_samples, 8))
