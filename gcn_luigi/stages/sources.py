"""What a source looked like: its size and time of change, so that a changed input is noticed."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def signature(paths: Iterable[Path], root: Path) -> dict[str, list[int] | None]:
    """Return size and modification time of files, relative to `root`.

    Parameters
    ----------
    paths : iterable of Path
        Files, or directories that are listed with everything below them. A shapefile stands for all its parts.
    root : Path
        Paths below it are named relative to it, so that moving the sources changes nothing.

    Returns
    -------
    dict of str
        ``[size, mtime_ns]`` for each file; None where a path does not exist.
    """
    found: dict[str, list[int] | None] = {}
    for path in paths:
        files = list(_files(path))
        if not files:
            found[_name(path, root)] = None
        for file in files:
            status = file.stat()
            found[_name(file, root)] = [status.st_size, status.st_mtime_ns]
    return dict(sorted(found.items()))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for directory, _, names in os.walk(path, followlinks=True):
            for name in names:
                file = Path(directory, name)
                if file.is_file():
                    yield file
    elif path.suffix.lower() == ".shp":
        yield from (file for file in path.parent.glob(f"{glob.escape(path.stem)}.*") if file.is_file())
    elif path.is_file():
        yield path


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
