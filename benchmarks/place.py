"""Where a build takes place: its settings, its partitions, and how Luigi is told what it must know.

Imports no more than a build needs, since peaks of memory are measured on top of it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from gcn_luigi.config import Region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.shard import used_partitions

REGION = "bench"
SETTINGS = "settings.json"


def settings_of(paths: DatasetPaths) -> RegionSettings:
    """Return the settings that a place was laid with."""
    return RegionSettings.model_validate_json((paths.root / SETTINGS).read_text(encoding="utf-8"))


def region_of(paths: DatasetPaths, settings: RegionSettings) -> Region:
    """Return the region of a place, with the made-up world's tiles."""
    return Region(settings, paths.root.parents[1] / "input")


def places_of(paths: DatasetPaths) -> list[Partition]:
    """Return the partitions of a place, in order."""
    return used_partitions(paths.catalog, read_inventory(paths).lattice, "train")


@contextmanager
def luigi_settings() -> Iterator[None]:
    """Let Luigi read the package's settings, as ``gcn run`` does; it looks when it is imported."""
    os.environ["LUIGI_CONFIG_PATH"] = str(files("gcn_luigi") / "luigi.cfg")
    os.environ["GCN_QUIET_WORKERS"] = "1"
    yield
