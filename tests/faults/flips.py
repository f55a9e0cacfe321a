"""Single bits flipped in the files of a dataset, as a tired disk does it: neither size nor time of a file changes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from tests.reference.timeless import tells_a_time

# What the build keeps for Luigi: no part of a dataset.
_NOT_OURS = frozenset({".scheduler"})


@dataclass(frozen=True)
class Flip:
    """One bit that was flipped; entered as a context, it is flipped back at the end.

    Attributes
    ----------
    path : Path
        The file.
    offset : int
        The byte in it.
    bit : int
        Which bit of the byte, from 0, the lowest.
    """

    path: Path
    offset: int
    bit: int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def restore(self) -> None:
        """Flip the bit back."""
        with _times_kept(self.path), self.path.open("r+b") as stream:
            stream.seek(self.offset)
            byte = stream.read(1)[0]
            stream.seek(self.offset)
            stream.write(bytes([byte ^ (1 << self.bit)]))


def files_of(directory: Path) -> list[Path]:
    """Return all files of a dataset that have a bit to flip, its sidecars included, times left out, sorted."""
    return [
        path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not (_NOT_OURS.intersection(path.parts) or tells_a_time(path)) and path.stat().st_size
    ]


def flip_one_bit(directory: Path, rng: np.random.Generator, path: Path | None = None) -> Flip:
    """Flip one bit of a dataset, each bit of its files with the same chance.

    Parameters
    ----------
    directory : Path
        Of the dataset.
    rng : Generator
        Decides which.
    path : Path or None
        Flip a bit of this file.
    """
    files = files_of(directory) if path is None else [path]
    ends = np.cumsum([file.stat().st_size for file in files])
    place = int(rng.integers(ends[-1]))
    number = int(np.searchsorted(ends, place, side="right"))
    offset = place - (int(ends[number - 1]) if number else 0)
    flip = Flip(files[number], offset, int(rng.integers(8)))
    # A flip is its own inverse.
    flip.restore()
    return flip


@contextmanager
def _times_kept(path: Path) -> Iterator[None]:
    before = path.stat()
    yield
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
