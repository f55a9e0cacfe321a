"""The axes of a data cube: where its pixels lie, and which of its times belong to which year."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# As for the lattice: a real shift is larger.
_TOLERANCE_PX = 1e-3
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_MOST_NAMED = 6


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a raster.

    Attributes
    ----------
    start : float
        Outer edge of the first pixel, in the unit of the coordinates.
    step : float
        From one pixel to the next; negative if coordinates fall.
    size : int
        Number of pixels.
    """

    start: float
    step: float
    size: int

    @property
    def least(self) -> float:
        """The smaller of the two outer edges."""
        return min(self.start, self.start + self.step * self.size)

    @property
    def greatest(self) -> float:
        """The larger of the two outer edges."""
        return max(self.start, self.start + self.step * self.size)


def regular_axis(centres: npt.NDArray[Any]) -> Axis:
    """Return the axis whose pixel centres are `centres`, (pixel,), as CF conventions store them.

    Raises
    ------
    ValueError
        There are fewer than two centres, they are not finite, or their distances differ by more than a thousandth of a
        pixel, apart from the rounding of their type.
    """
    values = np.asarray(centres, np.float64)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"has {values.size} finite coordinates, and a step needs at least two")
    step = float(values[-1] - values[0]) / (values.size - 1)
    expected = values[0] + step * np.arange(values.size)
    worst = float(np.abs(values - expected).max())
    # Single precision resolves only half a metre in a northing of 7,000 km.
    own = np.asarray(centres)
    rounding = float(np.spacing(np.abs(own).max())) if own.dtype.kind == "f" else 0.0
    if step == 0 or worst > max(abs(step) * _TOLERANCE_PX, rounding):
        steps = np.abs(np.diff(values))
        raise ValueError(f"is not regular: its steps are {steps.min():g} to {steps.max():g}")
    return Axis(float(values[0]) - step / 2, step, values.size)


def agree(one: Axis, other: Axis) -> bool:
    """Return whether two axes have the same edges to within a tenth of a pixel."""
    apart = max(
        abs(one.start - other.start), abs((one.start + one.step * one.size) - (other.start + other.step * one.size))
    )
    return apart < 0.1 * abs(one.step)


def year_of(time: Any) -> int | None:
    """Return the year of a time coordinate: a datetime64, a cftime or datetime, a year, or a text that starts with one.

    Examples
    --------
    >>> [year_of(time) for time in (np.datetime64("2004-08-01"), 2008, "2012-07", 3)]
    [2004, 2008, 2012, None]
    """
    if isinstance(time, np.datetime64):
        year: Any = None if np.isnat(time) else int(time.astype("datetime64[Y]").astype(np.int64)) + 1970
    elif isinstance(time, (bool, np.bool_)):
        year = None
    elif isinstance(time, (int, np.integer)) or (isinstance(time, (float, np.floating)) and float(time).is_integer()):
        year = int(time)
    elif isinstance(time, (str, bytes)):
        text = time.decode() if isinstance(time, bytes) else time
        year = int(text[:4]) if text[:4].isdigit() else None
    else:
        year = getattr(time, "year", None)
    return year if year is not None and _FIRST_YEAR <= year <= _LAST_YEAR else None


def positions_of_years(times: Sequence[Any], years: Sequence[int]) -> tuple[int, ...]:
    """Return the position in `times` of each of `years`. Other times do not matter.

    Raises
    ------
    ValueError
        A year has no time, or several; the message lists them.
    """
    own = [year_of(time) for time in times]
    missing = [year for year in years if year not in own]
    if missing:
        there = sorted({year for year in own if year is not None})
        listed = f"those of {_few(there)}" if there else "none that is understood"
        raise ValueError(f"has no time in {_few(missing)}; its years are {listed}")
    for year in years:
        found = [str(time)[:10] for time, known in zip(times, own, strict=True) if known == year]
        if len(found) > 1:
            raise ValueError(f"has {len(found)} times in {year}: {_few(found)}")
    return tuple(own.index(year) for year in years)


def _few(names: Sequence[Any]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(str, names[:_MOST_NAMED])) + more
