"""What a file depends on, one consistent snapshot of it, and a guard against settings that change meanwhile."""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.inputs.source_states import FileStates
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.lattice import Window
from gcn_luigi.tasks.target import PublishedFile


@dataclass(frozen=True)
class Dependencies:
    """Everything that one file depends on, in addition to the parameters of its task.

    `settings` are values of the configuration by key, `sources` the source files and directories that are read, and
    `reads` the files of the dataset that are read. `facets` are the parts of the inventory that are used: ``lattice``,
    ``crs``, ``windows``, ``all``, ``band:<name>`` for the files of a band, or ``source:<name>`` for the same files
    without how they are warped. `in_place_of` are files that are read in place of another one, by the name of the
    other: a reader finds the same in both.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Iterable[Path] = ()
    facets: tuple[str, ...] = ()
    reads: Iterable[PublishedFile] = ()
    in_place_of: Mapping[str, PublishedFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of the graph: everything is read once, and the answers hold for that moment."""

    fingerprints: dict[Path, str] = field(default_factory=dict)
    whole: dict[str, bool] = field(default_factory=dict)
    contents: dict[Path, str | None] = field(default_factory=dict)
    file_states: FileStates = field(default_factory=FileStates)

    def content(self, target: PublishedFile) -> str | None:
        """Return what represents the content of a published file."""
        if target.path not in self.contents:
            self.contents[target.path] = target.content()
        return self.contents[target.path]


class SettingsGuard:
    """Refuses settings that changed while a task worked and then changed back.

    A plain change is found when the file is published, because its fingerprint differs. A change that was undone is
    not: the settings are equal before and after the work, but part of the work used other settings. Settings are only
    remembered while a task works.
    """

    def __init__(self) -> None:
        self._seen: list[Region] = []
        self._is_working = False

    def __enter__(self) -> Self:
        self._is_working = True
        return self

    def __exit__(self, *_: object) -> None:
        self._is_working = False
        self._seen.clear()

    def check(self, region: Region, where: str) -> None:
        """Remember settings just read from the file `where`; raise InputError if they changed and changed back."""
        if not self._is_working:
            return
        if len(self._seen) > 1 and region == self._seen[0]:
            raise InputError(
                "the settings changed, and changed back, while a file was made from them; nothing was published",
                where=where,
                fix="leave sources and settings alone while a build runs, then run again",
            )
        if region not in self._seen:
            self._seen.append(region)


def facets_of(paths: DatasetPaths, names: Iterable[str]) -> dict[str, str | None]:
    """Return a digest of each facet of the published inventory; None if there is no inventory yet."""
    facets: dict[str, str | None] = dict.fromkeys(names)
    state = state_of(paths.inventory) if facets else None
    return facets if state is None else {name: _facet(paths.inventory, state, name) for name in facets}


def tile_paths(paths: DatasetPaths, root: Path, band: str) -> tuple[Path, ...]:
    """Return the tiles of a band, below the data root; none if there is no inventory yet."""
    inventory = published_inventory(paths)
    return () if inventory is None else tuple(root / file.path for file in inventory.of_band(band))


def shown_tile_paths(paths: DatasetPaths, root: Path, band: str) -> tuple[Path, ...]:
    """Return the tiles of a band, below the data root, that its mosaics show: not those whose warped file they show."""
    inventory = published_inventory(paths)
    files = () if inventory is None else inventory.of_band(band)
    return tuple(root / file.path for file in files if not (file.resampling or file.is_made))


def source_facet(paths: DatasetPaths, band: str) -> str:
    """Return the facet of the files of a band as they were delivered."""
    inventory = published_inventory(paths)
    is_warped = inventory is not None and any(file.resampling for file in inventory.of_band(band))
    return f"source:{band}" if is_warped else f"band:{band}"


def published_inventory(paths: DatasetPaths) -> Inventory | None:
    """Return the published inventory; None if there is none yet."""
    state = state_of(paths.inventory)
    return None if state is None else _read(paths.inventory, state)


def state_of(path: Path) -> tuple[int, ...] | None:
    """Return values that change whenever a file changes; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


# Every task asks often, and the inventory of a large region has thousands of files.
@functools.lru_cache(maxsize=4)
def _read(path: Path, _state: tuple[int, ...]) -> Inventory | None:
    try:
        return Inventory.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@functools.lru_cache(maxsize=256)
def _facet(path: Path, state: tuple[int, ...], name: str) -> str | None:
    inventory = _read(path, state)
    if inventory is None:
        return None
    kind, _, band = name.partition(":")
    value: object = {
        "all": lambda: inventory,
        "crs": lambda: inventory.lattice.crs,
        "lattice": lambda: inventory.lattice,
        "windows": lambda: inventory.windows,
        "band": lambda: inventory.of_band(band),
        "source": lambda: tuple(
            replace(file, resampling="", window=Window(0, 0, 0, 0)) if file.resampling else file
            for file in inventory.of_band(band)
        ),
    }[kind]()
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
