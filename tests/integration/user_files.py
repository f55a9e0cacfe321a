"""The tiny region's rasters, written in the shapes in which people keep their own files."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import rasterio
from rasterio.merge import merge
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
