"""What a kind of input is to the fuzzer: sound samples, and what may come of a broken one."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class WrongError(AssertionError):
    """An input was accepted, and what came of it is not right."""


@dataclass(frozen=True)
class Sample:
    """A sound file.

    Attributes
    ----------
    name : str
        Of its structure, for the report.
    place : str
        Where it lies in the tree that is tried, with forward slashes.
    data : bytes
        What it holds.
    """

    name: str
    place: str
    data: bytes


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes
    ----------
    prepare : callable
        Makes everything in a directory that lasts, and returns the samples, always the same in the same order.
    attempt : callable
        Takes that directory, an empty one that holds the broken file alone, and the sample it was made of. It raises
        GcnLuigiError where the input is refused, `WrongError` where it is accepted and wrong, and returns where what
        came of it equals what a plain reader makes of the same bytes.
    limit_s : float
        Seconds of one attempt before it counts as hanging.
    """

    prepare: Callable[[Path], Sequence[Sample]]
    attempt: Callable[[Path, Path, Sample], None]
    limit_s: float = 30.0


def must(holds: object, message: str) -> None:
    """Raise WrongError unless something holds."""
    if not holds:
        raise WrongError(message)


def made_once(directory: Path, make: Callable[[Path], None]) -> Path:
    """Return `directory`, filled by `make` where it was not there yet; two processes may try at once."""
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=directory.parent))
        make(draft)
        try:
            os.rename(draft, directory)  # noqa: PTH104  Path.rename would do the same
        except OSError:
            shutil.rmtree(draft)
    return directory
