"""Windows of a stack, read from the same pixels in other files than tiles of one band: the reference is the tile tree.

All files have the same pixels, blocks of 256 px, deflate and predictor 2. Partitions of either year are read in turns.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.shutil import copy
from rasterio.transform import Affine

from benchmarks.region import Ground
from benchmarks.rows import Claim, Row, evaluate
from benchmarks.stacks import Windows, windows_of
from benchmarks.timing import Contestant, race
from gcn_luigi.config import Region
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.layers.mosaics import stack_of

CORES = 1
# At most a tenth more time than the tile tree takes.
_TARGET = 0.9
_BANDS = ("nbr", "ndsi", "ndvi", "tcb", "tcw")
_CREATION = {"driver": "GTiff", "dtype": "int16", "nodata": -32768, "compress": "deflate", "predictor": 2}
_BLOCKS = {"tiled": True, "blockxsize": 256, "blockysize": 256}
# Tiles of the large tree, with a file for each of five bands, and the edge of a tile in pixels.
_MANY, _FEW, _EDGE = 2000, 8, 16

Planes = Mapping[tuple[str, int], npt.NDArray[np.int16]]
# The keys of a [[bands]] table for a band, in each shape.
_SHAPES: Mapping[str, tuple[str, dict[str, object]]] = {
    "tree": ("a directory per tile with a file per band", {}),
    "year": ("one file of five bands for each year", {"path": "year/{year}.tif"}),
    "band": ("one file for each band and year", {"path": "band/{name}_{year}.tif"}),
    "all": ("one file for everything", {"path": "all/all.tif", "band": "{name} {year}"}),
    "parts": ("exports split into parts", {"path": "parts/{year}-{tile}.tif"}),
    "cog": ("cloud-optimised GeoTIFFs", {"path": "cog/{name}_{year}.tif"}),
    "vrt": ("VRTs over parts", {"path": "vrt/{name}_{year}.vrt"}),
}


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    directory = ground.directory / "shapes"
    lattice = read_header(ground.base.stack(ground.settings.years[0])).lattice
    if not (directory / "done").exists():
        _write(directory, lattice, _planes(ground), ground.settings.years)
    stacks = {name: _stacks(ground.settings, directory, keys) for name, (_, keys) in _SHAPES.items()}
    windows = windows_of(lattice, ground.plan.few_partitions * 5, ground.settings.years)
    _check(stacks, windows)
    run = race([Contestant(name, partial(_read, stacks[name], windows)) for name in _SHAPES], ground.plan.rounds)
    claims = [
        Claim(f"shape-{name}", what, _SHAPES["tree"][0], name, "tree", _TARGET, "windows/s")
        for name, (what, _) in _SHAPES.items()
        if name != "tree"
    ]
    return [*evaluate(claims, run, {}, "all shapes give equal windows"), *_listing(ground)]


def _listing(ground: Ground) -> list[Row]:
    """Compare the scan of a large tree, with all of its checks, with opening its files one by one."""
    tiles = _MANY if ground.plan.name == "full" else _FEW
    directory = ground.directory / "many"
    lattice = Lattice("EPSG:3338", left=0.0, top=0.0, pixel_size=30.0, height=_EDGE, width=tiles * _EDGE)
    plane = np.ones((_EDGE, _EDGE), np.int16)
    for number in range(tiles):
        part = Window(0, number * _EDGE, _EDGE, _EDGE)
        for name in _BANDS:
            path = directory / f"tree/{number}/x_{name}.tif"
            if not path.exists():
                _write_one(path, lattice, part, {str(year): plane for year in ground.settings.years})
    region = _region(ground.settings, directory, {})
    files = sorted(directory.glob("tree/*/*.tif"))

    def scan() -> int:
        return len(scan_tiles(directory, region.settings).files)

    def open_each() -> int:
        for file in files:
            with rasterio.open(file) as source:
                source.profile  # noqa: B018  read as the scan reads it
        return len(files)

    run = race([Contestant("scan", scan), Contestant("open", open_each)], min(ground.plan.rounds, 3))
    claim = Claim(
        "scan", f"{len(files):,} files found and checked", "rasterio.open for each", "scan", "open", None, "files/s"
    )
    return evaluate([claim], run, {}, "")


def _planes(ground: Ground) -> Planes:
    found = {}
    for year in ground.settings.years:
        with rasterio.open(ground.base.stack(year)) as stack:
            for number, name in enumerate(stack.descriptions, start=1):
                if name in _BANDS:
                    found[name, year] = stack.read(number)
    return found


def _write(directory: Path, lattice: Lattice, planes: Planes, years: tuple[int, ...]) -> None:
    """Write the pixels in every shape. Tiles and parts are quarters."""
    whole = lattice.window
    down, across = whole.height // 2, whole.width // 2
    quarters = [Window(row, col, down, across) for row in (0, down) for col in (0, across)]
    for number, part in enumerate(quarters):
        for name in _BANDS:
            tile = {str(year): planes[name, year] for year in years}
            _write_one(directory / f"tree/{number}/x_{name}.tif", lattice, part, tile)
        for year in years:
            of_year = {name: planes[name, year] for name in _BANDS}
            _write_one(directory / f"parts/{year}-{number}.tif", lattice, part, of_year)
    _write_one(
        directory / "all/all.tif", lattice, whole, {f"{name} {year}": plane for (name, year), plane in planes.items()}
    )
    for year in years:
        _write_one(directory / f"year/{year}.tif", lattice, whole, {name: planes[name, year] for name in _BANDS})
    (directory / "cog").mkdir()
    (directory / "vrt").mkdir()
    for (name, year), plane in planes.items():
        path = directory / f"band/{name}_{year}.tif"
        _write_one(path, lattice, whole, {name: plane})
        copy(path, directory / f"cog/{path.name}", driver="COG", compress="deflate", predictor=2, blocksize=256)
        parts = [(directory / f"parts/{year}-{number}.tif", part) for number, part in enumerate(quarters)]
        sources = tuple(VrtSource(file, _BANDS.index(name) + 1, part, -32768.0) for file, part in parts)
        write_vrt(directory / f"vrt/{name}_{year}.vrt", lattice, [VrtBand(name, "int16", -32768.0, sources)])
    (directory / "done").touch()


def _write_one(path: Path, lattice: Lattice, part: Window, planes: Mapping[str, npt.NDArray[np.int16]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    own = lattice.crop(part)
    place = {"crs": own.crs, "transform": Affine(*own.transform), "height": own.height, "width": own.width}
    with rasterio.open(path, "w", **_CREATION, **_BLOCKS, **place, count=len(planes), interleave="pixel") as target:
        for number, name in enumerate(planes, start=1):
            target.set_band_description(number, name)
        target.write(np.stack([_cut(plane, part) for plane in planes.values()]))


def _cut(plane: npt.NDArray[np.int16], part: Window) -> npt.NDArray[np.int16]:
    """Return a part of a plane; a plane that is as large as the part is taken whole."""
    return plane if plane.shape == (part.height, part.width) else plane[slice(*part.ranges[0]), slice(*part.ranges[1])]


def _stacks(settings: RegionSettings, directory: Path, keys: Mapping[str, object]) -> dict[int, Vrt]:
    """Return what the package reads for each year: the optical bands."""
    region = _region(settings, directory, keys)
    inventory = scan_tiles(directory, region.settings)
    shape, found = str(keys.get("path", "tree")).partition("/")[0], {}
    for year in settings.years:
        stack = stack_of(region, DatasetPaths(directory / "stacks" / shape), inventory, year)
        bands = tuple(band for band in stack.bands if band.name in _BANDS)
        # What the package cannot copy by itself is read by GDAL from these files.
        for path, shown in [
            (stack.path, bands),
            *((band.sources[0].path, (band.sources[0].mosaic,)) for band in bands),
        ]:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_vrt(path, stack.lattice, [one for one in shown if one is not None])
        found[year] = Vrt(stack.path, stack.lattice, bands)
    return found


def _region(settings: RegionSettings, directory: Path, keys: Mapping[str, object]) -> Region:
    """Return the region with its optical bands alone, and `keys` in their tables."""
    given = settings.model_dump(mode="json")
    tables = [table for table in given["bands"] if table["name"] in _BANDS]
    changed = {"bands": [{**table, **keys} for table in tables], "tiles": {**given["tiles"], "optical": "tree"}}
    return Region(RegionSettings.model_validate(given | changed), directory)


def _read(
    stacks: Mapping[int, Vrt],
    windows: Windows,
    see: Callable[[npt.NDArray[np.int16]], None] = lambda _: None,
) -> int:
    with StackReader(stacks) as reader:
        reader.expect(windows)
        for year, window in windows:
            see(reader.read(year, window))
    return len(windows)


def _check(stacks: Mapping[str, Mapping[int, Vrt]], windows: Windows) -> None:
    seen: dict[str, list[npt.NDArray[np.int16]]] = {}
    for name, of_shape in stacks.items():
        found = seen.setdefault(name, [])
        _read(of_shape, windows, lambda pixels, found=found: found.append(pixels.copy()))  # type: ignore[misc]
        for ours, theirs in zip(found, seen["tree"], strict=True):
            if not np.array_equal(ours, theirs):
                raise RuntimeError(f"{name}: pixels differ from those of the tile tree")
