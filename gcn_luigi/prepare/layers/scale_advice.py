"""Advise the scale of a band: which power of ten keeps the digits of its values in int16."""

import math

_HIGHEST = 32767
# A few blocks were seen. A value in another block may be twice as large.
_ROOM = 2.0


def advised_scale(low: float, high: float, has_fractions: bool) -> float | None:  # noqa: FBT001 - see the example
    """Return the scale that a band needs to be stored as int16, or None if 1, the default, is right.

    The scale is a power of ten. With fractions it is the largest one that keeps twice the largest value seen within
    int16, but never less than 1 if 1 is enough. Values beyond int16 need a scale below 1, which loses digits.

    Parameters
    ----------
    low, high : float
        The smallest and largest valid value seen, in source units. Nodata does not count.
    has_fractions : bool
        True if any value seen is not a whole number.

    Returns
    -------
    float or None
        The scale by which values are multiplied, for ``[[bands]] scale``.

    Examples
    --------
    >>> advised_scale(-1.0, 1.0, True), advised_scale(0.0, 6190.5, True), advised_scale(0.0, 60000.0, False)
    (10000.0, None, 0.1)
    """
    peak = max(abs(low), abs(high))
    if not math.isfinite(peak) or peak == 0:
        return None
    if peak <= _HIGHEST and not has_fractions:
        return None
    power = math.floor(math.log10(_HIGHEST / (_ROOM * peak)))
    if peak <= _HIGHEST:
        power = max(power, 0)
    # Powers that are written as text are exact where a float can be, and shortest where it cannot.
    return None if power == 0 else float(f"1e{power}")
