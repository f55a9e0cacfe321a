"""The series of one place: what a dataset shows of it in several years, pixel upon pixel."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.chips.chips import place_ids

if TYPE_CHECKING:
    import pandas as pd

Pixels = Callable[[NDArray[np.int64]], Mapping[str, Any]]


@dataclass(frozen=True)
class Series:
    """A place in several years.

    Attributes
    ----------
    place : str
        The id of the partition, or of the ground of one chip.
    years : ndarray of int64
        (year,): ascending, each once. Only years in which at least one chip shows the place.
    image : ndarray
        (year, band, y, x) int16, or float32 if the stack is. Missing pixels hold the fill value.
    label : ndarray of uint8
        (year, y, x): values of `Dataset.classes`, 255 where the label is missing or no chip shows the pixel.
    flags : ndarray of uint8
        (year, y, x): set bits mean missing. Where no chip of a year shows a pixel, all that can be missing are set.
    confidence : ndarray of uint8 or None
        (year, y, x), as in chips; None if the dataset has none.
    left, top : float
        The outer corner of the first pixel, in the CRS of the region (metres).
    """

    place: str
    years: NDArray[np.int64]
    image: NDArray[Any]
    label: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    left: float
    top: float
    confidence: NDArray[np.uint8] | None = None


def join_series(place: str, chips: "pd.DataFrame", fills: Mapping[str, int], pixels: Pixels) -> Series:
    """Return the series of a place.

    The window is the smallest one that holds all chips of the place in any year, so all years have the same pixels.

    Parameters
    ----------
    place : str
        The id of a partition, or a `place` of the index.
    chips : DataFrame
        Columns partition, row, col, year, left and top, one row per chip. Chips are looked up by their position.
    fills : mapping
        The values of ``image``, ``label`` and ``flags`` where no chip shows a pixel.
    pixels : callable
        Takes positions of chips, (chip,), and returns their ``image``, ``label`` and ``flags`` by name.

    Raises
    ------
    ConfigError
        No chip shows the place.
    """
    chosen = _positions(place, chips)
    rows, cols, of_year = (chips[name].to_numpy(np.int64)[chosen] for name in ("row", "col", "year"))
    years, first_row, first_col = np.unique(of_year), int(rows.min()), int(cols.min())
    planes: dict[str, NDArray[Any]] = {}
    # One year at a time, so that the chips in memory are those of one partition.
    for number, year in enumerate(years.tolist()):
        shown = np.flatnonzero(of_year == year)
        batch = pixels(chosen[shown])
        size = batch["label"].shape[-1]
        extent = int(rows.max()) - first_row + size, int(cols.max()) - first_col + size
        for name, fill in fills.items():
            if name not in batch:
                continue
            values = batch[name]
            if name not in planes:
                planes[name] = np.full((len(years), *values.shape[1:-2], *extent), fill, values.dtype)
            for pixel, at in zip(values, shown.tolist(), strict=True):
                row, col = int(rows[at]) - first_row, int(cols[at]) - first_col
                planes[name][number, ..., row : row + size, col : col + size] = pixel
    left, top = (chips[name].to_numpy(float)[chosen] for name in ("left", "top"))
    return Series(
        place,
        years,
        planes["image"],
        planes["label"],
        planes["flags"],
        left=float(left.min()),
        top=float(top.max()),
        confidence=planes.get("confidence"),
    )


def _positions(place: str, chips: "pd.DataFrame") -> NDArray[np.int64]:
    place, names = str(place), chips["partition"].to_numpy(str)
    chosen = np.flatnonzero(names == place)
    if not len(chosen):
        # The id of a place begins with the id of its partition.
        within = np.flatnonzero([place.startswith(f"{name}_r") for name in names])
        ids = place_ids(*(chips[name].to_numpy()[within].tolist() for name in ("partition", "row", "col")))
        chosen = within[np.array(ids, str) == place] if ids else within
    if not len(chosen):
        near = difflib.get_close_matches(place, np.unique(names).tolist(), n=1)
        raise ConfigError(
            f"no chip shows {place}",
            where="ChipReader.series",
            fix="give an id of the column partition or place of Dataset.chip_table, of a chip of this split"
            + (f" (did you mean {near[0]}?)" if near else ""),
        )
    return np.asarray(chosen, np.int64)
