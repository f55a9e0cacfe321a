"""What the files of a dataset weigh before they are made: all of them but the shards.

Most of it is known: mosaics, label, distance, grid and catalog are there when a plan counts chips. What is made after
the shards is small, but for the index and the quality page, whose sizes were fitted to finished datasets.
"""

from collections.abc import Iterable
from pathlib import Path

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.lattice import Lattice
from gcn_luigi.operate.schedule import Action, Step
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.shards import ChipShard

# Bytes: of an index without a chip, and of a chip in it. An empty GeoPackage has 24 pages of 4096 bytes.
_MAP_BYTES, _MAP_CHIP_BYTES = 98_304, 370
_TABLE_BYTES, _TABLE_CHIP_BYTES = 23_000, 30
# Of the quality page: its text and figures, a pixel of the maps, and a pixel of the chips that are shown.
_PAGE_BYTES, _RELIEF_PIXEL_BYTES, _CHIP_PIXEL_BYTES = 600_000, 2.8, 22
# Longer sides are decimated to this, as in gcn_luigi.report.pictures and gcn_luigi.report.pictures.
_LONGEST_MAP, _LONGEST_CHIP = 1000, 256
# Of the seal and of its record, and of each file that they list.
_SEAL_BYTES, _LISTED_BYTES, _STATED_BYTES = 1_500, 240, 150
_STATISTICS_BYTES, _BAND_BYTES = 2_000, 720
# Of a mosaic of one band and year: it lists the tiles.
_VRT_BYTES, _VRT_TILE_BYTES = 1_300, 330
_SMALL_BYTES = {".json": 5_500, ".qml": 2_000, ".md": 1_100, ".txt": 220}
_FILE_BYTES, _RECORD_BYTES = 20_000, 1_500


def other_bytes(steps: Iterable[Step], prepared: RegionTask, n_chips: int) -> int:
    """Return what all files but the shards will weigh, their records below ``.gcn`` included.

    Parameters
    ----------
    steps : iterable of Step
        Every task of a build, from `gcn_luigi.operate.schedule.look_ahead`.
    prepared : RegionTask
        The dataset, or one elsewhere with the same configuration, of which label, catalog and stacks are built.
    n_chips : int
        Of all splits.

    Returns
    -------
    int
        Bytes: known where a file is there and stays, or was made for the plan; else estimated.
    """
    steps = tuple(steps)
    guess = _Guess(prepared, n_chips, sum(len(step.task.targets()) for step in steps))
    total = 0
    for step in steps:
        paths = step.task.paths
        known = _known_at(step, prepared.paths)
        for target in step.task.targets():
            for path in (target.path, paths.sidecar(target.path)):
                if path == target.path and isinstance(step.task, ChipShard):
                    continue
                name = path.relative_to(paths.root)
                made = None if known is None else known / name
                total += made.stat().st_size if made is not None and made.is_file() else guess.size(name)
    return total


def _known_at(step: Step, prepared: DatasetPaths) -> Path | None:
    """Return where the files of a task are as the build will leave them: kept, or made for the plan."""
    root = step.task.paths.root
    if step.action is Action.KEEP:
        return root
    # A file that is made again may weigh something else than before.
    return None if prepared.root == root else prepared.root


class _Guess:
    """Sizes of files that are not there yet, by their names."""

    def __init__(self, prepared: RegionTask, n_chips: int, n_files: int) -> None:
        paths, settings, inventory = prepared.paths, prepared.configured.settings, read_inventory(prepared.paths)
        shown = min(settings.chips.size, _LONGEST_CHIP) ** 2
        page = _PAGE_BYTES + _RELIEF_PIXEL_BYTES * _map_pixels(inventory.lattice) + _CHIP_PIXEL_BYTES * shown
        sizes = {
            paths.index: _TABLE_BYTES + _TABLE_CHIP_BYTES * n_chips,
            paths.index_map: _MAP_BYTES + _MAP_CHIP_BYTES * n_chips,
            paths.report: round(page),
            paths.sidecar(paths.report): _STATED_BYTES * n_files,
            paths.dataset: _SEAL_BYTES + _LISTED_BYTES * n_files,
            paths.sidecar(paths.dataset): _STATED_BYTES * n_files,
            paths.statistics: _STATISTICS_BYTES + _BAND_BYTES * len(settings.schema_bands),
        }
        self._mosaic = _VRT_BYTES + _VRT_TILE_BYTES * len(inventory.windows)
        self._sizes = {path.relative_to(paths.root): size for path, size in sizes.items()}

    def size(self, path: Path) -> int:
        """Return the bytes of a file, given by its path below the dataset."""
        if path in self._sizes:
            return self._sizes[path]
        if path.suffix == ".vrt":
            return self._mosaic
        if path.parts[0] == ".gcn":
            return _RECORD_BYTES
        return _SMALL_BYTES.get(path.suffix, _FILE_BYTES)


def _map_pixels(lattice: Lattice) -> int:
    factor = max(max(lattice.shape) / _LONGEST_MAP, 1.0)
    return round(lattice.height / factor) * round(lattice.width / factor)
