"""Look at a raster without judging it: its header, and the values of a few blocks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.raster.crs import crs_code
from gcn_luigi.io.raster.header import open_raster, unwritten_blocks
from gcn_luigi.io.tiff.blocks import can_hold

# Pixels of one window, and of the largest block that is decoded for it.
_SIDE, _LARGEST_BLOCK = 256, 1 << 24
# Blocks are counted in the header only if there are not too many of them.
_MOST_BLOCKS = 1 << 14
_MOST_VALUES = 64


@dataclass(frozen=True)
class Look:
    """The header of a raster as it is, usable or not.

    Attributes
    ----------
    crs : str
        A code such as ``"EPSG:3338"``, or WKT; empty without a CRS.
    is_metric : bool
        Whether the CRS is projected and in metres.
    transform : tuple of float
        Pixel width, row rotation, left, column rotation, pixel height (negative if north is up), top.
    height, width : int
        Pixels.
    dtypes, nodata, names, items, scales, offsets : tuple
        One value per band. Nodata is None without a tag that a pixel can hold; names are empty without a description.
    has_mask : bool
        Whether a mask or alpha band marks valid pixels.
    unwritten : str
        A message about blocks that were never written; see `gcn_luigi.io.raster.header.unwritten_blocks`.
    """

    crs: str
    is_metric: bool
    transform: tuple[float, ...]
    height: int
    width: int
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    names: tuple[str, ...]
    items: tuple[Mapping[str, str], ...] = field(compare=False)
    scales: tuple[float, ...] = (1.0,)
    offsets: tuple[float, ...] = (0.0,)
    has_mask: bool = False
    unwritten: str = ""

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)

    @property
    def pixel_size(self) -> float:
        """Width of a pixel, in the unit of the CRS."""
        return self.transform[0]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top; of a raster that is not rotated."""
        width, _, left, _, height, top = self.transform
        ys = (top, top + height * self.height)
        xs = (left, left + width * self.width)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def is_plain(self) -> bool:
        """Whether the raster is projected in metres, north-up, with square pixels."""
        width, across, _, down, height, _ = self.transform
        is_square = width > 0 and height < 0 and math.isclose(width, -height, rel_tol=1e-6)
        return self.is_metric and is_square and not across and not down

    @property
    def is_scaled(self) -> bool:
        """Whether a band has a scale or offset tag."""
        return set(self.scales) != {1.0} or set(self.offsets) != {0.0}


@dataclass(frozen=True)
class Values:
    """What a few blocks of a band hold.

    Attributes
    ----------
    low, high : float
        Smallest and largest finite value that is not nodata; nan if there is none.
    has_fractions : bool
        Whether a value is not a whole number.
    n_valid, n_missing : int
        Pixels with a finite value that is not nodata, and all others.
    known : tuple of float
        All values, in ascending order, if there are few; empty otherwise.
    edge : float or None
        The value at all corners of the raster that were read, if it is the same and is not nodata.
    edge_share : float
        Share of the pixels read that hold `edge`.
    """

    low: float
    high: float
    has_fractions: bool
    n_valid: int
    n_missing: int
    known: tuple[float, ...]
    edge: float | None = None
    edge_share: float = 0.0


def look_at(path: Path) -> Look:
    """Return the header of a raster.

    Raises
    ------
    InputError
        The file cannot be opened as a raster.
    """
    with open_raster(path) as dataset:
        crs = dataset.crs
        pairs = zip(dataset.nodatavals, dataset.dtypes, strict=True)
        blocks = sum(dataset.width * dataset.height / (rows * cols) for rows, cols in dataset.block_shapes)
        return Look(
            crs="" if crs is None else crs_code(crs),
            is_metric=crs is not None and crs.is_projected and crs.linear_units_factor[1] == 1.0,
            transform=tuple(dataset.transform)[:6],
            height=dataset.height,
            width=dataset.width,
            dtypes=tuple(dataset.dtypes),
            nodata=tuple(tag if tag is not None and can_hold(tag, dtype) else None for tag, dtype in pairs),
            names=tuple(name or "" for name in dataset.descriptions),
            items=tuple(dataset.tags(band) for band in dataset.indexes),
            scales=tuple(dataset.scales),
            offsets=tuple(dataset.offsets),
            has_mask=any(MaskFlags.per_dataset in flags for flags in dataset.mask_flag_enums),
            unwritten=unwritten_blocks(dataset) if blocks <= _MOST_BLOCKS else "",
        )


def sample_values(path: Path, bands: Sequence[int], windows: int = 5) -> dict[int, Values]:
    """Return what a few blocks of each of `bands` (counted from 1) hold: at the corners and the middle of the raster.

    A raster whose blocks are too large to be read in a moment, or that cannot be decoded, gives no values.
    """
    try:
        with open_raster(path) as dataset:
            found = {}
            for band in bands:
                rows, cols = dataset.block_shapes[band - 1]
                if rows * cols <= _LARGEST_BLOCK:
                    places = _windows(dataset.height, dataset.width, windows)
                    planes = [dataset.read(band, window=place) for place in places]
                    found[band] = values_of(planes, dataset.nodatavals[band - 1])
            return found
    except (GcnLuigiError, RasterioError):
        return {}


def _windows(height: int, width: int, count: int) -> list[Window]:
    """Return `count` or fewer windows: the four corners, the middle, and more on an even grid."""
    rows, cols = min(_SIDE, height), min(_SIDE, width)
    if count * rows * cols >= height * width:
        return [Window(0, row, width, min(rows, height - row)) for row in range(0, height, rows)]
    low, right = height - rows, width - cols
    places = [(0, 0), (0, right), (low, 0), (low, right), (low // 2, right // 2)]
    side = max(math.isqrt(max(count - len(places), 0)), 0)
    steps = [(step + 0.5) / side for step in range(side)]
    places += [(int(low * down), int(right * across)) for down in steps for across in steps]
    return [Window(col, row, cols, rows) for row, col in dict.fromkeys(places)]


def values_of(planes: Sequence[NDArray[Any]], tag: float | None) -> Values:
    """Return what some planes (y, x) of one band hold, the first four of which lie at the corners of the raster.

    Values that are not finite or that equal `tag` count as missing.
    """
    everything = np.concatenate([plane.ravel() for plane in planes])
    is_valid = np.isfinite(everything)
    if tag is not None and not math.isnan(tag):
        is_valid &= everything != everything.dtype.type(tag)
    valid = everything[is_valid]
    if not valid.size:
        return Values(math.nan, math.nan, has_fractions=False, n_valid=0, n_missing=everything.size, known=())
    known = np.unique(valid)
    corners = {plane[row, col] for plane in planes[:4] for row in (0, -1) for col in (0, -1)}
    frequent, counts = np.unique(valid, return_counts=True)
    usual = frequent[counts.argmax()]
    share = float(counts.max() / everything.size)
    is_edge = usual in corners
    return Values(
        low=float(known[0]),
        high=float(known[-1]),
        has_fractions=bool(valid.dtype.kind == "f" and (valid != np.rint(valid)).any()),
        n_valid=int(valid.size),
        n_missing=int(everything.size - valid.size),
        known=tuple(map(float, known)) if known.size <= _MOST_VALUES else (),
        edge=float(usual) if is_edge else None,
        edge_share=share if is_edge else 0.0,
    )
