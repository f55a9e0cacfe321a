"""Run calls in several threads and return their results in the original order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

_T = TypeVar("_T")


def in_order(pool: Executor, calls: Iterable[Callable[[], _T]], ahead: int) -> Generator[_T, None, None]:
    """Yield the result of each of `calls`, in order. If a call fails, its error is raised when its turn comes.

    Calls are taken one by one, in the caller's thread. At most `ahead` calls are running or finished before their turn,
    which limits memory.
    """
    under_way: deque[Future[_T]] = deque()
    try:
        for call in calls:
            under_way.append(pool.submit(call))
            if len(under_way) > ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
