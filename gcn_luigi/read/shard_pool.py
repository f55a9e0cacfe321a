"""Shards opened when first needed, in each process again, with threads of that process."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from gcn_luigi.io.publish.safe_names import inside
from gcn_luigi.io.shard.reader import ShardReader

_A = TypeVar("_A")
_B = TypeVar("_B")


class ShardPool:
    """The shards `names` of a directory by number, and `threads` threads; may be pickled and used after a fork."""

    def __init__(self, directory: Path, names: Sequence[str], threads: int) -> None:
        for name in names:
            inside(directory, name, where=directory.parent / "index.parquet")
        self._directory, self._names, self._threads = directory, tuple(names), threads
        self._open: dict[int, ShardReader] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, number: int) -> ShardReader:
        """Return an open shard that was found whole; raise OSError, or what h5py says of a damaged file."""
        self._only_own()
        if number not in self._open:
            shard = ShardReader(self.path(number))
            try:
                shard.check()
                shard.detach()
            except BaseException:
                shard.close()
                raise
            self._open[number] = shard
        return self._open[number]

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("_directory", "_names", "_threads")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def path(self, number: int) -> Path:
        """Return a shard's file."""
        return self._directory / self._names[number]

    def each(self, call: Callable[[_A], _B], things: Iterable[_A]) -> Iterator[_B]:
        """Yield the results of `call` on each of `things`, made by the threads, in order.

        An error is raised in its turn, when no call is at work any more.
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
        """Close all shards and end the threads; the next access opens and starts them again."""
        if self._process == os.getpid():
            for shard in self._open.values():
                shard.close()
            if self._pool is not None:
                self._pool.shutdown()
        self._forget()

    def _only_own(self) -> None:
        if self._process != os.getpid():
            # The threads did not survive the fork, and the descriptors are the parent's to close.
            self._forget()

    def _forget(self) -> None:
        self._open, self._pool, self._process = {}, None, os.getpid()
