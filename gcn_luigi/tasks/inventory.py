"""The tiles: those that are made from data cubes, the inventory of all files, and a check of every pixel."""

from collections.abc import Iterable
from pathlib import Path

import luigi
from luigi.util import requires

from gcn_luigi.bands import Role
from gcn_luigi.config import band_facts, pick
from gcn_luigi.io.inputs.matching import tile_sources
from gcn_luigi.stages.band_files import cube_bands, cubes_of, made_tiles
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies, source_facet, tile_paths
from gcn_luigi.tasks.target import PublishedFile


class CubeTiles(RegionTask):
    """Write a band of a Zarr store or netCDF file as GeoTIFF, with one band for each year."""

    band: luigi.Parameter[str] = luigi.Parameter(description="name of the band")

    def dependencies(self, path: Path) -> Dependencies:
        settings = self.configured.settings
        (table,) = (table for table in cube_bands(settings) if table.name == self.band)
        facts = band_facts((table.as_band(),), "name", "role", "suffix")
        years = pick(settings, () if table.role == "topo" else ("years",))
        return Dependencies(
            {**years, "bands": facts, "band": table.band, "path": table.path}, sources=(self._cubes()[path],)
        )

    def output(self) -> tuple[PublishedFile, ...]:
        return self.publishes(*self._cubes())

    def make(self) -> None:
        from gcn_luigi.stages.layers.cube_tiles import write_cube_tile  # noqa: PLC0415

        cubes = self._cubes()
        for target in self.output():
            if not target.exists():
                with target.atomic_write() as temporary:
                    write_cube_tile(self.configured, self.band, cubes[target.path], temporary, self.say)

    def _cubes(self) -> dict[Path, Path]:
        """Return the cube that each file is made from."""
        cubes = cubes_of(self.configured, self.band)
        return {self.paths.cube_tile(self.band, tile): cube for tile, cube in cubes.items()}


def cube_tasks(task: RegionTask) -> list[CubeTiles]:
    """Return one task for each band that is read from cubes."""
    return [task.clone(CubeTiles, band=table.name) for table in cube_bands(task.configured.settings)]


def pixels_of(task: RegionTask, band: str) -> tuple[Iterable[Path], Iterable[PublishedFile]]:
    """Return the sources, and the files of the dataset, that hold the pixels of a band's tiles."""
    region = task.configured
    if any(table.name == band for table in cube_bands(region.settings)):
        return (), task.clone(CubeTiles, band=band).targets()
    return tile_paths(task.paths, region.root, band), ()


class TileInventory(RegionTask):
    """List the tiles and their missing, duplicate and rejected files; refuse tiles that do not fit together."""

    code_version = 2

    def dependencies(self, _path: Path) -> Dependencies:
        """Return both tile trees and the settings for file names; precedence and pixels are left to other tasks."""
        region = self.configured
        settings, tiles = region.settings, region.settings.tiles
        others = {"precedence", "on_suspect_nodata"}
        chosen = pick(settings, [f"tiles.{key}" for key in type(tiles).model_fields if key not in others])
        bands = band_facts((table.as_band() for table in settings.file_tables), "name", "role", "suffix")
        if converted := [table.name for table in settings.bands if table.convert]:
            chosen["converted"] = converted
        if tagged := [table.name for table in settings.bands if table.use_tags]:
            chosen["tagged"] = tagged
        places = [[table.name, table.path, table.band] for table in settings.bands if table.path is not None]
        if places:
            chosen["paths"] = places
        if settings.is_aligned:
            own = [[table.name, table.resampling] for table in settings.bands if table.resampling is not None]
            chosen["align"] = [settings.align.model_dump(), own]
        layers = settings.layer_paths if settings.align.resampling is not None else {}
        if layers:
            chosen["layers"] = {**layers, "unit": settings.distance.unit}
        return Dependencies(
            {**chosen, **pick(settings, ("lattice", "years")), "bands": bands},
            sources=[*tile_sources(region.root, settings), *(region.root / path for path in layers.values())],
            reads=[target for task in self.requires() for target in task.targets()],
        )

    def requires(self) -> list[CubeTiles]:
        return cube_tasks(self)

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.inventory)[0]

    def make(self) -> None:
        from gcn_luigi.io.inputs.scan import scan_tiles  # noqa: PLC0415

        region = self.configured
        region.check_sources()
        with self.output().atomic_write() as temporary:
            made = made_tiles(region, self.paths)
            inventory = scan_tiles(region.root, region.settings, made, self.paths.root)
            temporary.write_text(inventory.to_json(), encoding="utf-8")


@requires(TileInventory)
class TileQuality(RegionTask):
    """Read every pixel of a band's tiles; stop the build at damaged files, and count values out of range."""

    is_heavy = True
    code_version = 2
    # Runs before any shard is made, beside the two chains of single tasks that shards wait for.
    priority = 10
    band: luigi.Parameter[str] = luigi.Parameter(description="name of the band")

    def dependencies(self, _path: Path) -> Dependencies:
        region, band = self.configured, self.band
        settings = region.settings
        (chosen,) = [known for known in settings.checked_bands if known.name == band]
        fields = ("name", "role", "nodata", "valid_min", "valid_max")
        is_topo = chosen.role is Role.TOPO
        sources, reads = pixels_of(self, band)
        # Which values do not fit is counted only if they do not stop the build.
        counts_lost = chosen.is_converted and settings.convert.overflow != "error"
        lossy = ("convert.overflow", "convert.rounding", "stack.dtype") if counts_lost else ()
        return Dependencies(
            {
                "bands": band_facts((chosen,), *fields, *(("scale", "offset") if chosen.is_converted else ())),
                "is_nodata_given": any(table.name == band and table.nodata is not None for table in settings.bands),
                **pick(settings, ("tiles.on_suspect_nodata", *(() if is_topo else ("years",)), *lossy)),
            },
            sources=sources,
            facets=(source_facet(self.paths, band),),
            reads=reads,
        )

    def output(self) -> PublishedFile:
        return self.publishes(self.paths.tile_quality(self.band))[0]

    def make(self) -> None:
        from gcn_luigi.stages.layers.tile_quality import write_tile_quality  # noqa: PLC0415

        with self.output().atomic_write() as temporary:
            write_tile_quality(self.configured, self.paths, self.band, temporary, self.say)
