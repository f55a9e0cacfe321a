"""Writes an invented world as files, in the same layout as real inputs."""

import itertools
import json
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
from rasterio.transform import Affine

from gcn_luigi.errors import PublishError
from gcn_luigi.io.gdal import pin_rasters, pin_vectors
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.synthetic.imagery import NODATA
from gcn_luigi.synthetic.outlines import as_rgi7
from gcn_luigi.synthetic.world import TOPO_NODATA, World, WorldSettings, make_world

Size = Literal["demo", "small"]

# 6 x 7 cells of 256 px, and 2 x 2 cells with half a cell left over.
_SHAPES: dict[Size, tuple[tuple[int, int], tuple[int, int]]] = {
    "demo": ((1536, 1792), (3, 5)),
    "small": ((512, 640), (2, 3)),
}
MARKER = "made.json"
# Raise this number when the same settings give another world.
_RECIPE = 1
_TOPO_SUFFIX = {"north": "north_temp", "south": "south_temp", "curvature": "curvature_temp", "dem": "dem_cubic_temp"}
# A GeoPackage stores the time of writing in its layers unless another time is set.
_STAMP = "2000-01-01T00:00:00.000Z"
_README = """# A small made-up Alaska

Everything here is invented: no mountain, glacier, river, name or date is real, and nothing was observed.
It was computed from the settings in `made.json`; the same settings give the same files, byte for byte.

* `optical/<tile>/made_<tile>_{nbr,ndsi,ndvi,tcb,tcw,rmse}.tif`: int16, nodata -32768. Band k is the k-th composite
  year, named in its description. Normalised differences x 1000, tasselled cap of reflectance x 10000.
* `topo/<tile>/made_<tile>_{north,south,curvature,dem_cubic}_temp.tif`: float32, nodata -9999. Cosine of the aspect;
  minus that times the sine of the slope; 1/100 m, summits positive; metres.
* `stem/*_debris_free_ice_votes.tif`: int16, 0 to 7 votes for ice without debris, nodata -32768; reaches some pixels
  beyond the tiles.
* `rgi/outlines.gpkg`: glacier outlines with the columns of RGI 6.0; `rgi/outlines_rgi7.gpkg`: the same ones with
  those of RGI 7.0.

Tiles overlap by a few pixels with equal values. The first tile lacks its leading zero below `topo`.
"""


def make_demo(root: Path, *, size: Size = "demo", seed: int = 8) -> bool:
    """Make a world and write it, unless it already exists.

    Parameters
    ----------
    root : Path
        Directory to make.
    size : {"demo", "small"}
        1536 x 1792 pixels, which take some seconds, or 512 x 640 pixels, which take one second.
    seed : int
        Decides the world.

    Returns
    -------
    bool
        True if it was written, False if the same world already existed.

    Raises
    ------
    PublishError
        `root` holds something else, or cannot be written.
    """
    shape, tiles = _SHAPES[size]
    settings = WorldSettings(seed=seed, shape=shape, tiles=tiles)
    if is_written(settings, root):
        return False
    # Checked before the work, not after it.
    _refuse_foreign(root)
    return write_world(make_world(settings), root)


def is_written(settings: WorldSettings, root: Path) -> bool:
    """Return whether `root` already holds the complete world of these settings."""
    try:
        return (root / MARKER).read_text(encoding="utf-8") == _marker(settings)
    except (OSError, UnicodeDecodeError):
        return False


