"""Mosaics, label, distance and the stack of each year."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import luigi
from luigi.util import requires

from gcn_luigi.bands import Band
from gcn_luigi.config import band_facts, outline_keys, pick
from gcn_luigi.stages.band_files import mosaic_files, optical_bands, raster_of
from gcn_luigi.stages.sources import confidence_sources, distance_sources, label_sources
from gcn_luigi.tasks.aligned import aligned_bands, aligned_layer, aligned_targets, shown_pixels
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies
from gcn_luigi.tasks.inventory import TileInventory
from gcn_luigi.tasks.target import PublishedFile

# The facts about a band that a stack depends on.
STACKED = ("name", "role", "nodata")


class OpticalMosaic(RegionTask):
    """Join the tiles of each optical band for one year."""

    by_reference = True
    names_sources = True
    year: luigi.Parameter[int] = luigi.IntParameter(description="year of the composite")

    def dependencies(self, path: Path) -> Dependencies:
        region, paths = self.configured, self.paths
        settings = region.settings
        bands = optical_bands(settings)
        (band,) = [band for band in bands if path in mosaic_files(paths, band, self.year)]
        fields, keys = _mosaic_facts(path)
        sources, reads = shown_pixels(self, band.name)
        return Dependencies(
            {
                **pick(settings, keys),
                "source_band": settings.years.index(self.year) + 1,
                "bands": band_facts((band,), *fields),
            },
            sources=sources,
            facets=("lattice", f"band:{band.name}"),
            reads=reads,
        )

    def requires(self) -> list[RegionTask]:
        """Require the list of tiles, and those that are warped onto the lattice."""
        return [self.clone(TileInventory), *aligned_bands(self, optical_bands(self.configured.settings))]

    def output(self) -> tuple[PublishedFile, ...]:
        bands = optical_bands(self.configured.settings)
        return self.publishes(*(path for band in bands for path in mosaic_files(self.paths, band, self.year)))

    def make(self) -> None:
        write_mosaics(self, optical_bands(self.configured.settings), self.year)


class TopoMosaic(RegionTask):
    """Join the tiles of each topographic band and convert them to the type of the stack."""

    is_heavy = True
    names_sources = True
    # The longest task that shards wait for, so it starts first: the tiles are checked meanwhile on the other cores.
    priority = 20

    def dependencies(self, path: Path) -> Dependencies:
        region, paths = self.configured, self.paths
        settings = region.settings
        (band,) = [band for band in settings.topo_bands if path in mosaic_files(paths, band, None)]
        fields, keys = _mosaic_facts(path)
        sources, reads = shown_pixels(self, band.name)
        return Dependencies(
            {**pick(settings, keys), "bands": band_facts((band,), *fields)},
            sources=sources,
            facets=("lattice", f"band:{band.name}"),
            reads=reads,
        )

    def requires(self) -> list[RegionTask]:
        """Require the list of tiles, and those that are warped onto the lattice."""
        return [self.clone(TileInventory), *aligned_bands(self, self.configured.settings.topo_bands)]

    def output(self) -> tuple[PublishedFile, ...]:
        bands = self.configured.settings.topo_bands
        return self.publishes(*(path for band in bands for path in mosaic_files(self.paths, band, None)))

    def make(self) -> None:
        write_mosaics(self, self.configured.settings.topo_bands, None)


@requires(TopoMosaic)
class DerivedBand(RegionTask):
    """Compute a topographic band from elevations."""

    band: luigi.Parameter[str] = luigi.Parameter(description="name of the band")

    def dependencies(self, _path: Path) -> Dependencies:
        region = self.configured
        settings = region.settings
        band = self._band()
        elevations = settings.elevations_of(band)
        sources, reads = shown_pixels(self, elevations.name)
        keys = ("tiles.precedence", "convert.rounding", "convert.overflow", "stack.dtype")
        return Dependencies(
            {
                **pick(settings, keys),
                "bands": band_facts((band,), "name", "nodata", "scale", "offset", "derive"),
                "elevations": band_facts((elevations,), *_elevation_facts(elevations)),
                "z_factor": settings.table_of(band.name).z_factor,
            },
            sources=sources,
            facets=("lattice", f"band:{elevations.name}"),
            reads=reads,
        )

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.mosaic(self._band()))[0]

    def make(self) -> None:
        from gcn_luigi.stages.layers.derived import write_derived  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_derived(self.configured, self.paths, self._band(), temporary, self.say)

    def _band(self) -> Band:
        (band,) = [band for band in self.configured.settings.derived_bands if band.name == self.band]
        return band


def _elevation_facts(elevations: Band) -> tuple[str, ...]:
    """Return the fields of a band of elevations that the bands derived from it depend on."""
    has_range = elevations.valid_min is not None or elevations.valid_max is not None
    # Scale and offset matter only because the valid range is that of stored values.
    return ("name", "nodata", *(("valid_min", "valid_max", "scale", "offset") if has_range else ()))


def _mosaic_facts(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the facts about a band, and the keys, that one of its mosaics depends on. A conversion is a GeoTIFF."""
    if path.suffix == ".vrt":
        return ("name", "nodata"), ("tiles.precedence",)
    keys = ("tiles.precedence", "convert.rounding", "convert.overflow", "stack.dtype")
    return ("name", "nodata", "scale", "offset"), keys


