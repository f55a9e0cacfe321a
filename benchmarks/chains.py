"""Two other ways from delivered tiles to chips, from end to end: the published chain, and a competent script.

Both get the list of partitions, which the published workflow has from Google Earth Engine and QGIS. The chain was
written anew from its description: topography becomes int16, VRTs join tiles and stack bands, the label is made from
votes and outlines, and then each partition is clipped, corrected and cut into files.
"""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
from rasterio.features import rasterize
from rasterio.merge import merge

from benchmarks import competent, published
from gcn_luigi.prepare.chips.metadata import Partition

_OPTICAL = ("nbr", "ndsi", "ndvi", "tcb", "tcw")
# Ends of names, and what the script multiplies values by; the published chain only rounds them.
_TOPO = {"north_temp": 1000, "south_temp": 1000, "curvature_temp": 100, "dem_cubic_temp": 1}
_VOTES = 3
STEP = 32


@dataclass(frozen=True)
class Job:
    """What is made from which files.

    Attributes
    ----------
    sources : Path
        The made-up world.
    scratch : Path
        Directory of everything that is made; it must not exist.
    years : tuple of int
        Band k of an optical tile is the k-th year.
    places : sequence of Partition
        What is cut into chips.
    """

    sources: Path
    scratch: Path
    years: tuple[int, ...]
    places: Sequence[Partition]


def lay_published(job: Job) -> Callable[[int], Path]:
    """Make what the published chain makes once for a region: int16 topography, label, VRTs; return stacks by year."""
    job.scratch.mkdir(parents=True)
    topo = {name: [_as_int16(path, job.scratch) for path in _tiles(job, "topo", name)] for name in _TOPO}
    first = _tiles(job, "optical", _OPTICAL[0])
    label = _label(job, _frame(first))
    topo_vrts = [_mosaic(job.scratch / f"topo_{name}.vrt", files, 1, -9999) for name, files in topo.items()]
    for number, year in enumerate(job.years, 1):
        bands = [
            _mosaic(job.scratch / f"{name}_{year}.vrt", _tiles(job, "optical", name), number, published.NODATA)
            for name in _OPTICAL
        ]
        _stack(_stack_of(job.scratch, year), [*bands, *topo_vrts, label])
    return partial(_stack_of, job.scratch)


def cut_published(job: Job, stack_of: Callable[[int], Path], processes: int) -> int:
    """Clip, correct and cut the partitions, one process or several; return how many chips."""
    work = partial(_cut_one, stack_of, job.scratch)
    if processes == 1:
        return sum(map(work, job.places))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(work, job.places))


def _cut_one(stack_of: Callable[[int], Path], scratch: Path, place: Partition) -> int:
    clip = scratch / f"train_pt_id_{place.partition}_partition_year_{place.year}_grid.tif"
    published.lay_partition(stack_of(place.year), place, clip)
    return published.export([clip], scratch, STEP)


def lay_script(job: Job) -> Callable[[int], Path]:
    """Join the tiles of each band in memory, and write one tiled GeoTIFF for each year; return it by year."""
    job.scratch.mkdir(parents=True)
    first = _tiles(job, "optical", _OPTICAL[0])
    frame = _frame(first)
    topo = []
    for name, scale in _TOPO.items():
        values = merge(_tiles(job, "topo", name), nodata=-9999)[0][0]
        topo.append(np.where(values == -9999, -9999, np.rint(values * scale)).astype(np.int16))
    label = _classes(job, frame)
    profile = {
        "driver": "GTiff", "dtype": "int16", "count": 10, "crs": frame["crs"], "transform": frame["transform"],
        "height": frame["height"], "width": frame["width"], "tiled": True, "blockxsize": 256, "blockysize": 256,
        "interleave": "band", "nodata": -32768, "bigtiff": "if_safer",
    }  # fmt: skip
    for number, year in enumerate(job.years, 1):
        with rasterio.open(_script_stack(job.scratch, year), "w", **profile) as target:
            for band, name in enumerate(_OPTICAL, 1):
                target.write(merge(_tiles(job, "optical", name), indexes=[number], nodata=-32768)[0][0], band)
            for band, values in enumerate(topo, len(_OPTICAL) + 1):
                target.write(np.where(values == -9999, -32768, values), band)
            target.write(label.astype(np.int16), 10)
    return partial(_script_stack, job.scratch)


def cut_script(job: Job, stack_of: Callable[[int], Path]) -> int:
    """Write the chips of all partitions to one HDF5 file with deflate; return how many."""
    return competent.export(job.places, stack_of, job.scratch / "chips.h5", STEP, "deflate")


def clean(job: Job) -> None:
    """Remove what was made."""
    shutil.rmtree(job.scratch)


def _stack_of(scratch: Path, year: int) -> Path:
    return scratch / f"full_time_series_year_{year}_class_label_multiband.vrt"


