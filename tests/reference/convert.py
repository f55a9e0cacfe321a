"""Conversion to int16 with decimal arithmetic, one pixel at a time."""

import math
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
