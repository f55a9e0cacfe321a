"""Read objects of a store by ranges, each in the version that was seen first."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from gcn_luigi.io.objects.address import Address
from gcn_luigi.io.objects.answers import LANES, Answer, Asker, Bytes, Options, Version, changed, cut_short

_PART = 8_000_000


class ObjectStore:
    """The files of a dataset in a store, by their names. It can be pickled, and used by threads and after a fork.

    A version of each object is kept when it is first read. From then on its bytes come from this version, or an error
    says that it changed.

    Raises
    ------
    ConfigError
        obstore is not installed.
    StoreError
        The settings in the environment cannot be used.
    """

    # None until it is needed in this process.
    _asker: Asker | None
    _pool: ThreadPoolExecutor | None

    def __init__(self, address: Address) -> None:
        self.address = address
        self._versions: dict[str, Version] = {}
        self._forget()
        self._here()

    def __getstate__(self) -> dict[str, Any]:
        return {"address": self.address, "_versions": dict(self._versions)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def read(self, name: str, start: int = 0, end: int | None = None) -> Bytes:
        """Return the bytes of an object from `start` to before `end`, or all.

        Raises
        ------
        ShardError
            The object is missing, shorter, or no longer that which was read first.
        StoreError
            The store does not answer, or does not permit it.
        """
        answer = self._ask(name, {} if end is None else {"range": (start, end)})
        wanted = answer.version.size if end is None else end - start
        if (answer.start, len(answer.content)) != (start, wanted):
            raise cut_short(self.address.of(name), f"it has {answer.version.size} bytes, and more are needed")
        return answer.content

    def read_end(self, name: str, size: int) -> tuple[Bytes, int]:
        """Return the last `size` bytes of an object, or all if it has fewer, and its size. Errors are as in `read`."""
        answer = self._ask(name, {"range": {"suffix": size}})
        total, count = answer.version.size, len(answer.content)
        if count != min(size, total):
            raise cut_short(self.address.of(name), f"only {count} bytes came")
        return answer.content, total

    def parts(self, name: str) -> Iterator[Bytes]:
        """Yield an object from its first to its last byte, in parts. Errors are as in `read`."""
        start, total = 0, None
        while total is None or start < total:
            answer = self._ask(name, {"range": (start, start + _PART)})
            total = answer.version.size
            if (answer.start, len(answer.content)) != (start, min(_PART, total - start)):
                raise cut_short(self.address.of(name), f"it has {total} bytes, and more are needed")
            start += len(answer.content)
            yield answer.content

    def later(self, call: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Return the future result of a call, which one of the threads for requests makes."""
        self._here()
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="gcn-store")
            return self._pool.submit(call, *arguments)

    def close(self) -> None:
        """End what runs for this store. The next request starts it again."""
        if self._process == os.getpid():
            if self._pool is not None:
                self._pool.shutdown()
            if self._asker is not None:
                self._asker.close()
        self._forget()

    def _ask(self, name: str, options: Options) -> Answer:
        known = self._versions.get(name)
        answer = self._here().ask(name, {**options, **(known.condition if known else {})})
        if not self._versions.setdefault(name, answer.version).is_same(answer.version):
            raise changed(self.address.of(name))
        return answer

    def _here(self) -> Asker:
        """Return what asks the store in this process."""
        if self._process != os.getpid():
            # Threads do not survive a fork.
            self._forget()
        with self._lock:
            if self._asker is None:
                self._asker = _asker(self.address)
            return self._asker

    def _forget(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._asker, self._pool = None, None


def _asker(address: Address) -> Asker:
    # Imported only now, because the module notes the process in which obstore was first needed.
    from gcn_luigi.io.objects.direct import DirectAsker, works_here  # noqa: PLC0415
    from gcn_luigi.io.objects.forked import HelperAsker  # noqa: PLC0415

    return DirectAsker(address) if works_here() else HelperAsker(address)
