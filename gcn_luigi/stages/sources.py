"""What a source looked like: its size and time of change, so that a changed input is noticed."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def signature(
    paths: Iterable[Path], root: Path, seen: dict[Path, list[int]] | None = None
) -> dict[str, list[int] | None]:
    """Return size and modification time of files, relative to `root`.

    Parameters
    ----------
    paths : iterable of Path
        Files, or directories that are listed with everything below them. A shapefile stands for all its parts.
    root : Path
        Paths below it are named relative to it, so that moving the sources changes nothing.
    seen : dict or None
        Answers of a moment ago, which is added to: no file is looked at twice.

    Returns
    -------
    dict of str
        ``[size, mtime_ns]`` for each file; None where a path does not exist.
    """
    found: dict[str, list[int] | None] = {}
    seen = {} if seen is None else seen
    for path in paths:
        files = list(_files(path, seen))
        if not files:
            found[_name(path, root)] = None
        for file in files:
            found[_name(file, root)] = seen[file]
    return dict(sorted(found.items()))


def _files(path: Path, seen: dict[Path, list[int]]) -> Iterator[Path]:
    """Yield the files that `path` stands for, each with its answer in `seen`."""
    if path.suffix.lower() == ".shp" and not path.is_dir():
        candidates: Iterable[Path] = path.parent.glob(f"{glob.escape(path.stem)}.*")
    elif path not in seen and path.is_dir():
        walk = os.walk(path, followlinks=True)
        candidates = (Path(directory, name) for directory, _, names in walk for name in names)
    else:
        candidates = (path,)
    for file in candidates:
        if file not in seen:
            try:
                status = file.stat()
            except OSError:
                # Gone since it was listed, or a link that leads nowhere.
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            seen[file] = [status.st_size, status.st_mtime_ns]
        yield file


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