def _script_stack(scratch: Path, year: int) -> Path:
    return scratch / f"stack_{year}.tif"


def _tiles(job: Job, role: str, ending: str) -> list[Path]:
    return sorted((job.sources / role).rglob(f"*_{ending}.tif"))


def _as_int16(path: Path, directory: Path) -> Path:
    """Write a tile as int16 without a nodata tag, as the published chain converts topography."""
    made = directory / f"{path.stem}_int.tif"
    with rasterio.open(path) as source:
        values, profile = source.read(), source.profile
    profile.update(dtype="int16", nodata=None, predictor=2)
    with rasterio.open(made, "w", **profile) as target:
        target.write(np.rint(values).astype(np.int16))
    return made


def _frame(tiles: Sequence[Path]) -> dict[str, Any]:
    """Return CRS, transform and size of the area of all tiles."""
    boxes = []
    for path in tiles:
        with rasterio.open(path) as source:
            boxes.append(source.bounds)
            crs, (size, *_) = source.crs, source.transform
    left, bottom, right, top = (choose(box[side] for box in boxes) for side, choose in enumerate((min, min, max, max)))
    return {
        "crs": crs,
        "transform": rasterio.Affine(size, 0, left, 0, -size, top),
        "height": round((top - bottom) / size),
        "width": round((right - left) / size),
    }


def _classes(job: Job, frame: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Return 0 outside outlines, 1 for debris and 2 where votes say ice without debris."""
    shape = (frame["height"], frame["width"])
    outlines = pyogrio.read_dataframe(job.sources / "rgi" / "outlines.gpkg", columns=[])
    inside = rasterize(outlines.geometry, shape, transform=frame["transform"], dtype="uint8")
    (path,) = (job.sources / "stem").glob("*.tif")
    left, top = frame["transform"] * (0, 0)
    with rasterio.open(path) as source:
        row, col = source.index(left + 1, top - 1)
        votes = source.read(1, window=((row, row + shape[0]), (col, col + shape[1])))
    classes: npt.NDArray[np.uint8] = inside + inside * (votes > _VOTES)
    return classes


def _label(job: Job, frame: dict[str, Any]) -> Path:
    path = job.scratch / "label.tif"
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", count=1, compress="lzw", **frame) as target:
        target.write(_classes(job, frame), 1)
    return path


def _mosaic(path: Path, files: Sequence[Path], band: int, nodata: int) -> Path:
    """Write a VRT that joins a band of tiles, as gdalbuildvrt does."""
    frame, sources = _frame(files), []
    transform = frame["transform"]
    for file in files:
        with rasterio.open(file) as source:
            (height, width), (left, _, _, top) = source.shape, source.bounds
        col, row = (round(place) for place in ~transform * (left, top))
        sources.append(_source("ComplexSource", file, band, (0, 0, width, height), (col, row, width, height), nodata))
    _write_vrt(path, frame, [("".join(sources), nodata)])
    return path


def _stack(path: Path, bands: Sequence[Path]) -> None:
    """Write a VRT with one band for each raster; -32768 is the nodata value of all of them, as published."""
    frame = _frame(bands[:1])
    whole = (0, 0, frame["width"], frame["height"])
    _write_vrt(path, frame, [(_source("SimpleSource", one, 1, whole, whole), published.NODATA) for one in bands])


def _source(
    kind: str, file: Path, band: int, read: tuple[int, ...], shown: tuple[int, ...], nodata: int | None = None
) -> str:
    rects = "".join(
        f'<{name} xOff="{x}" yOff="{y}" xSize="{width}" ySize="{height}"/>'
        for name, (x, y, width, height) in (("SrcRect", read), ("DstRect", shown))
    )
    masked = "" if nodata is None else f"<NODATA>{nodata}</NODATA>"
    name = f'<SourceFilename relativeToVRT="0">{escape(str(file))}</SourceFilename>'
    return f"<{kind}>{name}<SourceBand>{band}</SourceBand>{rects}{masked}</{kind}>"


def _write_vrt(path: Path, frame: dict[str, Any], bands: Sequence[tuple[str, int]]) -> None:
    a, b, c, d, e, f = frame["transform"][:6]
    head = f"<SRS>{escape(frame['crs'].to_wkt())}</SRS><GeoTransform>{c}, {a}, {b}, {f}, {d}, {e}</GeoTransform>"
    inside = "".join(
        f'<VRTRasterBand dataType="Int16" band="{number}"><NoDataValue>{nodata}</NoDataValue>{sources}</VRTRasterBand>'
        for number, (sources, nodata) in enumerate(bands, 1)
    )
    size = f'rasterXSize="{frame["width"]}" rasterYSize="{frame["height"]}"'
    path.write_text(f"<VRTDataset {size}>{head}{inside}</VRTDataset>", encoding="utf-8")