def write_world(world: World, root: Path) -> bool:
    """Write a world, or nothing at all.

    Files are written into a hidden sibling directory, which is then renamed.

    Parameters
    ----------
    world : World
        What to write.
    root : Path
        Directory to make. An older invented world there is replaced; any other content is left alone.

    Returns
    -------
    bool
        False if the same world already existed.

    Raises
    ------
    PublishError
        `root` holds files that are not a made-up world, or cannot be written.
    """
    if is_written(world.settings, root):
        return False
    _refuse_foreign(root)
    temporary = root.with_name(f".{secrets.token_hex(4)}.{root.name}")
    try:
        temporary.mkdir(parents=True)
        _write_files(world, temporary)
        if root.exists():
            # The old world is moved aside first, so a reader sees the old world, none, or the new one.
            old = temporary.with_name(f"{temporary.name}.old")
            root.rename(old)
            temporary.rename(root)
            shutil.rmtree(old)
        else:
            temporary.rename(root)
    except OSError as error:
        raise PublishError(
            f"the made-up world could not be written: {error}",
            where=str(root),
            fix="check the free space and the permissions of the directory, then try again",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def _refuse_foreign(root: Path) -> None:
    """Refuse a file, or a directory with anything but a made-up world in it."""
    if root.is_dir() and ((root / MARKER).is_file() or not any(root.iterdir())):
        return
    if root.exists():
        raise PublishError(
            "this path already has other content, which must not be overwritten",
            where=str(root),
            fix="name another directory, or remove this one yourself",
        )


def tile_windows(settings: WorldSettings) -> dict[str, Window]:
    """Return the window of each tile, by its id with leading zeros.

    The tiles cover the lattice; if it is not a multiple of their number, their sizes differ by one pixel.
    """
    rows, cols = (
        [round(number * length / count) for number in range(count + 1)]
        for length, count in zip(settings.shape, settings.tiles, strict=True)
    )
    windows = {}
    for down, (top, bottom) in enumerate(itertools.pairwise(rows)):
        for across, (left, right) in enumerate(itertools.pairwise(cols)):
            height = min(bottom + settings.overlap, settings.shape[0]) - top
            width = min(right + settings.overlap, settings.shape[1]) - left
            windows[f"{1000 * down + 123 + across:04d}"] = Window(top, left, height, width)
    return windows


def _write_files(world: World, root: Path) -> None:
    settings = world.settings
    years = tuple(str(year) for year in settings.years)
    for number, (tile, window) in enumerate(tile_windows(settings).items()):
        lattice = settings.lattice.crop(window)
        inside = (..., slice(window.row, window.row + window.height), slice(window.col, window.col + window.width))
        for name, stack in world.optical.items():
            _write_raster(root / "optical" / tile / f"made_{tile}_{name}.tif", stack[inside], lattice, years)
        other = tile.lstrip("0") if number == 0 else tile
        for name, layer in world.topo.items():
            path = root / "topo" / other / f"made_{other}_{_TOPO_SUFFIX[name]}.tif"
            _write_raster(path, layer[inside][np.newaxis], lattice, (name,))
    votes = root / "stem" / f"stem_{settings.stem_year}_debris_free_ice_votes.tif"
    _write_raster(votes, world.votes[np.newaxis], settings.stem_lattice, ("votes",))
    _write_outlines(root / "rgi" / "outlines.gpkg", world.outlines)
    _write_outlines(root / "rgi" / "outlines_rgi7.gpkg", as_rgi7(world.outlines))
    (root / "README.md").write_text(_README, encoding="utf-8")
    # The marker is written last, so a directory with a marker is complete.
    (root / MARKER).write_text(_marker(settings), encoding="utf-8")


def _write_raster(path: Path, bands: npt.NDArray[Any], lattice: Lattice, names: tuple[str, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.issubdtype(bands.dtype, np.integer)
    profile = {
        "driver": "GTiff", "dtype": bands.dtype, "count": bands.shape[0], "height": lattice.height,
        "width": lattice.width, "crs": lattice.crs, "transform": Affine(*lattice.transform),
        "nodata": NODATA if whole else TOPO_NODATA, "tiled": True, "blockxsize": 256, "blockysize": 256,
        "interleave": "band", "compress": "deflate", "zlevel": 1, "predictor": 2 if whole else 3,
    }  # fmt: skip
    pin_rasters()
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(bands)
        dataset.descriptions = names


def _write_outlines(path: Path, outlines: gpd.GeoDataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pin_vectors()
    previous = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _STAMP})
    try:
        pyogrio.write_dataframe(outlines, path, driver="GPKG", layer=path.stem)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": previous})


def _marker(settings: WorldSettings) -> str:
    facts = {"what": "a made-up world for gcn_luigi", "recipe": _RECIPE, "settings": asdict(settings)}
    return json.dumps(facts, indent=1) + "\n"
