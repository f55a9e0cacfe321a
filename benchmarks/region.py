"""The made-up region and its stacks, built once, and lists of partitions of any length on them."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from benchmarks.place import REGION, SETTINGS, luigi_settings, region_of
from benchmarks.plan import Plan
from gcn_luigi.config import load_region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.tables import read_geoparquet, write_geoparquet
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.layers.mosaics import read_inventory, write_stack
from gcn_luigi.synthetic import make_world, write_world
from gcn_luigi.synthetic.write import is_written

TOML = Path(__file__).with_name("bench.toml")
_DEFAULT_SHARDS = "\n[shards]\nn_train = 1\nn_dev = 1\n"


@dataclass(frozen=True)
class Ground:
    """What all suites stand on: sources, stacks, and a directory for what they make.

    Attributes
    ----------
    directory : Path
        Of this plan's data.
    plan : Plan
        Amounts of work.
    """

    directory: Path
    plan: Plan

    @property
    def sources(self) -> Path:
        """The made-up world."""
        return self.directory / "input"

    @property
    def base(self) -> DatasetPaths:
        """What the task graph built: inventory, rasters, stacks, catalog."""
        return DatasetPaths(self.directory / "base" / REGION)

    @property
    def settings(self) -> RegionSettings:
        """The region's settings; everything by default that the TOML file does not say."""
        return load_region(self.directory / "config" / TOML.name).settings

    def make(self) -> None:
        """Make the world and build stacks and catalog, unless they are there."""
        if not is_written(self.plan.world, self.sources):
            write_world(make_world(self.plan.world), self.sources)
        config = write_config(self.directory / "config", _DEFAULT_SHARDS)
        with luigi_settings():
            from gcn_luigi.operate.build import build  # noqa: PLC0415
            from gcn_luigi.tasks import PartitionCatalog, StackFiles  # noqa: PLC0415

            where = {
                "region": REGION,
                "output_root": str(self.directory / "base"),
                "config_dir": str(config),
                "data_root": str(self.sources),
            }
            result = build([PartitionCatalog(**where), StackFiles(**where)], workers=2, address=None)
        if result.exit_code:
            raise RuntimeError(f"the benchmark's region was not built: {result.failures}")

    def listed(self, count: int, use: str = "list") -> DatasetPaths:
        """Return a place with the base's stacks and a catalog of `count` used train partitions.

        Partitions are taken evenly from all cells inside the tiles, and repeated under new ids where `count` is
        more than there are.

        Parameters
        ----------
        count : int
            Partitions.
        use : str
            What it is for; each use has a place of its own.
        """
        paths = DatasetPaths(self.directory / "sets" / f"{use}-{count}")
        if not (paths.root / SETTINGS).is_file():
            self._lay(paths, count)
            for name in ("stacks", "mosaics"):
                (paths.root / name).symlink_to(os.path.relpath(self.base.root / name, paths.root))
            self._seal(paths, self.settings)
        return paths

    def widened(self, count: int, n_bands: int) -> DatasetPaths:
        """Return a place like `listed` whose stacks have `n_bands` bands: the optical ones again and again."""
        paths = DatasetPaths(self.directory / "sets" / f"bands{n_bands}-{count}")
        if (paths.root / SETTINGS).is_file():
            return paths
        settings = with_more_bands(self.settings, n_bands)
        self._lay(paths, count)
        mosaics = paths.root / "mosaics"
        mosaics.mkdir()
        for path in sorted((self.base.root / "mosaics").iterdir()):
            (mosaics / path.name).symlink_to(os.path.relpath(path, mosaics))
        inventory, more = read_inventory(paths), []
        for band in settings.schema_bands.image:
            for year in settings.years:
                alias = paths.mosaic(band, year)
                source = band.name.split("-", maxsplit=1)[0]
                if band.role == "optical" and source != band.name:
                    alias.symlink_to(f"optical_{source}_{year}.vrt")
                    more += [replace(file, band=band.name) for file in inventory.of_band(source)]
        paths.inventory.unlink()
        paths.inventory.write_text(
            replace(inventory, files=(*inventory.files, *dict.fromkeys(more))).to_json(), encoding="utf-8"
        )
        (paths.root / "stacks").mkdir()
        for year in settings.years:
            write_stack(region_of(paths, settings), paths, year, paths.stack(year))
        self._seal(paths, settings)
        return paths

    def _lay(self, paths: DatasetPaths, count: int) -> None:
        shutil.rmtree(paths.root, ignore_errors=True)
        paths.root.mkdir(parents=True)
        for path in (self.base.inventory, self.base.label):
            (paths.root / path.name).symlink_to(os.path.relpath(path, paths.root))
        write_geoparquet(paths.catalog, repeated(read_geoparquet(self.base.catalog), count, self.settings.years))

    def _seal(self, paths: DatasetPaths, settings: RegionSettings) -> None:
        # Last: a place that has its settings is whole.
        (paths.root / SETTINGS).write_text(settings.model_dump_json(), encoding="utf-8")


def repeated(catalog: gpd.GeoDataFrame, count: int, years: tuple[int, ...]) -> gpd.GeoDataFrame:
    """Return `count` used rows of train, every cell inside the tiles and then all again, and one of dev."""
    inside = catalog[catalog["outside_share"] == 0].reset_index(drop=True)
    chosen = np.linspace(0, len(inside), count, endpoint=False).astype(int) if count < len(inside) else None
    numbers = np.arange(count) % len(inside) if chosen is None else chosen
    rows = inside.iloc[numbers].reset_index(drop=True)
    again = np.arange(count) // len(inside)
    rows["partition"] = pd.array(
        [f"{name}-{turn:04d}" for name, turn in zip(rows["partition"], again, strict=True)], dtype="str"
    )
    rows["year"] = pd.array([years[(k + int(turn)) % len(years)] for k, turn in enumerate(again)], dtype="Int64")
    rows["split"] = pd.array(["train"] * count, dtype="str")
    # A dataset without dev is refused.
    dev = rows.iloc[:1].assign(partition="dev", split="dev")
    rows = pd.concat([rows, dev], ignore_index=True)
    rows["used"], rows["reason"] = True, pd.array([""] * len(rows), dtype="str")
    return rows.sort_values("partition", ignore_index=True)


def with_more_bands(settings: RegionSettings, n_bands: int) -> RegionSettings:
    """Return settings whose stack has `n_bands` bands, the label included."""
    tables = settings.model_dump(mode="json")
    optical = [table for table in tables["bands"] if table["role"] == "optical"]
    for number in range(n_bands - len(settings.schema_bands)):
        table = optical[number % len(optical)]
        tables["bands"].append({**table, "name": f"{table['name']}-{number // len(optical) + 2}", "suffix": ""})
    return RegionSettings.model_validate(tables)


def write_config(directory: Path, shards: str) -> Path:
    """Write the region's TOML file with a ``[shards]`` section; return its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / TOML.name).write_text(TOML.read_text(encoding="utf-8") + shards, encoding="utf-8")
    return directory
