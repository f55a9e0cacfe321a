"""Strata: how many pixels of each class a dataset has by elevation, aspect, year, split and fold.

A pixel counts as in the statistics of a dataset: once for each partition and year in which a kept chip shows it, and
only with a valid label. So the rows of each stratum add up to the class counts of the split.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import ClassTable
from gcn_luigi.prepare.chips.chips import coverage
from gcn_luigi.prepare.layers.terrain import derive

# Metres: bands from whole multiples, so that tables of several regions have the same rows.
ELEVATION_STEP = 200
SECTORS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
FLAT, MISSING, UNDATED = "flat", "missing", "undated"
# Codes of strata in a plane: flat is the last sector, and elevations are shifted, so that none is negative.
_FLAT, _MISSING, _SHIFT = 8, 9, 1000


@dataclass(frozen=True)
class Shown:
    """What the kept chips of a partition show in one year.

    Attributes
    ----------
    split : str
        The split of the partition.
    year, year_gap : int
        The composite, and the years between outline and composite; -1 without a dated outline.
    fold : int or None
        The fold of the partition.
    origins : ndarray of int64
        (chip, 2): row and column of each kept chip in the partition.
    """

    split: str
    year: int
    year_gap: int
    fold: int | None
    origins: npt.NDArray[np.int64]


def elevation_codes(metres: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the elevation band of each pixel, (y, x): 0 and up, or -1 where the elevation (NaN) is missing."""
    with np.errstate(invalid="ignore"):
        bands = np.floor(metres / ELEVATION_STEP) + _SHIFT
    return np.where(np.isfinite(bands), np.clip(np.nan_to_num(bands), 0, 2 * _SHIFT), -1).astype(np.int64)


def elevation_name(code: int) -> str:
    """Return the limits of an elevation band in metres, lower limit included."""
    low = (code - _SHIFT) * ELEVATION_STEP
    return MISSING if code < 0 else f"{low} to {low + ELEVATION_STEP} m"


