"""Work shared by threads whose results come back in the order in which it was given out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

_T = TypeVar("_T")


def in_order(pool: Executor | None, calls: Iterable[Callable[[], _T]], ahead: int) -> Iterator[_T]:
    """Yield what each of `calls` returns, in their order.

    Parameters
    ----------
    pool : Executor or None
        Does the calls; None does each when its result is asked for.
    calls : iterable of callable
        Taken from one by one, in the caller's thread.
    ahead : int
        Calls that may be under way, or done, before their turn: what bounds the memory.

    Yields
    ------
    object
        The results. The error of a call is raised in its turn.
    """
    if pool is None:
        for call in calls:
            yield call()
        return
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
