"""What the tile directories hold."""

from collections.abc import Iterable
from pathlib import Path

from gcn_luigi.io.tiles import scan_tiles
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

    def run(self) -> None:
        """Scan and publish."""
        region = self.configured
        with self.output().staged() as draft:
            draft.write_text(scan_tiles(region.root, region.settings).to_json(), encoding="utf-8")
