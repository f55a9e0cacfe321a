"""Which files decide what a reader returns for a source, and what state each of them is in.

GDAL and SQLite look further than the file that they are given: at sidecars beside it, at the files that a VRT names, at
a write-ahead log. A change in any of these is a change of the source.
"""

import functools
import os
import stat
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import live_logs, open_local, vrt_sources

# Size and time of change (ns).
State = tuple[int, int]

_GEOTIFFS = frozenset({".tif", ".tiff"})
_TEXTS = frozenset({".csv", ".txt", ".geojson", ".json"})
_NO_DATABASES = _GEOTIFFS | _TEXTS | {".vrt", ".shp", ".fgb", ".parquet", ".geoparquet"}
# No file beside these is known by their stem.
_ALONE = _TEXTS | {".gpkg", ".sqlite", ".db", ".fgb", ".parquet", ".geoparquet"}
# What GDAL looks for after the whole name (x.tif.aux.xml, x.tif.msk.ovr) and after the stem (x.tfw), in any case.
_AFTER_NAME = frozenset({"aux", "xml", "msk", "ovr", "rrd"})
_AFTER_STEM = frozenset({"aux", "rrd", "ige", "prj", "tab", "wld", "xml"})
# A geodatabase is locked by those who look at it; the locks hold no data.
_LOCK = ".lock"
# Stands for the content of a directory that is listed elsewhere.
_LISTED: State = (0, 0)


class Look:
    """One look at the disk: every file and directory is asked once, and the answers hold for that moment.

    Examples
    --------
    >>> Look().files(Path("no/such/file.tif"))
    {}
    """

    def __init__(self) -> None:
        self._states: dict[str, State | None] = {}
        self._names: dict[str, list[tuple[str, str]]] = {}
        self._files: dict[Path, dict[str, State]] = {}

    def files(self, path: Path) -> Mapping[str, State]:
        """Return what a source consists of.

        Parameters
        ----------
        path : Path
            A raster stands for itself, its sidecars and, where it is a VRT, all files below it; a shapefile for all its
            parts; a database for its logs, too; a directory for all files below it.

        Returns
        -------
        dict
            State of each file that is there, by its path; empty where there is nothing. Links are followed. A
            directory that was met before, such as one that a link leads back to, is one entry that says where.
        """
        found = self._files.get(path)
        if found is None:
            own = os.fspath(path)
            # Asked first: a region has 100,000 files and a few directories.
            is_file = self.state(own) is not None
            found = self._around(own) if is_file or not os.path.isdir(own) else self._below_directory(own)  # noqa: PTH112
            self._files[path] = found
        return found

    def state(self, path: str) -> State | None:
        """Return the state of a regular file; None where there is none."""
        if path not in self._states:
            try:
                status = os.stat(path)  # noqa: PTH116  a region has 100,000 of them
            except (OSError, ValueError):
                # Absent, a link that leads nowhere, or no name at all.
                self._states[path] = None
            else:
                self._states[path] = _state(status)
        return self._states[path]

    def _around(self, path: str) -> dict[str, State]:
        """Return a file with its companions, and all that they lead to."""
        found: dict[str, State] = {}
        waiting, met = [path], {path}
        while waiting:
            own = waiting.pop()
            self._add(own, found)
            for companion in self._companions(own):
                self._add(companion, found)
            for name in _named(own, found[own]) if own in found else ():
                if name not in met:
                    met.add(name)
                    waiting.append(name)
        return found

    def _add(self, path: str, found: dict[str, State]) -> None:
        state = self.state(path)
        if state is not None:
            found[path] = state

    def _companions(self, path: str) -> list[str]:
        directory, slash, name = path.rpartition(os.sep)
        stem, suffix = os.path.splitext(name.lower())  # noqa: PTH122
        found = []
        if suffix not in _ALONE:
            for small, beside in self._beginning(directory or slash or ".", f"{stem}."):
                # Whatever begins like a shapefile is part of it.
                if suffix == ".shp" or _is_sidecar(small[len(stem) :], suffix):
                    found.append(f"{directory}{slash}{beside}")
        if suffix not in _NO_DATABASES:
            # An empty log says nothing, and a reader may leave one.
            found += [log for log in live_logs(Path(path)) if (self.state(log) or _LISTED)[0]]
        return found

    def _beginning(self, directory: str, start: str) -> list[tuple[str, str]]:
        """Return the names in a directory that begin with `start`, in any case: in small letters, and as they are."""
        if directory not in self._names:
            try:
                self._keep(directory, os.listdir(directory))  # noqa: PTH208  names alone
            except OSError:
                self._keep(directory, [])
        names, found = self._names[directory], []
        for place in range(bisect_left(names, (start,)), len(names)):
            if not names[place][0].startswith(start):
                break
            found.append(names[place])
        return found

    def _keep(self, directory: str, names: Iterable[str]) -> None:
        self._names[directory] = sorted([(name.lower(), name) for name in names])

    def _below_directory(self, top: str) -> dict[str, State]:
        found: dict[str, State] = {}
        first: dict[tuple[int, int], str] = {}
        waiting = [top]
        ignored = _LOCK if top.lower().endswith(".gdb") else None
        while waiting:
            directory = waiting.pop()
            try:
                status = os.stat(directory)  # noqa: PTH116
                place = status.st_dev, status.st_ino
                if place in first:
                    start = os.path.relpath(first[place], os.path.dirname(directory))  # noqa: PTH120
                    found[f"{directory} -> {start}"] = _LISTED
                    continue
                first[place] = directory
                with os.scandir(directory) as scan:
                    entries = sorted(scan, key=lambda entry: entry.name, reverse=True)
            except OSError:
                # Gone since it was listed, or closed to us.
                continue
            self._keep(directory, [entry.name for entry in entries])
            for entry in entries:
                if _is_directory(entry):
                    waiting.append(entry.path)
                elif ignored is None or not entry.name.endswith(ignored):
                    self._add(entry.path, found)
        return found


