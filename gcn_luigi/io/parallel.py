"""Work shared by threads whose results come back in the order in which it was given out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

_T = TypeVar("_T")


def in_order(pool: Executor, calls: Iterable[Callable[[], _T]], ahead: int) -> Iterator[_T]:
    """Yield what each of `calls` returns, in their order; the error of a call is raised in its turn.

    Calls are taken one by one, in the caller's thread. At most `ahead` of them are under way, or done, before their
    turn: that bounds the memory.
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
