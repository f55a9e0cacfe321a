"""PNG files of small pictures, written with the standard library alone."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Bits per channel, red-green-blue, and the only values that the format has for compression, filter and interlace.
_DEPTH, _RGB, _PLAIN = 8, 2, (0, 0, 0)


def png(rgb: NDArray[np.uint8]) -> bytes:
    """Return an image, (y, x, 3) uint8, as a PNG file (W3C Recommendation "Portable Network Graphics", 2003)."""
    height, width, _ = rgb.shape
    # Each row begins with the number of its filter: 0, none.
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = rgb.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _RGB, *_PLAIN)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def data_uri(rgb: NDArray[np.uint8]) -> str:
    """Return an image, (y, x, 3) uint8, as a data URI for a page."""
    return "data:image/png;base64," + base64.b64encode(png(rgb)).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