def aspect_codes(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the sector of each pixel, (y, x): its place in `SECTORS`, 8 where it is flat (-1), 9 where it is missing.

    `degrees` are clockwise from north. A sector reaches 22.5 degrees to both sides of its direction, and includes its
    first limit.
    """
    with np.errstate(invalid="ignore"):
        sectors = np.floor((np.nan_to_num(degrees) + 22.5) / 45.0) % 8
    found = np.where(degrees < 0, _FLAT, sectors)
    return np.where(np.isfinite(degrees), found, _MISSING).astype(np.int64)


def aspect_name(code: int) -> str:
    """Return the name of a sector."""
    return (*SECTORS, FLAT, MISSING)[code]


def aspects(
    metres: npt.NDArray[np.float64], frame: tuple[tuple[bool, bool], tuple[bool, bool]], pixel_size: float
) -> npt.NDArray[np.float64]:
    """Return the aspect in degrees, -1 where flat, NaN where missing, (y, x) without the frame.

    The gradient is Horn's (1981); arguments as for `gcn_luigi.prepare.layers.terrain.derive`.
    """
    return np.asarray(derive("aspect", metres, frame, pixel_size), np.float64)


class Strata:
    """Counts of pixels and chips by stratum, value and split.

    Parameters
    ----------
    region : str
        The name of the region.
    classes : ClassTable
        The classes of the label.
    size : int
        Edge of a chip in pixels.
    """

    def __init__(self, region: str, classes: ClassTable, size: int) -> None:
        self._region, self._classes, self._size = region, classes, size
        # By stratum, value and split: chips, then pixels of each class. Values are numbers, so that they can be sorted.
        self._counts: dict[tuple[str, int, str], npt.NDArray[np.int64]] = {}

    def add(
        self,
        shown: Shown,
        label: npt.NDArray[np.uint8],
        elevation: npt.NDArray[np.int64] | None,
        aspect: npt.NDArray[np.int64] | None,
    ) -> None:
        """Count a partition in one year.

        Parameters
        ----------
        shown : Shown
            Its kept chips.
        label : ndarray of uint8
            (y, x): values of the classes; other values are not counted.
        elevation, aspect : ndarray of int64 or None
            (y, x): codes from `elevation_codes` and `aspect_codes`; None if the dataset has no elevations.
        """
        numbers = np.full(256, -1, np.int64)
        numbers[self._classes.value_array] = np.arange(len(self._classes))
        numbers[LABEL_IGNORE] = -1
        of_class = numbers[label]
        of_class[coverage(shown.origins, self._size, label.shape) == 0] = -1
        whole = np.bincount(of_class[of_class >= 0], minlength=len(self._classes))
        n_chips = len(shown.origins)
        self._record("region", 0, shown.split, n_chips, whole)
        self._record("year", shown.year, shown.split, n_chips, whole)
        self._record("year gap", shown.year_gap, shown.split, n_chips, whole)
        if shown.fold is not None:
            self._record("fold", shown.fold, shown.split, n_chips, whole)
        for stratum, codes in (("elevation", elevation), ("aspect", aspect)):
            if codes is not None:
                self._add_plane(stratum, codes, of_class, shown)

    def table(self) -> pd.DataFrame:
        """Return the counts.

        Returns
        -------
        DataFrame
            stratum, value, split (text), n_chips (chips with at least one labelled pixel there), n_pixels, n_ and
            share_ of each class (share of the labelled pixels of the row, 0 to 1), and share_of_split (share of the
            labelled pixels of the split). Shares have six decimals, and are missing where there is no pixel. Rows are
            sorted by stratum, value and split.
        """
        order = ("region", "fold", "year", "year gap", "elevation", "aspect")
        splits = ("train", "dev", "test")
        keys = sorted(self._counts, key=lambda key: (order.index(key[0]), key[1], splits.index(key[2])))
        totals = {split: int(counts[1:].sum()) for (what, _, split), counts in self._counts.items() if what == "region"}
        rows = []
        for stratum, value, split in keys:
            n_chips, *pixels = self._counts[stratum, value, split].tolist()
            total, by_name = sum(pixels), dict(zip(self._classes.names, pixels, strict=True))
            rows.append({
                "stratum": stratum,
                "value": self._name(stratum, value),
                "split": split,
                "n_chips": n_chips,
                "n_pixels": total,
                **{f"n_{name}": count for name, count in by_name.items()},
                **{f"share_{name}": _share(count, total) for name, count in by_name.items()},
                "share_of_split": _share(total, totals[split]),
            })  # fmt: skip
        return pd.DataFrame(rows, columns=_columns(self._classes.names))

    def _record(self, stratum: str, value: int, split: str, n_chips: int, pixels: npt.NDArray[np.int64]) -> None:
        key = stratum, value, split
        counts = self._counts.setdefault(key, np.zeros(1 + len(self._classes), np.int64))
        counts[0] += n_chips
        counts[1:] += pixels

    def _add_plane(
        self, stratum: str, codes: npt.NDArray[np.int64], of_class: npt.NDArray[np.int64], shown: Shown
    ) -> None:
        values, places = _ranked(codes)
        counted, n_classes = of_class >= 0, len(self._classes)
        joined = places[counted] * n_classes + of_class[counted]
        pixels = np.bincount(joined, minlength=len(values) * n_classes).reshape(-1, n_classes)
        chips = np.zeros(len(values), np.int64)
        # One more value stands for pixels that do not count.
        kept = np.where(counted, places, len(values))
        for window in _windows(shown.origins, self._size):
            chips += np.bincount(kept[window].ravel(), minlength=len(values) + 1)[:-1] > 0
        for value, n_chips, counts in zip(values.tolist(), chips.tolist(), pixels, strict=True):
            if counts.any():
                self._record(stratum, value, shown.split, n_chips, counts)

    def _name(self, stratum: str, value: int) -> str:
        if stratum == "region":
            return self._region
        if stratum == "elevation":
            return elevation_name(value)
        if stratum == "aspect":
            return aspect_name(value)
        return UNDATED if stratum == "year gap" and value < 0 else str(value)


def _ranked(codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Return the values of small whole numbers, sorted, and the place of each number among them; nothing is sorted."""
    low = int(codes.min(initial=0))
    held = np.bincount((codes - low).ravel()) > 0
    return np.flatnonzero(held) + low, (np.cumsum(held) - 1)[codes - low]


def _windows(origins: npt.NDArray[np.int64], size: int) -> Iterator[tuple[slice, slice]]:
    # A chip that hangs over the edge shows no pixel beyond it.
    return ((slice(row, row + size), slice(col, col + size)) for row, col in origins.tolist())


def _columns(names: Sequence[str]) -> list[str]:
    by_class = [f"{what}_{name}" for what in ("n", "share") for name in names]
    return ["stratum", "value", "split", "n_chips", "n_pixels", *by_class, "share_of_split"]


def _share(count: int, total: int) -> float | None:
    return round(count / total, 6) if total else None
