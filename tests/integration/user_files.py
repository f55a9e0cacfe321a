"""The tiny region's rasters, written in the shapes in which people keep their own files."""

import shutil
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.merge import merge
from rasterio.transform import array_bounds, from_origin
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window

YEARS = (2004, 2008)
OPTICAL = ("nbr", "ndsi")


@dataclass
class World:
    """The tiny region's rasters as arrays, and the directory of a user who keeps them in another shape."""

    root: Path
    sources: Path
    planes: dict
    profile: dict
    # What each band should hold: files, the number of the band in them, scale and offset, by name and year.
    originals: dict = field(default_factory=dict)

    directory: str = "kenai"

    @property
    def files(self):
        return self.root / self.directory

    def write(self, path, planes, part=None, **profile):
        """Write `planes`, by description, into one file, or only a part of their rows and columns."""
        target = self.files / path
        target.parent.mkdir(parents=True, exist_ok=True)
        first = next(iter(planes.values()))
        part = part or Window(0, 0, first.shape[1], first.shape[0])
        transform = rasterio.windows.transform(part, self.profile["transform"])
        size = {"height": part.height, "width": part.width, "transform": transform}
        profile = {**self.profile, **size, "driver": "GTiff", "dtype": first.dtype, "count": len(planes), **profile}
        with rasterio.open(target, "w", **profile) as out:
            for number, (name, plane) in enumerate(planes.items(), 1):
                out.write(plane[part.toslices()], number)
                if not name.startswith("#"):
                    out.set_band_description(number, name)
        return target

    def expect(self, name, year, paths, number=1, scale=1.0, offset=0.0):
        self.originals[name, year] = (paths if isinstance(paths, list) else [paths], number, scale, offset)

    def elevation(self, path="dem.tif"):
        self.expect("dem", None, self.write(path, {"#": self.planes["dem", None]}, nodata=-9999, dtype="float32"))

    def votes_and_outlines(self):
        shutil.copytree(self.sources / "stem", self.files / "stem")
        (self.files / "rgi").mkdir()
        shutil.copy(self.sources / "rgi/outlines.gpkg", self.files / "rgi/outlines.gpkg")


def arrays_of(sources):
    """Return each band's pixels on the lattice, by band and year, and the profile of such a raster."""
    planes = {}
    for band in (*OPTICAL, "rmse", "dem_cubic_temp"):
        files = sorted(sources.glob(f"*/*/made_*_{band}.tif"))
        bands, transform = merge(files)
        names = (None,) if band.startswith("dem") else YEARS
        planes |= {(band[:3] if None in names else band, year): bands[n] for n, year in enumerate(names)}
    with rasterio.open(files[0]) as source:
        crs = source.crs
    height, width = planes["nbr", 2004].shape
    profile = {"crs": crs, "transform": transform, "height": height, "width": width, "nodata": -32768}
    return planes, profile


def scenes_of_two_zones(world):
    """Write scenes of two UTM zones with bands of 30 and 60 m, and elevations in degrees; return the paths."""
    bounds = array_bounds(world.profile["height"], world.profile["width"], world.profile["transform"])
    middle = (bounds[0] + bounds[2]) / 2
    zones = {
        "T06VUN": ("EPSG:32606", (bounds[0], bounds[1], middle + 300, bounds[3])),
        "T07VCH": ("EPSG:32607", (middle - 300, bounds[1], bounds[2], bounds[3])),
    }
    paths = {}
    for zone, (crs, part) in zones.items():
        for year, date in zip(YEARS, ("20040716T211521", "20080713T210519"), strict=True):
            for band, size in (("B04", 30), ("B11", 60)):
                plane = np.where(world.planes["nbr", year] == -32768, 0, world.planes["nbr", year] + 3000)
                name = f"{zone}_{date}_{band}_{size}m.tif"
                path = _warped(world, name, plane.astype("uint16"), crs, size, part, 0)
                paths.setdefault((band, year), []).append(path)
    dem = world.planes["dem", None].astype("float32")
    name = "Copernicus_DSM_COG_10_N61_00_W148_00_DEM.tif"
    paths["DEM", None] = [_warped(world, name, dem, "EPSG:4326", 0.0006, bounds, -9999)]
    return paths


def _warped(world, path, plane, crs, size, bounds, nodata):
    """Write a part of a plane in another CRS and pixel size."""
    left, bottom, right, top = transform_bounds(world.profile["crs"], crs, *bounds)
    width, height = round((right - left) / size), round((top - bottom) / size)
    profile = {"crs": crs, "transform": from_origin(left, top, size, size), "height": height, "width": width}
    out = np.full((height, width), nodata, plane.dtype)
    missing = -32768 if plane.dtype == np.int16 else nodata
    reproject(
        plane, out, src_transform=world.profile["transform"], src_crs=world.profile["crs"], src_nodata=missing,
        dst_transform=profile["transform"], dst_crs=crs, dst_nodata=nodata, resampling=Resampling.nearest,
    )  # fmt: skip
    with rasterio.open(
        world.files / path, "w", driver="GTiff", count=1, dtype=plane.dtype, nodata=nodata, **profile
    ) as file:
        file.write(out, 1)
    return world.files / path


def cube_of_all(world, name):
    """Write a Zarr store or netCDF file with two indices and elevations; return it."""
    xr = import_module("xarray")
    transform, height, width = (world.profile[key] for key in ("transform", "height", "width"))
    coordinates = {
        "time": np.array([f"{year}-08-01" for year in YEARS], "datetime64[ns]"),
        "y": transform.f + (np.arange(height) + 0.5) * transform.e,
        "x": transform.c + (np.arange(width) + 0.5) * transform.a,
        "spatial_ref": ((), 0, {"crs_wkt": world.profile["crs"].to_wkt()}),
    }
    facts = {"grid_mapping": "spatial_ref", "_FillValue": -32768}
    indices = {
        band: (("time", "y", "x"), np.stack([world.planes[key, year] for year in YEARS]), facts)
        for band, key in {"ndvi": "ndsi", "nbr": "nbr"}.items()
    }
    dem = (("y", "x"), world.planes["dem", None], {"grid_mapping": "spatial_ref"})
    cube = xr.Dataset({**indices, "dem": dem}, coordinates)
    if name.endswith("zarr"):
        cube.to_zarr(world.files / name, consolidated=False)
    else:
        cube.to_netcdf(world.files / name, engine="h5netcdf")
    return cube