def _state(status: os.stat_result) -> State | None:
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself.
        return False


@functools.lru_cache(maxsize=64)
def _world_files(suffix: str) -> frozenset[str]:
    """Return the endings of world files for a raster's own ending: ``.tif`` has tfw and tifw."""
    letters = suffix[1:]
    return frozenset({f"{letters[:1]}{letters[-1:]}w", f"{letters}w"})


def _is_sidecar(ending: str, suffix: str) -> bool:
    """Return whether GDAL may read a file that goes on with `ending` after the stem of a raster named `suffix`."""
    if ending.startswith(f"{suffix}.") and _AFTER_NAME.issuperset(ending[len(suffix) + 1 :].split(".")):
        return True
    return ending[1:] in _AFTER_STEM or ending[1:] in _world_files(suffix)


def _named(path: str, state: State) -> Sequence[str]:
    """Return the files that a raster names in its own content."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    if suffix in _GEOTIFFS or suffix in _ALONE or suffix == ".shp":
        return ()
    try:
        return _named_by_vrt(path, *state) if path.endswith(".vrt") else _named_by_image(path, *state)
    except (InputError, OSError, RasterioIOError, ET.ParseError, ValueError):
        # Whoever reads it says what is wrong.
        return ()


@functools.lru_cache(maxsize=1024)
def _named_by_vrt(path: str, _size: int, _mtime_ns: int) -> tuple[str, ...]:
    return tuple(map(os.fspath, vrt_sources(Path(path))))


@functools.lru_cache(maxsize=64)
def _named_by_image(path: str, _size: int, _mtime_ns: int) -> tuple[str, ...]:
    """Return where an Erdas Imagine file keeps its pixels and overviews: it may name any file beside it."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        if file.read(4) != b"EHFA":
            return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = open_local(Path(path))
    with dataset:
        return tuple(dataset.files[1:])