def write_mosaics(task: RegionTask, bands: Sequence[Band], year: int | None) -> None:
    """Write the mosaics of `bands` that are not there or not current, and show which band is written."""
    from gcn_luigi.stages.layers.mosaics import write_mosaic  # noqa: PLC0415

    for done, band in enumerate(bands):
        task.say(f"{band.name}: {done} of {len(bands)} bands", done / len(bands))
        for target in task.publishes(*mosaic_files(task.paths, band, year)):
            if not target.exists():
                with target.atomic_write() as temporary:
                    write_mosaic(task.configured, task.paths, band, year, target.path, temporary)


class ClassLabel(RegionTask):
    """Make the label from outlines and STEM votes, from outlines alone, or from a ready-made raster."""

    # 2: outlines are distinguished by date and rock.
    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        region, settings = self.configured, self.configured.settings.label
        of_raster = ("label.raster", "label.classes", "label.allow_absent")
        of_outlines = (
            "label.source",
            "label.debris_outlines",
            "label.debris_layer",
            "label.debris_raster",
            "label.debris_outside",
            "label.class_column",
            "label.classes",
            *outline_keys(region.settings),
        )
        of_votes = (
            "label.stem",
            "label.min_votes",
            "label.max_votes",
            "label.ice_outside",
            *outline_keys(region.settings),
        )
        own = of_raster if settings.raster is not None else of_outlines if settings.source is not None else of_votes
        keys = ("tiles.on_suspect_nodata", *own)
        classes = region.settings.class_table.unusual("name", "value")
        sources, reads = label_sources(region), aligned_targets(self, "label")
        # A raster comes first; of one that is warped, the warped file is read.
        found = {**pick(region.settings, keys), **classes}
        return Dependencies(found, sources[bool(reads) :], ("lattice",), reads)

    def requires(self) -> list[RegionTask]:
        """Require the lattice, and the votes or the ready-made label if they are warped onto it."""
        return [self.clone(TileInventory), *aligned_layer(self, "label")]

    def output(self) -> tuple[PublishedFile, ...]:
        """Return the label, and the notes on it unless it is a ready-made raster."""
        has_notes = self.configured.settings.label.raster is None
        return self.publishes(self.paths.label, *([self.paths.label_notes] if has_notes else []))

    def make(self) -> None:
        from gcn_luigi.stages.layers.label import write_label  # noqa: PLC0415

        raster, *notes = self.output()
        with raster.atomic_write() as temporary, contextlib.ExitStack() as stack:
            text = stack.enter_context(notes[0].atomic_write()) if notes else None
            write_label(self.configured, self.paths, temporary, self.say, text)


