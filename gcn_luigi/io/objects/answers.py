"""What a store answers: bytes, and which version of the object they are from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ShardError

Bytes = NDArray[np.uint8]
# `range`: first byte and end, or the number of bytes before the end; `if_match`: an ETag. None of them is needed.
Options = dict[str, Any]
# Requests at the same time, by process.
LANES = 8


@dataclass(frozen=True)
class Version:
    """What distinguishes an object from others under its name: size, ETag and time of change."""

    size: int
    etag: str | None
    changed: datetime

    @property
    def condition(self) -> Options:
        """The condition under which a store sends bytes. A weak ETag would fulfil none."""
        return {"if_match": self.etag} if self.etag and not self.etag.startswith("W/") else {}

    def is_same(self, other: Self) -> bool:
        """Return whether both are the same version, by their ETags or, without these, by the time of change."""
        by_etag = self.etag == other.etag if self.etag and other.etag else self.changed == other.changed
        return self.size == other.size and by_etag


@dataclass(frozen=True)
class Answer:
    """Bytes of an object from `start` on, and its version."""

    content: Bytes
    start: int
    version: Version


class Asker(Protocol):
    """Whoever asks a store. Errors are our own, and do not hold the text of the library's."""

    def ask(self, name: str, options: Options) -> Answer:
        """Return what the store answers."""

    def close(self) -> None:
        """End what runs for it."""


def changed(where: str) -> ShardError:
    """Return the error of an object that is not the one which was read first."""
    return ShardError(
        "the object changed while the dataset is being read",
        where=where,
        fix="open the dataset again, once nothing is being written to it",
    )


def cut_short(where: str, what: str) -> ShardError:
    """Return the error of an object that has fewer bytes than it should."""
    return ShardError(
        f"the object is cut short: {what}",
        where=where,
        fix="copy this file to the store again; gcn validate checks a dataset before it is copied",
    )


def check_digest(found: str, listed: str, *, where: str) -> None:
    """Raise ShardError unless the SHA-256 of an object is the one that ``dataset.json`` lists."""
    if found != listed:
        raise ShardError(
            "its bytes are not those that dataset.json lists (SHA-256 differs)",
            where=where,
            fix="copy this file to the store again, or open the dataset again if it was replaced",
        )
