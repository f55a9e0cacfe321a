"""A shard in an object store, of which only what is needed is read."""

import io
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ShardError
from gcn_luigi.io.objects.answers import Bytes
from gcn_luigi.io.objects.ranges import joined
from gcn_luigi.io.objects.store import ObjectStore

if TYPE_CHECKING:
    from concurrent.futures import Future

# The columns of a shard are at its end, with the footer: about 1.5 kB per chip.
_END = 500_000
# Bytes that were asked for and not read yet. More are forgotten, the oldest first: whoever wanted them gave up.
_MOST_AHEAD = 1_000_000_000


@dataclass(frozen=True)
class _Request:
    start: int
    end: int
    content: "Future[Bytes]"

    @property
    def failed(self) -> bool:
        return self.content.cancelled() or (self.content.done() and self.content.exception() is not None)

    def answer(self) -> tuple[int, Bytes] | None:
        """Wait for the bytes, and return their place as well; None if another thread closed the shard."""
        try:
            return self.start, self.content.result()
        except CancelledError:
            return None


class ObjectShard:
    """The bytes of a shard in a store, as `gcn_luigi.io.shard.opened.OpenObject`.

    Opening reads the end, and `keep` the other bytes outside the pixels. Pixels are read by `will_need`, which joins
    neighbouring chunks into one request, and handed out by `read_into`, once each. Several threads can use it.

    Parameters
    ----------
    store : ObjectStore
        The store.
    name : str
        The name of the object.
    size : int
        Its size, as ``dataset.json`` states it.

    Raises
    ------
    ShardError
        The object is missing or has another size.
    StoreError
        It cannot be read.
    """

    def __init__(self, store: ObjectStore, name: str, size: int) -> None:
        self._store, self._name = store, name
        end, self.size = store.read_end(name, _END)
        if self.size != size:
            raise ShardError(
                f"the object has {self.size} bytes, but dataset.json lists {size}",
                where=store.address.of(name),
                fix="copy this file to the store again, or open the dataset again if it was replaced",
            )
        self._kept: list[tuple[int, Bytes]] = [(self.size - len(end), end)]
        self._coming: dict[int, _Request] = {}
        self._lock = threading.Lock()

    def read_into(self, out: NDArray[np.uint8], offset: int) -> int:
        """Read bytes from `offset` on into `out`; return how many there were."""
        end = min(offset + out.size, self.size)
        if end <= offset:
            return 0
        # A chunk that was asked for is handed out once, so that its memory is free afterwards.
        with self._lock:
            request = self._coming.pop(offset, None)
        found = None if request is None or request.end < end else request.answer()
        start, content = found or self._found(offset, end) or (offset, self._store.read(self._name, offset, end))
        out[: end - offset] = content[offset - start : end - start]
        return end - offset

    def will_need(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Begin to read chunks, neighbours in one request."""
        with self._lock:
            known = self._coming
            # What failed is asked for again.
            fresh = np.array([at not in known or known[at].failed for at in offsets.tolist()], bool)
            fresh &= (offsets >= 0) & (offsets < self.size)
            starts, lengths = offsets[fresh], sizes[fresh]
            spans = joined(starts, lengths)
            requests = [self._asked(start, min(end, self.size)) for start, end in spans.tolist()]
            numbers = np.searchsorted(spans[:, 0], starts, "right") - 1
            known |= {start: requests[number] for start, number in zip(starts.tolist(), numbers, strict=True)}
            self._forget_old()

    def keep(self, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Read ranges, and keep them until `let_go`."""
        inside = [self._found(start, start + size) is None for start, size in zip(offsets, sizes, strict=True)]
        spans = joined(offsets[inside], sizes[inside])
        requests = [self._asked(start, end) for start, end in spans.tolist()]
        self._kept += [(request.start, request.content.result()) for request in requests]

    def let_go(self) -> None:
        """Forget what was kept."""
        self._kept = []

    def outside_pixels(self) -> io.RawIOBase:
        """Return the shard as a file with all bytes that are kept, and zeros for all others."""
        return _Kept(self._kept, self.size)

    def close(self) -> None:
        """Forget all bytes, and what was not asked for yet."""
        with self._lock:
            for request in self._coming.values():
                request.content.cancel()
            self._kept, self._coming = [], {}

    def _asked(self, start: int, end: int) -> _Request:
        return _Request(start, end, self._store.later(self._store.read, self._name, start, end))

    def _found(self, start: int, end: int) -> tuple[int, Bytes] | None:
        return next((kept for kept in self._kept if kept[0] <= start and end <= kept[0] + len(kept[1])), None)

    def _forget_old(self) -> None:
        requests = {id(request): request for request in self._coming.values()}
        ahead = sum(request.end - request.start for request in requests.values())
        for key, request in requests.items():
            if ahead <= _MOST_AHEAD or len(requests) == 1:
                return
            ahead -= request.end - request.start
            self._coming = {at: known for at, known in self._coming.items() if id(known) != key}


class _Kept(io.RawIOBase):
    """A file of which some parts are known. HDF5 reads a little more than it uses, so other bytes are zeros.

    Whatever it uses is among the known parts, and was compared with the digest in the footer.
    """

    def __init__(self, parts: list[tuple[int, Bytes]], size: int) -> None:
        self._parts, self._size, self._at = parts, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        out: NDArray[np.uint8] = np.frombuffer(buffer, np.uint8)
        count = max(min(len(out), self._size - self._at), 0)
        out[:count] = 0
        for start, content in self._parts:
            first, last = max(start, self._at), min(start + len(content), self._at + count)
            if first < last:
                out[first - self._at : last - self._at] = content[first - start : last - start]
        self._at += count
        return count
