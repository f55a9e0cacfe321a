"""Bands of data cubes, written once as GeoTIFFs."""

from collections.abc import Iterable
from pathlib import Path

import luigi

from gcn_luigi.config import band_facts, pick
from gcn_luigi.stages.layers.cube_tiles import cube_bands, cubes_of, write_cube_tile
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.dependencies import Dependencies, tile_paths
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
