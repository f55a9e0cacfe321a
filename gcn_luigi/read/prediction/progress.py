"""The rows of a map that are finished: a file to which they are appended, and from which a killed run goes on.

The first line is JSON and says what is predicted from what. After it come records: the strip, the first row and the
number of rows, then the compressed pixels with their CRC-32. A record that was cut off, and everything behind it, is
made again.
"""

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, PublishError

# Magic, strip, first row, rows, columns, bytes, CRC-32.
_RECORD = struct.Struct("<4sIIIIQI")
_MAGIC = b"rows"


@dataclass(frozen=True)
class Rows:
    """Finished rows of a strip.

    Attributes
    ----------
    strip : int
        Number of the strip, from the left.
    first : int
        First row.
    classes : ndarray of uint8
        (y, x): values of classes, 255 where missing.
    shares : ndarray of float32
        (class, y, x): NaN where missing.
    """

    strip: int
    first: int
    classes: NDArray[np.uint8]
    shares: NDArray[np.float32]


class Progress:
    """Rows that are finished, in an open file."""

    def __init__(self, file: IO[bytes], path: Path, n_classes: int) -> None:
        self._file, self._path, self._n_classes = file, path, n_classes
        self._start = file.tell()

    def rows(self) -> Iterator[Rows]:
        """Yield all rows from the beginning, and stop at the first that are not complete; then rows can be appended."""
        self._file.seek(self._start)
        end = self._start
        while len(head := self._file.read(_RECORD.size)) == _RECORD.size:
            magic, strip, first, n_rows, n_cols, n_bytes, crc = _RECORD.unpack(head)
            left = os.fstat(self._file.fileno()).st_size - self._file.tell()
            packed = self._file.read(n_bytes) if magic == _MAGIC and n_bytes <= left else b""
            if magic != _MAGIC or n_bytes > left or zlib.crc32(packed) != crc:
                break
            end += _RECORD.size + n_bytes
            content, n_pixels = zlib.decompress(packed), n_rows * n_cols
            classes = np.frombuffer(content, np.uint8, n_pixels).reshape(n_rows, n_cols)
            shares = np.frombuffer(content, "<f4", offset=n_pixels).reshape(self._n_classes, n_rows, n_cols)
            yield Rows(strip, first, classes, shares)
            self._file.seek(end)
        self._file.seek(end)

    def reached(self) -> dict[int, int]:
        """Return the number of finished rows of each strip, and drop what is not complete behind them."""
        found = {rows.strip: rows.first + len(rows.classes) for rows in self.rows()}
        with self._refusals():
            self._file.truncate()
        return found

    def append(self, rows: Rows) -> None:
        """Add finished rows. Raise PublishError if the disk is full."""
        content = rows.classes.tobytes() + rows.shares.astype("<f4").tobytes()
        packed = zlib.compress(content, 1)
        head = (_MAGIC, rows.strip, rows.first, *rows.classes.shape, len(packed), zlib.crc32(packed))
        with self._refusals():
            self._file.write(_RECORD.pack(*head) + packed)
            self._file.flush()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._path, error) from error


@contextmanager
def opened_progress(path: Path, identity: Mapping[str, Any], n_classes: int) -> Iterator[Progress]:
    """Yield the finished rows in `path`; none if the file is new, or holds something else than `identity`.

    The file stays if the block fails, so that the next run goes on; it is removed if the block succeeds.

    Raises
    ------
    ConfigError
        Another process is writing the file.
    PublishError
        The file cannot be written.
    """
    line = json.dumps(identity, sort_keys=True).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The program creates no links here.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(path, error) from error
    with os.fdopen(handle, "r+b") as file:
        _lock(file, path)
        try:
            if file.readline() != line:
                file.seek(0)
                file.truncate()
                file.write(line)
                file.flush()
        except OSError as error:
            raise unwritable(path, error) from error
        yield Progress(file, path, n_classes)
        path.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> PublishError:
    """Return the error for a file that the file system refuses."""
    return PublishError(
        f"could not be written: {error.strerror or error}", where=str(path), fix="check free space and permissions"
    )


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(
            "another process is writing this map", where=str(path), fix="wait for it, or choose another directory"
        ) from error
    except OSError:
        # A file system without locks.
        return
    # The other process may have finished and removed the file between opening and locking.
    with suppress(OSError):
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return
    raise ConfigError("another process has just written this map", where=str(path), fix="run again if it is not there")
