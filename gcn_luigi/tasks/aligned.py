"""Sources that are warped onto the region's lattice."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import luigi
from luigi.util import requires

from gcn_luigi.bands import Band
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.stages.band_files import aligned_files
from gcn_luigi.tasks.base import RegionTask, hidden_parameter
from gcn_luigi.tasks.dependencies import Dependencies, published_inventory, shown_tile_paths
from gcn_luigi.tasks.inventory import CubeTiles, TileInventory, pixels_of
from gcn_luigi.tasks.target import PublishedFile

# Bytes for GDAL's caches and the blocks waiting to be written, and for each thread: the pixels of a block as stored,
# converted, copied by GDAL and weighted.
_FIXED, _PER_THREAD = 64_000_000, 100_000_000


@requires(TileInventory)
class AlignedBand(RegionTask):
    """Warp the sources of a band that are not on the lattice, each into a file of its own."""

    is_heavy = True
    band: luigi.Parameter[str] = luigi.Parameter(description="name of the band, also label or distance")
    threads: luigi.Parameter[int] = hidden_parameter(
        luigi.IntParameter, "threads", 1, "number of threads that warp blocks"
    )

    def dependencies(self, path: Path) -> Dependencies:
        region = self.configured
        file = self._files()[path]
        source, reads = file.place(region.root, self.paths.root), list[PublishedFile]()
        tables = {table.name: table.as_band() for table in region.settings.bands}
        # Only of this file, so that no other source makes it stale.
        facts: dict[str, Any] = {"file": repr(file)}
        if self.band in tables:
            facts["nodata"] = tables[self.band].nodata
        if file.is_made:
            reads = [target for target in self.clone(CubeTiles, band=self.band).targets() if target.path == source]
        return Dependencies(facts, sources=[] if file.is_made else [source], facets=("lattice",), reads=reads)

    def output(self) -> tuple[PublishedFile, ...]:
        """Return a file for each source that is warped; none before the inventory is published."""
        return self.publishes(*self._files())

    def memory_needed(self) -> int:
        """Return the bytes that the blocks under way may need."""
        return _FIXED + self.threads * _PER_THREAD

    def memory_advice(self, limit: int) -> list[str]:
        """Return the number of threads that fit `limit` bytes."""
        fewer = max((limit - _FIXED) // _PER_THREAD, 1)
        return [f"lower threads ([gcn] in luigi.cfg, now {self.threads}) to {fewer}"] if self.threads > fewer else []

    def make(self) -> None:
        from gcn_luigi.stages.layers.aligned_band import write_aligned  # noqa: PLC0415
        from gcn_luigi.stages.layers.mosaics import read_inventory  # noqa: PLC0415

        region, lattice, files = self.configured, read_inventory(self.paths).lattice, self._files()
        for done, target in enumerate(self.output()):
            if not target.exists():
                say = partial(self._say_of, done, len(files))
                with target.atomic_write() as temporary:
                    write_aligned(
                        region, lattice, self._placed(files[target.path]), temporary, say, threads=self.threads
                    )

    def _say_of(self, done: int, count: int, message: str, share: float) -> None:
        self.say(f"{done} of {count} files; {message}", (done + share) / count)

    def _placed(self, file: SourceFile) -> SourceFile:
        """Return a file that the build made with its absolute path; paths of others start at the data root."""
        return replace(file, path=str(self.paths.root / file.path)) if file.is_made else file

    def _files(self) -> dict[Path, SourceFile]:
        inventory = published_inventory(self.paths)
        return {} if inventory is None else aligned_files(self.paths, inventory, self.band)


def aligned_bands(task: RegionTask, bands: Iterable[Band]) -> list[AlignedBand]:
    """Return the tasks that warp sources of `bands`; none for a band whose sources must be on the lattice."""
    settings = task.configured.settings
    return [task.clone(AlignedBand, band=band.name) for band in bands if settings.resampling_of(band.name) is not None]


def shown_pixels(task: RegionTask, band: str) -> tuple[Iterable[Path], Iterable[PublishedFile]]:
    """Return the sources, and the files of the dataset, whose pixels the mosaics of a band show."""
    _, made = pixels_of(task, band)
    return shown_tile_paths(task.paths, task.configured.root, band), (*made, *aligned_targets(task, band))


def aligned_layer(task: RegionTask, name: str) -> list[AlignedBand]:
    """Return the task that warps the raster that label or distance is taken from, if there is one."""
    settings = task.configured.settings
    is_warped = settings.align.resampling is not None and name in settings.layer_paths
    return [task.clone(AlignedBand, band=name)] if is_warped else []


def aligned_targets(task: RegionTask, name: str) -> tuple[PublishedFile, ...]:
    """Return the warped files of a band, or of label or distance; none before the inventory is published."""
    is_warped = task.configured.settings.resampling_of(name) is not None
    return task.clone(AlignedBand, band=name).targets() if is_warped else ()
