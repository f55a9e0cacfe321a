"""Links in a tree of tiles: where they lead, so that no directory is entered twice."""

import os
from pathlib import Path


def leads_out(root: Path, entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a link to outside `root`."""
    return entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(os.path.realpath(root))


def is_broken(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a link that leads nowhere, or to itself."""
    return entry.is_symlink() and not Path(entry.path).exists()


def is_directory(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a directory, or a link to one."""
    # `DirEntry.is_dir` fails for a link to itself.
    return not is_broken(entry) and entry.is_dir()


def identity(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Return device and inode: the same for a directory and all links to it."""
    status = entry.stat()
    return status.st_dev, status.st_ino


def around(root: Path, home: str) -> dict[tuple[int, int], str]:
    """Return the directories that a link must not lead back to: `home` below `root`, and those around it up to `root`.

    Returns
    -------
    dict
        What each is, by device and inode.
    """
    inner = root / home
    places = [place for place in (inner, *inner.parents) if place == root or place.is_relative_to(root)]
    return {
        (status.st_dev, status.st_ino): "the directory it is in" if place == inner else "a directory around it"
        for place in reversed(places)
        for status in [place.stat()]
    }
