"""The data that the page of grid sizes shows, read once."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gcn_luigi.config import Region
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.chips.chips import ChipLoad, chip_load
from gcn_luigi.prepare.partitions.grid_comparison import describe_cells
from gcn_luigi.settings import RegionSettings


@dataclass(frozen=True)
class GridSize:
    """Cells of `size` pixels, described by `compare_grids` and listed by `describe_cells`, and the chips of a cell."""

    size: int
    described: dict[str, Any]
    cells: pd.DataFrame
    load: ChipLoad

    def n_cells(self, split: str) -> int:
        """Return how many cells a split has."""
        return int(self.described[split]["n_cells"])

    def n_chips(self, split: str) -> int:
        """Return how many chips the cells of a split would give, before any is rejected."""
        return self.n_cells(split) * self.load.n_chips

    def glacier_share(self, split: str) -> float | None:
        """Return the share, 0 to 1, of the lattice's glacier area in a split's cells; None without glaciers."""
        area = self.described["glacier_m2"]
        return float(area[split] / area["lattice"]) if area["lattice"] else None

    def mean(self, split: str) -> float | None:
        """Return the mean glacier share of a split's cells."""
        value: float | None = self.described[split]["mean"]
        return value

    @property
    def ks(self) -> float | None:
        """Kolmogorov-Smirnov distance between train and dev; None if either has no cell."""
        value: float | None = self.described["ks"]
        return value

    @property
    def ks_by_chance(self) -> float | None:
        """The distance that one in twenty draws of independent cells from the same ground exceeds, for many cells.

        1.358 sqrt((n + m) / (n m)) for n and m cells: Smirnov (1948), Annals of Mathematical Statistics 19, 279-281.
        """
        train, dev = (self.n_cells(split) for split in ("train", "dev"))
        return None if not train or not dev else float(min(1.358 * ((train + dev) / (train * dev)) ** 0.5, 1.0))


@dataclass(frozen=True)
class GridPageData:
    """All sizes (at least one) in ascending order, and the settings and lattice of the region."""

    settings: RegionSettings
    lattice: Lattice
    sizes: tuple[GridSize, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the dataset."""
        return self.settings.splits


def read_grid_data(region: Region, paths: DatasetPaths) -> GridPageData:
    """Read comparison, catalog and outlines, and describe the cells of each size, which the comparison does not store.

    Raises InputError if a table, the inventory or the outlines are missing or damaged.
    """
    settings, chips = region.settings, region.settings.chips
    lattice = Inventory.from_json(paths.inventory.read_text(encoding="utf-8")).lattice
    catalog = read_geoparquet(paths.catalog)
    path = region.root / settings.outlines.path
    outlines = read_outlines(path, settings.outlines, lattice, settings.years).table
    compared: dict[str, Any] = json.loads(paths.grid_comparison.read_text(encoding="utf-8"))
    sizes = tuple(
        GridSize(
            size,
            compared[str(size)],
            describe_cells(lattice, outlines, catalog, size),
            chip_load(size, chips.size, chips.step, chips.edge),
        )
        for size in sorted(map(int, compared))
    )
    return GridPageData(settings, lattice, sizes)
