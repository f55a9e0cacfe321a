"""Mosaics, label, distance and the stack of each year."""

from collections.abc import Iterable
from pathlib import Path

import luigi

from gcn_luigi.stages import label, mosaics, stack
from gcn_luigi.stages.stack_file import write_stack_file
from gcn_luigi.targets import PublishedFile
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.inventory import TileInventory


class OpticalMosaic(RegionTask):
    """Join the tiles of each optical band for one year."""

    settings_keys = ("years", "bands", "tiles.precedence")
    holds_paths = True
    year: luigi.Parameter[int] = luigi.IntParameter(description="year of the composite")

    def requires(self) -> TileInventory:
        """Require the inventory."""
        return self.clone(TileInventory)

    def output(self) -> tuple[PublishedFile, ...]:
        """Return one VRT a band."""
        bands = mosaics.optical_bands(self.configured.settings)
        return self.publishes(*(self.layout.mosaic(band, self.year) for band in bands))

    def make(self) -> None:
        """Write each VRT."""
        for band, target in zip(mosaics.optical_bands(self.configured.settings), self.output(), strict=True):
            with target.staged() as draft:
                mosaics.write_optical(self.configured, self.layout, band, self.year, draft)


class TopoMosaic(RegionTask):
    """Join the tiles of each topographic band and convert them to int16."""

    settings_keys = ("bands", "tiles.precedence", "convert")
    holds_paths = True

    def requires(self) -> TileInventory:
        """Require the inventory."""
        return self.clone(TileInventory)

    def output(self) -> tuple[PublishedFile, ...]:
        """Return a VRT of the sources and an int16 GeoTIFF a band."""
        bands = self.configured.settings.topo_bands
        return self.publishes(
            *(path for band in bands for path in (self.layout.source_mosaic(band), self.layout.mosaic(band)))
        )

    def make(self) -> None:
        """Join, then convert, band by band."""
        targets = iter(self.output())
        bands = self.configured.settings.topo_bands
        for done, band in enumerate(bands):
            self.say(f"{band.name}: {done} of {len(bands)} bands", done / len(bands))
            source = next(targets)
            with source.staged() as draft:
                mosaics.write_topo_source(self.configured, self.layout, band, draft)
            with next(targets).staged() as draft:
                mosaics.write_topo(self.configured, self.layout, band, draft)


class ClassLabel(RegionTask):
    """Combine outlines and STEM votes into 0 none, 1 debris, 2 debris-free ice, 255 missing."""

    settings_keys = ("label", "outlines")

    def requires(self) -> TileInventory:
        """Require the lattice."""
        return self.clone(TileInventory)

    def source_paths(self) -> Iterable[Path]:
        """Outlines and STEM votes, or the ready-made raster."""
        return label.label_sources(self.configured)

    def output(self) -> PublishedFile:
        """Return ``label.tif``."""
        return self.publishes(self.layout.label)[0]

    def make(self) -> None:
        """Make the raster."""
        with self.output().staged() as draft:
            label.write_label(self.configured, self.layout, draft, self.say)


class DistanceRaster(RegionTask):
    """Measure the distance from every pixel to the nearest glacier."""

    settings_keys = ("distance", "outlines")

    def requires(self) -> list[RegionTask]:
        """Require the lattice, and the label where distances are measured from it."""
        from_label = self.configured.settings.distance.source == "label"
        return [self.clone(TileInventory), *([self.clone(ClassLabel)] if from_label else [])]

    def source_paths(self) -> Iterable[Path]:
        """Outlines, or the ready-made raster; none where the label is the source."""
        return label.distance_sources(self.configured)

    def output(self) -> PublishedFile:
        """Return ``distance.tif``."""
        return self.publishes(self.layout.distance)[0]

    def make(self) -> None:
        """Make the raster."""
        with self.output().staged() as draft:
            label.write_distance(self.configured, self.layout, draft, self.say)


class YearStack(RegionTask):
    """Stack all bands of one year."""

    settings_keys = ("bands", "distance.enabled")
    year: luigi.Parameter[int] = luigi.IntParameter(description="year of the composite")

    def requires(self) -> list[RegionTask]:
        """Require every raster that the stack is made of."""
        needed = [self.clone(OpticalMosaic), self.clone(TopoMosaic), self.clone(ClassLabel)]
        if self.configured.settings.distance.enabled:
            needed.append(self.clone(DistanceRaster))
        return needed

    def output(self) -> PublishedFile:
        """Return ``stacks/<year>.vrt``."""
        return self.publishes(self.layout.stack(self.year))[0]

    def make(self) -> None:
        """Write the VRT."""
        with self.output().staged() as draft:
            stack.write_stack(self.configured.settings, self.layout, self.year, draft)


class StackFiles(RegionTask):
    """Copy the stack of each year into one GeoTIFF; only built when asked for."""

    settings_keys = ("bands", "years", "distance.enabled")

    def requires(self) -> list[YearStack]:
        """Require all stacks."""
        return [self.clone(YearStack, year=year) for year in self.configured.settings.years]

    def output(self) -> tuple[PublishedFile, ...]:
        """Return one GeoTIFF a year."""
        return self.publishes(*(self.layout.stack_file(year) for year in self.configured.settings.years))

    def make(self) -> None:
        """Copy each stack that is not there."""
        settings = self.configured.settings
        for year, target in zip(settings.years, self.output(), strict=True):
            if not target.exists():
                with target.staged() as draft:
                    write_stack_file(settings, self.layout, year, draft, self.say)
