"""Broken tiles: scanned, counted, mosaicked and read in windows, beside what plain rasterio reads of the same bytes."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from gcn_luigi.bands import Band
from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.io.tiff import opened
from gcn_luigi.lattice import Window
from gcn_luigi.settings import ConvertSettings
from gcn_luigi.stages.band_files import mosaic_files
from gcn_luigi.stages.layers.mosaics import mosaic_band, write_mosaic
from gcn_luigi.stages.layers.tile_quality import write_tile_quality
from tests.faults.kind import Kind, Sample, must
from tests.reference.convert import to_int16
from tests.reference.mosaic import mosaic
from tests.reference.tile_tree import YEARS, region, write_tile

# Of the broken tile, and of the sound one that it overlaps: first column and edge.
_HEIGHT, _WIDTH = 36, 44
_NEIGHBOUR_COL, _NEIGHBOUR_SIZE = 36, 36
_OPTICAL, _TOPO = "optical/0001/x_0001_a.tif", "topo/0001/x_0001_dem_temp.tif"
_SETTINGS = region()
_BAND_A, _BAND_DEM, _ = _SETTINGS.schema_bands
_BLOCKS = {"tiled": True, "blockxsize": 16, "blockysize": 16}
_OPTICAL_FORMS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "plain strips": {"interleave": "pixel"},
        "plain strips by band": {"interleave": "band", "blockysize": 7},
        "plain blocks, big-endian": {**_BLOCKS, "endianness": "big"},
        "deflate strips": {"compress": "deflate", "interleave": "pixel", "blockysize": 16},
        "deflate blocks, predictor": {**_BLOCKS, "compress": "deflate", "predictor": 2},
        "lzw strips": {"compress": "lzw", "interleave": "band"},
        "lzw blocks, predictor": {**_BLOCKS, "compress": "lzw", "predictor": 2, "interleave": "pixel"},
        "packbits": {"compress": "packbits"},
        "zstd": {**_BLOCKS, "compress": "zstd"},
        "BigTIFF": {**_BLOCKS, "compress": "deflate", "bigtiff": "YES", "interleave": "pixel"},
        "BigTIFF, plain": {"bigtiff": "YES", "interleave": "band"},
        "south-up": {"transform": Affine(10.0, 0.0, 600_000.0, 0.0, 10.0, 7_000_000.0 - 10 * _HEIGHT)},
        "no nodata tag": {"nodata": None, "compress": "deflate"},
        "another nodata tag": {"nodata": 0, "compress": "lzw"},
        "uint8": {"dtype": "uint8", "nodata": 0, "compress": "lzw"},
        "int8": {"dtype": "int8", "nodata": -128},
        "sparse": {**_BLOCKS, "sparse_ok": True, "compress": "deflate"},
        "cloud-optimised": {"driver": "COG", "compress": "deflate", "blocksize": 128},
    }
)
_TOPO_FORMS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "float32 deflate": {**_BLOCKS, "compress": "deflate", "predictor": 3},
        "float32 plain": {"nodata": float("nan")},
        "float64 lzw": {"dtype": "float64", "compress": "lzw"},
        "int16 lzw": {"dtype": "int16", "compress": "lzw", "predictor": 2},
        "int32 deflate, no tag": {"dtype": "int32", "compress": "deflate", "nodata": None},
        "uint16 zstd": {"dtype": "uint16", "compress": "zstd", "nodata": 65535},
    }
)


def _file(count: int, form: Mapping[str, Any], nodata: float) -> bytes:
    profile = {"driver": "GTiff", "dtype": "int16" if count > 1 else "float32", "nodata": nodata, **form}
    rng = np.random.default_rng(count)
    low = 0 if np.dtype(profile["dtype"]).kind == "u" else -90
    values = rng.integers(low, 120, (count, _HEIGHT, _WIDTH)).astype(profile["dtype"])
    if form.get("sparse_ok"):
        values[:, :, :16] = 0
    # Compressible, and with gaps that the neighbour is seen through.
    values[:, 8:20] = values[:, 8:9]
    if profile["nodata"] is not None:
        values[:, 5:12, 30:] = profile["nodata"]
    whole = {"crs": "EPSG:32606", "transform": Affine(10.0, 0.0, 600_000.0, 0.0, -10.0, 7_000_000.0), **profile}
    with MemoryFile() as memory:
        with memory.open(count=count, height=_HEIGHT, width=_WIDTH, **whole) as dataset:
            dataset.write(values)
        return bytes(memory.getbuffer())


def _optical_samples(_: Path) -> list[Sample]:
    return [Sample(name, _OPTICAL, _file(len(YEARS), form, -32768)) for name, form in _OPTICAL_FORMS.items()]


def _topo_samples(_: Path) -> list[Sample]:
    return [Sample(name, _TOPO, _file(1, form, -9999)) for name, form in _TOPO_FORMS.items()]


@dataclass(frozen=True)
class _Plain:
    """What rasterio says of a file by itself."""

    pixels: NDArray[Any]
    nodata: float | None
    left: float
    top: float
    step: float

    @classmethod
    def of(cls, path: Path) -> "_Plain":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                transform = dataset.transform
                return cls(dataset.read(), dataset.nodata, transform.c, transform.f, transform.a)


def _attempt(tree: Path, broken: str, band: Band) -> None:
    """Take the region with the broken file as far as to its pixels; refuse it, or compare all of them."""
    write_tile(tree, "0002", col=_NEIGHBOUR_COL, size=_NEIGHBOUR_SIZE, value=7)
    for place, count in ((_OPTICAL, len(YEARS)), (_TOPO, 1)):
        if place != broken:
            (tree / place).parent.mkdir(parents=True)
            (tree / place).write_bytes(_file(count, {"compress": "deflate"}, -32768 if count > 1 else -9999))
    inventory = scan_tiles(tree, _SETTINGS)
    paths, place = DatasetPaths(tree / "out"), Region(_SETTINGS, tree)
    (tree / "out/mosaics").mkdir(parents=True)
    paths.inventory.write_text(inventory.to_json(), encoding="utf-8")
    must(Inventory.from_json(paths.inventory.read_text(encoding="utf-8")) == inventory, "the inventory reads otherwise")
    write_tile_quality(place, paths, band.name, tree / "quality.json", lambda _line, _share: None)
    plain = {file.path: _Plain.of(tree / file.path) for file in inventory.of_band(band.name)}
    for file in inventory.of_band(band.name):
        _compare_header(file, plain[file.path], inventory)
    if band.name == "dem":
        for path in mosaic_files(paths, band, None):
            write_mosaic(place, paths, band, None, path, path)
        _compare_topo(inventory, plain, band, paths.mosaic(band))
        return
    for number, year in enumerate(YEARS):
        write_mosaic(place, paths, band, year, *[paths.mosaic(band, year)] * 2)
        _compare_windows(inventory, {name: one.pixels[number] for name, one in plain.items()}, paths, (band, year))


def _compare_header(file: SourceFile, plain: _Plain, inventory: Inventory) -> None:
    lattice, window = inventory.lattice, file.window
    left, top = lattice.left + window.col * lattice.pixel_size, lattice.top - window.row * lattice.pixel_size
    near = 0.01 * lattice.pixel_size
    must(abs(left - plain.left) < near and abs(top - plain.top) < near, f"lies at {left}, {top}: {plain}")
    must(plain.pixels.shape == (file.count, window.height, window.width), f"shape {plain.pixels.shape}, said {file}")
    must(plain.pixels.dtype == file.dtype, f"dtype {plain.pixels.dtype}, said {file.dtype}")
    must(repr(plain.nodata) == repr(file.nodata), f"nodata {plain.nodata}, said {file.nodata}")


def _mosaicked(inventory: Inventory, pixels: Mapping[str, NDArray[Any]], band: Band, window: Window) -> NDArray[Any]:
    """Return a window of the mosaic, pixel by pixel."""
    files = inventory.of_band(band.name)
    tiles = [
        (
            pixels[file.path],
            file.window.row - window.row,
            file.window.col - window.col,
            float(band.nodata) if file.nodata is None else file.nodata,
        )
        for file in files
    ]
    dtype = np.result_type(*{np.dtype(file.dtype) for file in files}, np.min_scalar_type(band.nodata))
    return mosaic(tiles, (window.height, window.width), band.nodata, dtype)


def _compare_windows(
    inventory: Inventory, pixels: Mapping[str, NDArray[Any]], paths: DatasetPaths, which: tuple[Band, int]
) -> None:
    """Compare windows around every tile, read by way of a stack, with the pixels that the files hold."""
    band, year = which
    lattice, number = inventory.lattice, YEARS.index(year) + 1
    mosaic = mosaic_band(inventory.of_band(band.name), band, paths.root.parent, source_band=number)
    source = VrtSource(paths.mosaic(band, year).absolute(), 1, lattice.window, band.nodata, mosaic)
    stack = Vrt(paths.root / f"{year}.vrt", lattice, (VrtBand(band.name, "int16", band.nodata, (source,)),))
    write_vrt(stack.path, lattice, stack.bands)
    windows = [
        Window(file.window.row + row, file.window.col + col, 24, 30)
        for file in inventory.of_band(band.name)
        for row in (-3, 17)
        for col in (-5, 21)
    ]
    with StackReader({year: stack}) as reader:
        reader.expect([(year, window) for window in windows])
        for window in windows:
            wanted = _mosaicked(inventory, pixels, band, window)
            inside = window.intersection(lattice.window)
            row, col = inside.row - window.row, inside.col - window.col
            shown = np.full(wanted.shape, band.nodata, np.int16)
            part = np.s_[row : row + inside.height, col : col + inside.width]
            shown[part] = wanted[part]
            found = reader.read(year, window)[0]
            wrong = np.argwhere(found != shown)
            must(not len(wrong), f"{len(wrong)} pixels of {window} differ in {year}: {_first(found, shown, wrong)}")


def _compare_topo(inventory: Inventory, plain: Mapping[str, _Plain], band: Band, path: Path) -> None:
    """Compare the converted mosaic, pixel by pixel, with decimal arithmetic."""
    lattice = inventory.lattice
    source = _mosaicked(inventory, {name: one.pixels[0] for name, one in plain.items()}, band, lattice.window)
    convert = partial(to_int16, band=band, nodata=float(band.nodata), settings=ConvertSettings())
    wanted = np.array([convert(value) for value in source.ravel()], dtype=object).reshape(source.shape)
    with rasterio.open(path) as dataset:
        found = dataset.read(1)
    wrong = np.argwhere(found != wanted)
    must(not len(wrong), f"{len(wrong)} pixels differ: {_first(found, wanted, wrong)}")


def _first(found: NDArray[Any], wanted: NDArray[Any], wrong: Sequence[Any]) -> str:
    return ", ".join(f"{found[tuple(at)]} for {wanted[tuple(at)]} at {tuple(at.tolist())}" for at in wrong[:3])


def _attempt_decoded(tree: Path, broken: str, band: Band) -> None:
    """Do the same with blocks that are decoded here although they are as small as GDAL would decode faster."""
    with mock.patch.object(opened, "_SMALLEST", 0):
        _attempt(tree, broken, band)


TILE = Kind(_optical_samples, lambda _lasting, tree, _: _attempt_decoded(tree, _OPTICAL, _BAND_A))
TOPO = Kind(_topo_samples, lambda _lasting, tree, _: _attempt_decoded(tree, _TOPO, _BAND_DEM))
