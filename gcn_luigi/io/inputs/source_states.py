"""Record the states (size and time of change) of all files that belong to a source.

GDAL and SQLite read more than the file that they are given: sidecars, the files that a VRT names, a write-ahead log. If
any of these changes, the source has changed.
"""

import functools
import os
import stat
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from rasterio.errors import RasterioIOError

from gcn_luigi.errors import InputError
from gcn_luigi.io.raster.drivers import live_logs, open_local, vrt_sources

# Size, and time of change in nanoseconds.
State = tuple[int, int]
# For each source: [size, mtime_ns], or this for each file that it consists of; None if there is no file.
Sources = dict[str, list[int] | dict[str, list[int]] | None]

_GEOTIFFS = frozenset({".tif", ".tiff"})
_TEXTS = frozenset({".csv", ".txt", ".geojson", ".json"})
_NO_DATABASES = _GEOTIFFS | _TEXTS | {".vrt", ".shp", ".fgb", ".parquet", ".geoparquet"}
# Formats without sidecars that are named by the stem.
_ALONE = _TEXTS | {".gpkg", ".sqlite", ".db", ".fgb", ".parquet", ".geoparquet"}
# Sidecars that GDAL reads: endings after the whole name (x.tif.aux.xml, x.tif.msk.ovr) and after the stem (x.tfw), in
# upper or lower case.
_AFTER_NAME = frozenset({"aux", "xml", "msk", "ovr", "rrd"})
_AFTER_STEM = frozenset({"aux", "rrd", "ige", "prj", "tab", "wld", "xml"})
# Programs that read a geodatabase lock it. The lock files hold no data.
_LOCK = ".lock"
# The state of a directory that is listed elsewhere.
_LISTED: State = (0, 0)
# Sorts after all letters in names.
_LAST_LETTER = "\U0010ffff"


class FileStates:
    """The states of files at one moment. Every file and directory is examined once, and the result is kept."""

    def __init__(self) -> None:
        self._states: dict[str, State | None] = {}
        self._names: dict[str, list[tuple[str, str]]] = {}
        self._files: dict[Path, dict[str, State]] = {}

    def files(self, path: Path) -> Mapping[str, State]:
        """Return the state of each existing file that belongs to a source, by its path.

        These are a raster with its sidecars and, for a VRT, all files that it uses; all parts of a shapefile; a
        database with its logs; all files below a directory. Links are followed. If a directory occurs a second time,
        for example through a link, it gives a single entry that names the first place.
        """
        found = self._files.get(path)
        if found is None:
            own = os.fspath(path)
            # Files are tested first, because a region has 100,000 files and few directories.
            is_file = self.state(own) is not None
            found = self._with_companions(own) if is_file or not os.path.isdir(own) else self._below_directory(own)  # noqa: PTH112
            self._files[path] = found
        return found

    def state(self, path: str) -> State | None:
        """Return the state of a regular file; None if there is none."""
        if path not in self._states:
            try:
                status = os.stat(path)  # noqa: PTH116  a region has 100,000 of them
                is_file = stat.S_ISREG(status.st_mode)
            except (OSError, ValueError):
                # The file is absent, is a link to nothing, or its name is invalid.
                is_file = False
            self._states[path] = (status.st_size, status.st_mtime_ns) if is_file else None
        return self._states[path]

    def _with_companions(self, path: str) -> dict[str, State]:
        """Return the states of a file, of its sidecars and logs, and of all files that it names with theirs."""
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
            for lower, other in self._names_from(directory or slash or ".", f"{stem}."):
                # Every file with the stem of a shapefile belongs to it.
                if suffix == ".shp" or _is_sidecar(lower[len(stem) :], suffix):
                    found.append(f"{directory}{slash}{other}")
        if suffix not in _NO_DATABASES:
            # An empty log holds no changes, and a reader may leave one behind.
            found += [log for log in live_logs(Path(path)) if (self.state(log) or _LISTED)[0]]
        return found

    def _names_from(self, directory: str, start: str) -> list[tuple[str, str]]:
        """Return names in a directory that start with `start` in upper or lower case: as lower case, and as spelled."""
        if directory not in self._names:
            try:
                self._keep(directory, os.listdir(directory))  # noqa: PTH208  names alone
            except OSError:
                self._keep(directory, [])
        names = self._names[directory]
        return names[bisect_left(names, (start,)) : bisect_left(names, (start + _LAST_LETTER,))]

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
                # The directory was removed after it was listed, or cannot be read.
                continue
            self._keep(directory, [entry.name for entry in entries])
            for entry in entries:
                if _is_directory(entry):
                    waiting.append(entry.path)
                elif ignored is None or not entry.name.endswith(ignored):
                    self._add(entry.path, found)
        return found


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself.
        return False


@functools.lru_cache(maxsize=64)
def _world_files(suffix: str) -> frozenset[str]:
    """Return the suffixes of world files for a raster's suffix: tfw and tifw for ``.tif``."""
    letters = suffix[1:]
    return frozenset({f"{letters[:1]}{letters[-1:]}w", f"{letters}w"})


def _is_sidecar(ending: str, suffix: str) -> bool:
    """Return whether GDAL may read a file whose name is the stem of a raster with this suffix, then `ending`."""
    if ending.startswith(f"{suffix}.") and _AFTER_NAME.issuperset(ending[len(suffix) + 1 :].split(".")):
        return True
    return ending[1:] in _AFTER_STEM or ending[1:] in _world_files(suffix)


def _named(path: str, state: State) -> Sequence[str]:
    """Return the files that a raster names in its content."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    if suffix in _GEOTIFFS or suffix in _ALONE or suffix == ".shp":
        return ()
    try:
        return _named_by_vrt(path, *state) if path.endswith(".vrt") else _named_by_image(path, *state)
    except (InputError, OSError, RasterioIOError, ET.ParseError, ValueError):
        # The error is reported when the file is read.
        return ()


@functools.lru_cache(maxsize=1024)
def _named_by_vrt(path: str, _size: int, _mtime_ns: int) -> tuple[str, ...]:
    return tuple(map(os.fspath, vrt_sources(Path(path))))


@functools.lru_cache(maxsize=64)
def _named_by_image(path: str, _size: int, _mtime_ns: int) -> tuple[str, ...]:
    """Return the files in which an Erdas Imagine file keeps its pixels and overviews: any file next to it."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        if file.read(4) != b"EHFA":
            return ()
    with open_local(Path(path)) as dataset:
        return tuple(dataset.files[1:])


def signature(paths: Iterable[Path], root: Path, states: FileStates | None = None) -> Sources:
    """Return the states of sources, for all files of each source (see `FileStates.files`).

    Paths below `root` are written relative to it, so that moving the sources changes nothing. States that `states`
    already has are not read again.
    """
    found: Sources = {}
    states = states or FileStates()
    start = f"{root}{os.sep}"
    for path in paths:
        own, files = os.fspath(path), states.files(path)
        name = own.removeprefix(start)
        if len(files) == 1 and own in files:
            found[name] = list(files[own])
        else:
            found[name] = {file.removeprefix(start): list(files[file]) for file in sorted(files)} or None
    return dict(sorted(found.items()))
