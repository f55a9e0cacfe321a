"""What the tile directories hold."""

from collections.abc import Iterable
from pathlib import Path

import luigi

from gcn_luigi.io.tiles import scan_tiles
from gcn_luigi.stages.tile_quality import write_tile_quality
from gcn_luigi.targets import PublishedFile
from gcn_luigi.tasks.base import RegionTask


class TileInventory(RegionTask):
    """List tiles, missing, duplicate and rejected files; refuse what does not fit together."""

    settings_keys = ("years", "bands", "tiles", "lattice")

    def source_paths(self) -> Iterable[Path]:
        """Both tile trees."""
        region = self.configured
        return (region.root / region.settings.tiles.optical, region.root / region.settings.tiles.topo)

    def output(self) -> PublishedFile:
        """Return ``inventory.json``."""
        return self.publishes(self.layout.inventory)[0]

    def make(self) -> None:
        """Scan and publish."""
        region = self.configured
        region.check_sources()
        with self.output().staged() as draft:
            draft.write_text(scan_tiles(region.root, region.settings).to_json(), encoding="utf-8")


class TileQuality(RegionTask):
    """Read every pixel of a band's tiles: damaged files stop the build, wild values are counted."""

    settings_keys = ("years", "bands")
    # Before anything is made of the tiles.
    priority = 10
    band: luigi.Parameter[str] = luigi.Parameter(description="name of the band")

    def requires(self) -> TileInventory:
        """Require the inventory."""
        return self.clone(TileInventory)

    def output(self) -> PublishedFile:
        """Return ``tile_quality/<band>.json``."""
        return self.publishes(self.layout.tile_quality(self.band))[0]

    def make(self) -> None:
        """Count and publish."""
        with self.output().staged() as draft:
            write_tile_quality(self.configured, self.layout, self.band, draft, self.say)
