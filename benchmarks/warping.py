"""A composite in UTM warped onto an Albers lattice, as a task does it, and by hand with GDAL and as many threads.

All write the same kind of GeoTIFF. What is compressed is most of what is written, so the writer is the same as well.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject
from scipy.ndimage import zoom

from benchmarks.region import Ground
from benchmarks.rows import Claim, Row, evaluate
from benchmarks.timing import Contestant, race
from gcn_luigi.io.raster.geotiff import blocks, open_geotiff
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.raster.warp import Warp
from gcn_luigi.lattice import Lattice

CORES = 2
_BANDS, _FULL, _QUICK = 4, 2048, 320
_NODATA, _SPAN = -32768, 2000
_METHODS = ("bilinear", "cubic")
_TARGET = 0.9


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    source = ground.directory / "warping" / "composite.tif"
    _deliver(source, _QUICK if ground.plan.name == "quick" else _FULL)
    found = []
    for method in _METHODS:
        warp = _warp(source, method)
        made = {name: source.with_name(f"{method}-{name}.tif") for name in ("ours", "reproject", "vrt")}
        makers = {"ours": _by_us, "reproject": _by_reproject, "vrt": _by_vrt}
        contestants = [Contestant(name, partial(makers[name], warp, path)) for name, path in made.items()]
        run = race(contestants, ground.plan.rounds)
        found += evaluate(_claims(method), run, {}, _compared(made))
    return found


def _claims(method: str) -> Iterator[Claim]:
    what = f"{_BANDS} bands of int16 from UTM to Albers, {method}, to a GeoTIFF"
    hand = f"with {CORES} threads"
    yield Claim(f"warp-{method}", what, f"rasterio.warp.reproject {hand}", "ours", "reproject", _TARGET, "pixels/s")
    yield Claim(f"warp-{method}-vrt", what, f"WarpedVRT {hand}", "ours", "vrt", _TARGET, "pixels/s")


def _deliver(path: Path, size: int) -> None:
    """Write a composite of smooth noise, with holes of some pixels."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(8)
    profile = {
        "driver": "GTiff", "dtype": "int16", "count": _BANDS, "height": size, "width": size, "crs": "EPSG:32606",
        "transform": from_origin(500_000, 6_900_000, 30, 30), "nodata": _NODATA, "tiled": True, "compress": "deflate",
        "predictor": 2,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        for band in range(1, _BANDS + 1):
            coarse = zoom(random.normal(size=(size // 16, size // 16)), 16, order=1)
            values = (coarse * _SPAN + random.normal(size=(size, size)) * 20).clip(-10_000, 10_000).astype(np.int16)
            values[zoom(random.random((size // 64, size // 64)), 64, order=0) < 0.02] = _NODATA
            target.write(values, band)


def _warp(source: Path, method: str) -> Warp:
    placement = read_header(source).placement
    anywhere = Lattice("EPSG:3338", 0.0, 0.0, 30.0, 1, 1)
    lattice = anywhere.crop(placement.window_on(anywhere))
    bands = tuple(range(1, _BANDS + 1))
    return Warp(source, placement, bands, ((float(_NODATA),),) * _BANDS, lattice, method, "int16", _NODATA)


def _target(warp: Warp, path: Path) -> Any:
    names = [str(band) for band in warp.bands]
    return open_geotiff(path, warp.lattice, dtype=warp.dtype, nodata=warp.nodata, names=names)


def _by_us(warp: Warp, path: Path) -> int:
    with _target(warp, path) as target:
        for window, values in warp.blocks(CORES):
            target.write(values, window=window.ranges)
    return _pixels(warp)


def _by_reproject(warp: Warp, path: Path) -> int:
    bands = list(warp.bands)
    with rasterio.open(warp.path) as source, _target(warp, path) as target:
        keys = {"num_threads": CORES, "src_nodata": _NODATA, "dst_nodata": _NODATA}
        reproject(rasterio.band(source, bands), rasterio.band(target, bands), resampling=_method(warp), **keys)
    return _pixels(warp)


def _by_vrt(warp: Warp, path: Path) -> int:
    size = {"height": warp.lattice.height, "width": warp.lattice.width}
    keys = {"crs": warp.lattice.crs, "transform": Affine(*warp.lattice.transform), "nodata": _NODATA, **size}
    with (
        rasterio.open(warp.path) as source,
        WarpedVRT(source, resampling=_method(warp), NUM_THREADS=CORES, **keys) as seen,
        _target(warp, path) as target,
    ):
        for window in blocks(warp.lattice, (256, warp.lattice.width)):
            target.write(seen.read(window=window.ranges), window=window.ranges)
    return _pixels(warp)


def _method(warp: Warp) -> Resampling:
    return Resampling[warp.method]


def _pixels(warp: Warp) -> int:
    return warp.lattice.height * warp.lattice.width * len(warp.bands)


def _compared(made: dict[str, Path]) -> str:
    """Return how far the files differ. By hand, positions are up to an eighth of a pixel off."""
    ours, theirs = (_read(made[name]) for name in ("ours", "reproject"))
    both = (ours != _NODATA) & (theirs != _NODATA)
    off = np.abs(ours.astype(np.int32) - theirs)[both]
    odd = float(((ours != _NODATA) != (theirs != _NODATA)).mean())
    if float(np.median(off)) > _SPAN / 50:
        raise RuntimeError(f"values differ by {np.median(off)} in the middle")
    return f"half of the values differ by {np.median(off):.0f} or less; {odd:.2%} are missing in one file alone"


def _read(path: Path) -> npt.NDArray[np.int16]:
    with rasterio.open(path) as source:
        values: npt.NDArray[np.int16] = source.read()
    return values
