"""Small tile trees for tests of the byte-handling floor."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from gcn_luigi.settings import RegionSettings

YEARS = (1990, 2000)


def write_tif(
    path: Path, data: np.ndarray, *, left=600000.0, top=7000000.0, px=10.0, crs="EPSG:32606", **extra
) -> Path:
    """Write (band, y, x) or (y, x) as a plain GeoTIFF."""
    stack = data[np.newaxis] if data.ndim == 2 else data
    path.parent.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {
        "nodata": -32768,
        "compress": "deflate",
        "transform": Affine(px, 0.0, left, 0.0, -px, top),
    }
    profile |= {
        "count": len(stack),
        "height": stack.shape[1],
        "width": stack.shape[2],
        "dtype": stack.dtype,
        "crs": crs,
    }
    with rasterio.open(path, "w", driver="GTiff", **(profile | extra)) as dataset:
        dataset.write(stack)
    return path


def region(**changes) -> RegionSettings:
    """Return settings with one optical band (a), one topographic (dem), two years."""
    tables = [{"name": "a", "role": "optical"}, {"name": "dem", "role": "topo", "suffix": "dem_temp"}]
    plain = {
        "region": "small",
        "data_root": ".",
        "years": YEARS,
        "bands": tables,
        "outlines": {"path": "rgi.gpkg"},
        "label": {"stem": "stem.tif"},
    }
    return RegionSettings(**(plain | changes))


def write_tile(root: Path, tile: str, *, col=0, row=0, size=4, value=1) -> None:
    """Write the two files of one tile of `size` x `size` pixels of 10 m."""
    place = {"left": 600000.0 + col * 10, "top": 7000000.0 - row * 10}
    write_tif(root / "optical" / tile / f"x_{tile}_a.tif", np.full((2, size, size), value, np.int16), **place)
    dem = np.full((size, size), float(value), np.float32)
    write_tif(root / "topo" / tile / f"x_{tile}_dem_temp.tif", dem, nodata=-9999, **place)


def columbia_settings(**changes) -> RegionSettings:
    """Return the settings of the Columbia test data."""
    topo = [("north", "north_temp", 1000), ("south", "south_temp", 1000)]
    topo += [("curvature", "curvature_temp", 100), ("dem", "dem_cubic_temp", 1)]
    tables = [{"name": name, "role": "optical"} for name in ("nbr", "ndsi", "ndvi", "tcb", "tcw")]
    tables += [{"name": name, "role": "topo", "suffix": suffix, "scale": scale} for name, suffix, scale in topo]
    tables.append({"name": "rmse", "role": "quality"})
    plain = {"region": "columbia", "years": (1990, 2000, 2006, 2010, 2018), "bands": tables}
    return region(**(plain | changes))


def broken_tree(good: Path, case: Path, removed: list[str], root: Path) -> Path:
    """Link the good tiles below `root`, with the files of one broken case in place of their originals."""
    for directory in ("optical", "topo", "stem"):
        for source in sorted((good / directory).rglob("*.tif")):
            name = source.relative_to(good).as_posix()
            if not any(name == gone or name.startswith(gone + "/") for gone in removed):
                target = root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
    for source in sorted(case.rglob("*.tif")):
        target = root / source.relative_to(case)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)
    return root
