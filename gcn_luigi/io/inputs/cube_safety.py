"""Refuse cubes that lead to other files, or that run code when they are read.

Bytes of other files would be shown as pixels, and their changes would not make anything stale.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from gcn_luigi.errors import InputError

_METADATA = (".zarray", ".zmetadata", "zarr.json")
_DEEPEST = 20
_FIX = "write the cube again, with all values in it"


def refuse_unsafe_store(path: Path) -> None:
    """Check the metadata of a Zarr store and of its arrays.

    Raises
    ------
    InputError
        Values are pickled Python objects, which are code, or metadata are not JSON.
    """
    for directory in (path, *sorted(entry for entry in path.iterdir() if entry.is_dir())):
        for file in (directory / name for name in _METADATA if (directory / name).is_file()):
            try:
                tree = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise InputError(f"its metadata cannot be read: {error}", where=str(file), fix=_FIX) from error
            if any("pickle" in word for word in _names(tree)):
                what = "holds pickled objects, which can run any code when they are read"
                raise InputError(what, where=str(file), fix=_FIX)


def refuse_foreign_values(path: Path) -> None:
    """Check that all values of an HDF5 file are in the file.

    Raises
    ------
    InputError
        A variable is stored in another file, or is a link to one.
    OSError
        It is no HDF5 file, or is damaged.
    """
    with h5py.File(path, "r", locking=False) as file:
        for name in _foreign(file, "", 0):
            raise InputError(f"its variable {name} is in another file", where=str(path), fix=_FIX)


def _names(tree: Any) -> Iterator[str]:
    """Yield the names of all codecs, and of anything else that has a name or id."""
    if isinstance(tree, dict):
        yield from (str(tree[key]).lower() for key in ("id", "name") if key in tree)
        for value in tree.values():
            yield from _names(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _names(value)


def _foreign(group: h5py.Group, above: str, depth: int) -> Iterator[str]:
    for name in group:
        whole = f"{above}/{name}"
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink) or depth > _DEEPEST:
            yield whole
            continue
        item = group.get(name)
        if isinstance(item, h5py.Group):
            yield from _foreign(item, whole, depth + 1)
        elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            yield whole
