"""Broken STEM votes, label and distance rasters: refused, or taken as plain rasterio and numpy take them."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio import windows
from rasterio.features import rasterize
from rasterio.transform import Affine

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.stages.layers.label import write_distance, write_label
from tests.faults.kind import Kind, Sample, made_once, must
from tests.reference.tile_tree import region

_CRS = "EPSG:32606"
_LATTICE = Lattice(_CRS, 600_000.0, 7_000_000.0, 10.0, 40, 50)
_GLACIERS = (shapely.box(600_055, 6_999_705, 600_305, 6_999_905), shapely.Point(600_400, 6_999_800).buffer(70))
# The raster neither starts nor ends with the lattice.
_ROW, _COL, _SHAPE = -4, 6, (38, 52)
_SOURCE = "source.tif"
_FORMS: Sequence[dict[str, Any]] = (
    {},
    {"compress": "deflate", "predictor": 2},
    {"compress": "lzw", "tiled": True, "blockxsize": 16, "blockysize": 16},
    {"compress": "packbits", "blockysize": 5},
    {"bigtiff": "YES", "compress": "deflate"},
)


def _samples(values: Sequence[int], dtypes: Sequence[str], nodata: float) -> Callable[[Path], list[Sample]]:
    """Return a function that writes rasters of these values, in several forms and types."""

    def write(_: Path) -> list[Sample]:
        rng = np.random.default_rng(len(values))
        pixels = rng.choice(values, _SHAPE)
        pixels[10:22] = pixels[10:11]
        pixels[30:, :9] = nodata
        top, left = _LATTICE.top - 10 * _ROW, _LATTICE.left + 10 * _COL
        made = []
        for number, form in enumerate(_FORMS):
            dtype = dtypes[number % len(dtypes)]
            profile = {"crs": _CRS, "transform": Affine(10.0, 0.0, left, 0.0, -10.0, top), "nodata": nodata, **form}
            shape = {"count": 1, "height": _SHAPE[0], "width": _SHAPE[1], "dtype": dtype, "driver": "GTiff"}
            if np.dtype(dtype).kind == "f" and "predictor" in form:
                profile["predictor"] = 3
            with io.BytesIO() as memory:
                with rasterio.open(memory, "w", **shape, **profile) as dataset:
                    dataset.write(pixels.astype(dtype), 1)
                made.append(Sample(f"{dtype} {form}", _SOURCE, memory.getvalue()))
        return made

    return write


def _plain(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the raster's values on the lattice and which are missing, as rasterio reads that part of it."""
    values, missing = np.zeros(_LATTICE.shape), np.ones(_LATTICE.shape, bool)
    with rasterio.open(path) as dataset:
        row = round((_LATTICE.top - dataset.transform.f) / 10)
        col = round((dataset.transform.c - _LATTICE.left) / 10)
        part = Window(row, col, dataset.height, dataset.width).intersection(_LATTICE.window)
        own = windows.Window(part.col - col, part.row - row, part.width, part.height)
        pixels, tag = dataset.read(1, window=own), dataset.nodata
    on_lattice = np.s_[part.row : part.row + part.height, part.col : part.col + part.width]
    values[on_lattice] = pixels
    missing[on_lattice] = (pixels == tag) if tag is not None else False
    missing |= ~np.isfinite(values)
    return values, missing


def _place(lasting: Path, tree: Path, **settings: Any) -> tuple[Region, DatasetPaths]:
    """Return a region of one sound tile, whose outlines lie in the directory that lasts."""

    def write(directory: Path) -> None:
        frame = gpd.GeoDataFrame({"RGIId": ["a", "b"], "BgnDate": ["20000101"] * 2}, geometry=list(_GLACIERS), crs=_CRS)
        pyogrio.write_dataframe(frame, directory / "outlines.gpkg", layer="outlines")

    outlines = made_once(lasting / "outlines-sound", write) / "outlines.gpkg"
    paths = DatasetPaths(tree / "out")
    paths.root.mkdir()
    tile = SourceFile("0001", "a", "a.tif", Window(0, 0, *_LATTICE.shape), "int16", -32768.0, 2)
    paths.inventory.write_text(Inventory(_LATTICE, (tile,)).to_json(), encoding="utf-8")
    chosen = region(outlines={"path": str(outlines)}, **settings)
    return Region(chosen, tree), paths


def _written(write: Callable[..., None], place: Region, paths: DatasetPaths) -> NDArray[Any]:
    out = paths.root / "made.tif"
    write(place, paths, out, lambda _line, _share: None)
    with rasterio.open(out) as dataset:
        pixels: NDArray[Any] = dataset.read(1)
    return pixels


def _compare(found: NDArray[Any], wanted: NDArray[Any]) -> None:
    wrong = np.argwhere(found != wanted)
    must(not len(wrong), f"{len(wrong)} pixels differ, the first at {wrong[:1].tolist()}")


def _votes(lasting: Path, tree: Path, _: Sample) -> None:
    place, layout = _place(lasting, tree, label={"stem": _SOURCE})
    found = _written(write_label, place, layout)
    must(np.isin(found, (0, 1, 2, 255)).all(), f"the label holds {np.unique(found)}")
    votes, missing = _plain(tree / _SOURCE)
    inside = rasterize(_GLACIERS, out_shape=_LATTICE.shape, transform=Affine(*_LATTICE.transform)).astype(bool)
    _compare(found, np.where(missing, 255, np.where(inside, np.where(votes > 3, 2, 1), 0)))


def _label(lasting: Path, tree: Path, _: Sample) -> None:
    place, layout = _place(lasting, tree, label={"raster": _SOURCE})
    found = _written(write_label, place, layout)
    must(np.isin(found, (0, 1, 2, 255)).all(), f"the label holds {np.unique(found)}")
    values, missing = _plain(tree / _SOURCE)
    _compare(found, np.where(missing, 255, values))


def _distance(lasting: Path, tree: Path, _: Sample) -> None:
    place, layout = _place(lasting, tree, distance={"enabled": True, "raster": _SOURCE})
    found = _written(write_distance, place, layout)
    values, missing = _plain(tree / _SOURCE)
    _compare(found, np.where(missing, -32768, np.rint(values)))


VOTES = Kind(_samples((0, 1, 2, 3, 4, 5, 6, 7), ("uint8", "int16", "uint8"), 255), _votes)
LABEL = Kind(_samples((0, 1, 2, 255), ("uint8", "uint8", "int16"), 255), _label)
DISTANCE = Kind(_samples(range(0, 9000, 30), ("int16", "float32", "uint16"), 32767), _distance)