class LabelConfidence(RegionTask):
    """Say how sure the label of each pixel is, from votes and from the distance to outlines; only if asked for."""

    def dependencies(self, _path: Path) -> Dependencies:
        region, settings = self.configured, self.configured.settings
        keys, classes = ["label.confidence"], dict[str, Any]()
        votes = aligned_targets(self, "label") if "votes" in settings.label.confidence else ()
        if "votes" in settings.label.confidence:
            keys += ["label.stem", "label.min_votes", "label.max_votes", "label.ice_outside"]
        if "edge" in settings.label.confidence:
            keys.append("label.edge_px")
        if {"votes", "edge"} & {*settings.label.confidence}:
            keys += outline_keys(settings)
        if settings.label.class_column is not None:
            keys += ["label.class_column", "label.classes"]
            classes = settings.class_table.unusual("name", "value", "glacier")
        sources = confidence_sources(region)
        reads = [*self.clone(ClassLabel).targets()[:1], *votes]
        return Dependencies({**pick(settings, keys), **classes}, sources[bool(votes) :], ("lattice",), reads)

    def requires(self) -> list[RegionTask]:
        """Require the label, and the votes if they are warped onto the lattice."""
        return [self.clone(ClassLabel), *aligned_layer(self, "label")]

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.confidence)[0]

    def make(self) -> None:
        from gcn_luigi.stages.layers.confidence import write_confidence  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_confidence(self.configured, self.paths, temporary, self.say)


def label_confidence(task: RegionTask) -> list[LabelConfidence]:
    """Return the task that makes the confidence of the label, if it is asked for."""
    return [task.clone(LabelConfidence)] if task.configured.settings.label.confidence else []


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
        from_label = settings.source == "label"
        reads = self.clone(ClassLabel).targets()[:1] if from_label else aligned_targets(self, "distance")
        classes = region.settings.class_table.unusual("value", "glacier") if from_label else {}
        sources, found = distance_sources(region), {**pick(region.settings, keys), **classes}
        return Dependencies(found, sources[bool(reads) :], ("lattice",), reads)

    def requires(self) -> list[RegionTask]:
        """Require the lattice, and what distances are measured from: the label, or a raster that is warped."""
        settings = self.configured.settings.distance
        needed = [self.clone(ClassLabel)] if settings.source == "label" else []
        return [self.clone(TileInventory), *needed, *aligned_layer(self, "distance")]

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.distance)[0]

    def make(self) -> None:
        from gcn_luigi.stages.layers.label import write_distance  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_distance(self.configured, self.paths, temporary, self.say)


class YearStack(RegionTask):
    """Stack all bands of one year."""

    by_reference = True
    year: luigi.Parameter[int] = luigi.IntParameter(description="year of the composite")

    def dependencies(self, _path: Path) -> Dependencies:
        settings = self.configured.settings
        bands = settings.schema_bands
        stacked = {raster_of(self.paths, band, self.year) for band in bands}
        made = (target for task in self.requires() for target in task.targets())
        return Dependencies(
            {"bands": band_facts(bands, *STACKED), **pick(settings, ("stack.dtype",))},
            reads=[target for target in made if target.path in stacked],
        )

    def requires(self) -> list[RegionTask]:
        needed = [self.clone(OpticalMosaic), self.clone(TopoMosaic), self.clone(ClassLabel)]
        needed += [self.clone(DerivedBand, band=band.name) for band in self.configured.settings.derived_bands]
        if self.configured.settings.distance.enabled:
            needed.append(self.clone(DistanceRaster))
        return needed

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.stack(self.year))[0]

    def make(self) -> None:
        from gcn_luigi.stages.layers.mosaics import write_stack  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_stack(self.configured, self.paths, self.year, temporary)


class StackFiles(RegionTask):
    """Copy the stack of each year into one GeoTIFF; only built on request."""

    def dependencies(self, path: Path) -> Dependencies:
        (year,) = [year for year in self.configured.settings.years if self.paths.stack_file(year) == path]
        settings = self.configured.settings
        facts = {"bands": band_facts(settings.schema_bands, "name", "nodata"), **pick(settings, ("stack.dtype",))}
        return Dependencies(facts, facets=("lattice",), reads=self.clone(YearStack, year=year).targets())

    def requires(self) -> list[YearStack]:
        return [self.clone(YearStack, year=year) for year in self.configured.settings.years]

    def output(self) -> tuple[PublishedFile, ...]:
        return self.publishes(*(self.paths.stack_file(year) for year in self.configured.settings.years))

    def make(self) -> None:
        from gcn_luigi.stages.layers.mosaics import write_stack_file  # noqa: PLC0415

        settings = self.configured.settings
        for year, target in zip(settings.years, self.output(), strict=True):
            if not target.exists():
                with target.atomic_write() as temporary:
                    write_stack_file(self.configured, self.paths, year, temporary, self.say)
