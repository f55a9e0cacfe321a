"""Conversion to int16 with decimal arithmetic, and to float32 by C's own rounding, one pixel at a time."""

import math
import struct
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction


def to_int16(value, *, band, nodata, settings):
    """Return the stored value, or "overflow"."""
    plain = value.item()
    if not math.isfinite(plain) or plain == band.nodata or (nodata is not None and plain == nodata):
        return band.nodata
    exact = float(plain) * band.scale + band.offset
    if math.isinf(exact):
        chosen = None
    else:
        halves = ROUND_HALF_EVEN if settings.rounding == "half-even" else ROUND_HALF_UP
        chosen = int(Decimal(max(-1e6, min(1e6, exact))).to_integral_value(halves))
        if -32768 <= chosen <= 32767 and chosen != band.nodata:
            return chosen
    if settings.overflow == "nodata":
        return band.nodata
    if settings.overflow == "error":
        return "overflow"
    allowed = [number for number in (-32768, -32767, 32766, 32767) if number != band.nodata]
    allowed += [number for number in (band.nodata - 1, band.nodata + 1) if -32768 <= number <= 32767]
    target = Fraction(max(-1e6, min(1e6, exact)))
    return min(allowed, key=lambda number: (abs(number - target), abs(number)))


def to_float32(value, *, band, nodata, settings):
    """Return the stored value as a Python float, or "overflow"."""
    plain = value.item()
    if not math.isfinite(plain) or plain == band.nodata or (nodata is not None and plain == nodata):
        return float(band.nodata)
    exact = float(plain) * band.scale + band.offset
    try:
        (stored,) = struct.unpack("f", struct.pack("f", exact))
        if math.isfinite(stored) and stored != band.nodata:
            return stored
    except OverflowError:
        pass
    if settings.overflow == "nodata":
        return float(band.nodata)
    if settings.overflow == "error":
        return "overflow"
    (largest,) = struct.unpack("<f", bytes.fromhex("ffff7f7f"))
    if not abs(exact) <= largest:
        return math.copysign(largest, exact)
    (bits,) = struct.unpack("i", struct.pack("f", band.nodata))
    # The floats next to nodata: those of the whole numbers next to its bits, or the smallest ones next to zero.
    near = [struct.unpack("f", struct.pack("i", bits + step))[0] for step in (-1, 1)] if band.nodata else [2**-149]
    near += [] if band.nodata else [-(2**-149)]
    return min(near, key=lambda number: (abs(Fraction(number) - Fraction(exact)), abs(number)))
