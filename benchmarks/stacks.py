"""Windows of a stack, read from tiles as they are delivered: all years of a band in one file, interleaved by pixel.

No cell is aligned with the blocks of such tiles, and one block holds all years: what is decoded is many times what is
wanted unless somebody remembers it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window as Rectangle

from benchmarks.region import Ground
from benchmarks.rows import Claim, Row, evaluate
from benchmarks.timing import Contestant, race
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.lattice import Lattice, Window, hilbert_order

CORES = 1
# As the published composites: a band a year, blocks and cells of 256 px, a name for each of the two years read.
_YEARS, _SIZE, _SHIFT = 18, 256, 100
_BANDS = ("nbr", "ndsi", "ndvi", "tcb", "tcw")
_READ = (5, 11)

Windows = list[tuple[int, Window]]


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    directory = ground.directory / "delivered"
    lattice = read_header(ground.base.stack(ground.settings.years[0])).lattice
    tiles = _deliver(ground, directory)
    stacks = {number: _lay_stack(directory / f"{number}.vrt", lattice, tiles, number) for number in _READ}
    windows = windows_of(lattice, ground.plan.few_partitions * 5, _READ)
    _check(directory, stacks, windows)
    contestants = [
        Contestant("ours", partial(_by_us, stacks, windows)),
        Contestant("once", partial(_by_gdal, directory, windows)),
        Contestant("each", partial(_by_gdal_anew, directory, windows)),
    ]
    run = race(contestants, ground.plan.rounds)
    return evaluate(_claims(), run, {}, "every window equals GDAL's reading of the VRT")


def _claims() -> Iterator[Claim]:
    what = f"windows of {_SIZE} px, {len(_BANDS)} bands, {_YEARS} years interleaved by pixel"
    yield Claim("stack-once", what, "rasterio, VRT opened once", "ours", "once", None, "windows/s")
    yield Claim("stack-each", what, "rasterio, VRT opened for each window", "ours", "each", None, "windows/s")


def _deliver(ground: Ground, directory: Path) -> list[tuple[str, Path]]:
    """Write the region's optical tiles anew with as many bands as years, the two years that there are in turns."""
    made = []
    for source in sorted(ground.sources.glob("optical/*/*.tif")):
        band = source.stem.rsplit("_", maxsplit=1)[1]
        if band not in _BANDS:
            continue
        path = directory / source.name
        made.append((band, path))
        if path.is_file():
            continue
        directory.mkdir(exist_ok=True)
        with rasterio.open(source) as tile:
            pixels, profile = tile.read(), tile.profile
        profile.update(count=_YEARS, interleave="pixel", compress="deflate", predictor=2)
        with rasterio.open(path, "w", **profile) as tile:
            tile.write(np.resize(pixels, (_YEARS, *pixels.shape[1:])))
    return made


def _lay_stack(path: Path, lattice: Lattice, tiles: list[tuple[str, Path]], number: int) -> Vrt:
    """Write the VRT of one year as a task would, mosaics and stack in one; return its value."""
    bands = []
    for name in _BANDS:
        files = [tile for band, tile in tiles if band == name]
        places = [lattice.window_of(read_header(tile).lattice.bounds, where=str(tile)) for tile in files]
        sources = tuple(VrtSource(tile, number, place, -32768.0) for tile, place in zip(files, places, strict=True))
        bands.append(VrtBand(name, "int16", -32768.0, sources))
    write_vrt(path, lattice, bands)
    return Vrt(path, lattice, tuple(bands))


def windows_of(lattice: Lattice, count: int, years: Sequence[int]) -> Windows:
    """Return cells off the blocks of the tiles, in the order in which a shard reads them, of `years` in turns."""
    rows, cols = (np.arange(_SHIFT, extent - _SIZE, _SIZE) for extent in lattice.shape)
    cells = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)
    ordered = cells[hilbert_order(cells[:, 0], cells[:, 1])][:count]
    return [(years[k % len(years)], Window(int(row), int(col), _SIZE, _SIZE)) for k, (row, col) in enumerate(ordered)]


def _by_us(
    stacks: Mapping[int, Vrt], windows: Windows, see: Callable[[npt.NDArray[np.int16]], None] = lambda _: None
) -> int:
    with StackReader(stacks) as reader:
        reader.expect(windows)
        for year, window in windows:
            see(reader.read(year, window))
    return len(windows)


def _by_gdal(directory: Path, windows: Windows) -> int:
    stacks = {year: rasterio.open(directory / f"{year}.vrt") for year in _READ}
    for year, window in windows:
        stacks[year].read(window=_rectangle(window))
    for stack in stacks.values():
        stack.close()
    return len(windows)


def _by_gdal_anew(directory: Path, windows: Windows) -> int:
    for year, window in windows:
        with rasterio.open(directory / f"{year}.vrt") as stack:
            stack.read(window=_rectangle(window))
    return len(windows)


def _rectangle(window: Window) -> Rectangle:
    return Rectangle(window.col, window.row, window.width, window.height)


def _check(directory: Path, stacks: Mapping[int, Vrt], windows: Windows) -> None:
    seen: list[npt.NDArray[np.int16]] = []
    _by_us(stacks, windows, lambda pixels: seen.append(pixels.copy()))
    for (year, window), pixels in zip(windows, seen, strict=True):
        with rasterio.open(directory / f"{year}.vrt") as stack:
            if not np.array_equal(stack.read(window=_rectangle(window)), pixels):
                raise RuntimeError(f"{year}, {window}: pixels differ from GDAL's")
