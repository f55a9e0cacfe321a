"""The open shards of a reader, and the threads that read them."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.read.store.places import ShardPlace

_A = TypeVar("_A")
_B = TypeVar("_B")

# How many shards of a store are opened at the same time.
_MOST_OPENING = 8


class ShardPool:
    """The shards `names` at a place, by number, and `threads` threads. It can be pickled and used after a fork."""

    def __init__(self, place: ShardPlace, names: Sequence[str], threads: int) -> None:
        place.check(names)
        self.place, self._names, self._threads = place, tuple(names), threads
        self._open: dict[int, ShardReader] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, number: int) -> ShardReader:
        """Return an open shard that was checked. Raise OSError, or the error of h5py for a damaged file."""
        self._only_own()
        if number not in self._open:
            self._open[number] = self._checked(number)
        return self._open[number]

    def open_far(self, numbers: Iterable[int]) -> None:
        """Open shards of a store at the same time. Those that cannot be opened raise errors when they are used."""
        self._only_own()
        lost = [number for number in numbers if number not in self._open]
        if not self.place.is_far or len(lost) < 2:
            return
        with ThreadPoolExecutor(min(len(lost), _MOST_OPENING), thread_name_prefix="gcn-open") as pool:
            for number, opening in [(number, pool.submit(self._checked, number)) for number in lost]:
                if opening.exception() is None:
                    self._open[number] = opening.result()

    def _checked(self, number: int) -> ShardReader:
        shard = self.place.open(self._names[number])
        try:
            shard.check()
            shard.detach()
        except BaseException:
            shard.close()
            raise
        return shard

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("place", "_names", "_threads")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def title(self, number: int) -> str:
        """Return the path or the address of a shard."""
        return self.place.title(self._names[number])

    def each(self, call: Callable[[_A], _B], things: Iterable[_A]) -> Iterator[_B]:
        """Yield the results of `call` on each of `things`, in order. The threads make the calls.

        If a call fails, its error is raised when its turn comes and no other call is running any more.
        """
        self._only_own()
        if self._threads == 1:
            yield from map(call, things)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="gcn-read")
        futures = [self._pool.submit(call, thing) for thing in things]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)

    def close(self) -> None:
        """Close all shards and end the threads. The next access opens and starts them again."""
        if self._process == os.getpid():
            for shard in self._open.values():
                shard.close()
            if self._pool is not None:
                self._pool.shutdown()
        self._forget()

    def _only_own(self) -> None:
        if self._process != os.getpid():
            # Threads do not survive a fork, and the descriptors must be closed by the parent process.
            self._forget()

    def _forget(self) -> None:
        self._open, self._pool, self._process = {}, None, os.getpid()
