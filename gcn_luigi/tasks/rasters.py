"""Mosaics, label, distance and the stack of each year."""

from pathlib import Path

import luigi
from luigi.util import requires

from gcn_luigi.config import band_facts, outline_keys, pick
from gcn_luigi.stages.layers import label, mosaics
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies, tile_paths
from gcn_luigi.tasks.inventory import TileInventory
from gcn_luigi.tasks.target import PublishedFile

# The facts about a band that a stack depends on.
STACKED = ("name", "role", "nodata")


@requires(TileInventory)
class OpticalMosaic(RegionTask):
    """Join the tiles of each optical band for one year."""

    by_reference = True
    names_sources = True
    year: luigi.Parameter[int] = luigi.IntParameter(description="year of the composite")

    def dependencies(self, path: Path) -> Dependencies:
        region, paths = self.configured, self.paths
        settings = region.settings
        bands = mosaics.optical_bands(settings)
        (band,) = [band for band in bands if paths.mosaic(band, self.year) == path]
        return Dependencies(
            {
                **pick(settings, ("tiles.precedence",)),
                "source_band": settings.years.index(self.year) + 1,
                "bands": band_facts((band,), "name", "nodata"),
            },
            sources=tile_paths(paths, region.root, band.name),
            facets=("lattice", f"band:{band.name}"),
        )

    def output(self) -> tuple[PublishedFile, ...]:
        bands = mosaics.optical_bands(self.configured.settings)
        return self.publishes(*(self.paths.mosaic(band, self.year) for band in bands))

    def make(self) -> None:
        for band, target in zip(mosaics.optical_bands(self.configured.settings), self.output(), strict=True):
            if not target.exists():
                with target.atomic_write() as temporary:
                    mosaics.write_optical(self.configured, self.paths, band, self.year, temporary)


@requires(TileInventory)
class TopoMosaic(RegionTask):
    """Join the tiles of each topographic band and convert them to int16."""

    names_sources = True

    def dependencies(self, path: Path) -> Dependencies:
        region, paths = self.configured, self.paths
        settings = region.settings
        (band,) = [band for band in settings.topo_bands if path in {paths.source_mosaic(band), paths.mosaic(band)}]
        is_converted = path == paths.mosaic(band)
        fields = ("name", "nodata", *(("scale", "offset") if is_converted else ()))
        keys = ("tiles.precedence", *(("convert.rounding", "convert.overflow") if is_converted else ()))
        return Dependencies(
            {**pick(settings, keys), "bands": band_facts((band,), *fields)},
            sources=tile_paths(paths, region.root, band.name),
            facets=("lattice", f"band:{band.name}"),
        )

    def output(self) -> tuple[PublishedFile, ...]:
        bands = self.configured.settings.topo_bands
        return self.publishes(
            *(path for band in bands for path in (self.paths.source_mosaic(band), self.paths.mosaic(band)))
        )

    def make(self) -> None:
        targets = iter(self.output())
        bands = self.configured.settings.topo_bands
        for done, band in enumerate(bands):
            self.say(f"{band.name}: {done} of {len(bands)} bands", done / len(bands))
            for write in (mosaics.write_topo_source, mosaics.write_topo):
                target = next(targets)
                if not target.exists():
                    with target.atomic_write() as temporary:
                        write(self.configured, self.paths, band, temporary)


@requires(TileInventory)
class ClassLabel(RegionTask):
    """Combine outlines and STEM votes into 0 none, 1 debris, 2 debris-free ice, 255 missing."""

    # 2: outlines are distinguished by date and rock.
    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        region = self.configured
        is_given = region.settings.label.raster is not None
        of_raster = ("label.raster", "label.classes", "label.allow_absent")
        of_votes = (
            "label.stem",
            "label.min_votes",
            "label.max_votes",
            "label.ice_outside",
            *outline_keys(region.settings),
        )
        keys = ("tiles.on_suspect_nodata", *(of_raster if is_given else of_votes))
        return Dependencies(pick(region.settings, keys), label.label_sources(region), ("lattice",))

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.label)[0]

    def make(self) -> None:
        with self.output().atomic_write() as temporary:
            label.write_label(self.configured, self.paths, temporary, self.say)


class DistanceRaster(RegionTask):
    """Measure the distance from every pixel to the nearest glacier."""

    # 2: outlines are distinguished by date and rock.
    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        region = self.configured
        settings = region.settings.distance
        keys = ["distance.source", "distance.unit", "distance.max_m"]
        if settings.raster is not None:
            keys = ["distance.raster", "distance.unit", "tiles.on_suspect_nodata"]
        elif settings.source == "outlines":
            keys += outline_keys(region.settings)
        reads = self.clone(ClassLabel).targets() if settings.source == "label" else ()
        return Dependencies(pick(region.settings, keys), label.distance_sources(region), ("lattice",), reads)

    def requires(self) -> list[RegionTask]:
        """Require the lattice, and the label if distances are measured from it."""
        from_label = self.configured.settings.distance.source == "label"
        return [self.clone(TileInventory), *([self.clone(ClassLabel)] if from_label else [])]

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.distance)[0]

    def make(self) -> None:
        with self.output().atomic_write() as temporary:
            label.write_distance(self.configured, self.paths, temporary, self.say)


class YearStack(RegionTask):
    """Stack all bands of one year."""

    by_reference = True
    year: luigi.Parameter[int] = luigi.IntParameter(description="year of the composite")

    def dependencies(self, _path: Path) -> Dependencies:
        bands = self.configured.settings.schema_bands
        stacked = {mosaics.raster_of(self.paths, band, self.year) for band in bands}
        made = (target for task in self.requires() for target in task.targets())
        return Dependencies(
            {"bands": band_facts(bands, *STACKED)}, reads=[target for target in made if target.path in stacked]
        )

    def requires(self) -> list[RegionTask]:
        needed = [self.clone(OpticalMosaic), self.clone(TopoMosaic), self.clone(ClassLabel)]
        if self.configured.settings.distance.enabled:
            needed.append(self.clone(DistanceRaster))
        return needed

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.stack(self.year))[0]

    def make(self) -> None:
        with self.output().atomic_write() as temporary:
            mosaics.write_stack(self.configured, self.paths, self.year, temporary)


class StackFiles(RegionTask):
    """Copy the stack of each year into one GeoTIFF; only built on request."""

    def dependencies(self, path: Path) -> Dependencies:
        (year,) = [year for year in self.configured.settings.years if self.paths.stack_file(year) == path]
        bands = band_facts(self.configured.settings.schema_bands, "name", "nodata")
        return Dependencies({"bands": bands}, facets=("lattice",), reads=self.clone(YearStack, year=year).targets())

    def requires(self) -> list[YearStack]:
        return [self.clone(YearStack, year=year) for year in self.configured.settings.years]

    def output(self) -> tuple[PublishedFile, ...]:
        return self.publishes(*(self.paths.stack_file(year) for year in self.configured.settings.years))

    def make(self) -> None:
        settings = self.configured.settings
        for year, target in zip(settings.years, self.output(), strict=True):
            if not target.exists():
                with target.atomic_write() as temporary:
                    mosaics.write_stack_file(self.configured, self.paths, year, temporary, self.say)
