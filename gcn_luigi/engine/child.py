"""A task made in a child process of a node's worker: it can be stopped, has its own memory limit, and no profiler."""

import functools
import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from gcn_luigi.engine.order import Order, describe_error
from gcn_luigi.luigi_host.memory_limit import TASK_PROCESS
from gcn_luigi.luigi_host.worker import ChildContext, clean_context

_LOOK_S = 0.5
# A little longer than the child itself takes to end when it is told to.
_PATIENCE_S = 15.0

Answer = dict[str, Any]
Tell = Callable[[dict[str, Any]], None]


def make_in_child(order: Order, *, is_wanted: Callable[[], bool], tell: Tell) -> Answer:
    """Make a task in a child process; return how it ended.

    The answer holds `made`, or `error` (see `describe_error`), or `died` with the exit code, or `stopped` if
    `is_wanted` returned False meanwhile. `tell` gets messages and percents, at most twice a second.
    """
    context = clean_context()
    ours, theirs = context.Pipe(duplex=False)
    # Dask marks its workers as daemons, which multiprocessing does not allow to have children. These end with it.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # noqa: SLF001
    process = context.Process(target=_make, args=(order.plain(), theirs), name=TASK_PROCESS, daemon=True)
    process.start()
    theirs.close()
    try:
        answer = _listen(ours, is_wanted, tell)
        if answer is None:
            process.terminate()
            answer = {"stopped": True}
        process.join(_PATIENCE_S)
        return answer or {"died": process.exitcode}
    finally:
        ours.close()
        if process.is_alive():
            process.kill()


def _listen(pipe: Connection, is_wanted: Callable[[], bool], tell: Tell) -> Answer | None:
    """Pass on what the child says; return its answer, which is empty if it ended without; None if it is not wanted."""
    news: dict[str, Any] = {}
    told = 0.0
    while is_wanted():
        if pipe.poll(_LOOK_S):
            try:
                said = json.loads(pipe.recv_bytes())
            except EOFError:
                return {}
            if "answer" in said:
                if news:
                    tell(news)
                return dict(said["answer"])
            news |= said
        if news and time.monotonic() - told >= _LOOK_S:
            tell(news)
            news, told = {}, time.monotonic()
    return None


def _make(plain: dict[str, Any], pipe: Connection) -> None:
    """Make a task; the child process runs this."""
    with ChildContext(None):
        _send(pipe, answer=_made(Order.read(plain), pipe))


def _made(order: Order, pipe: Connection) -> Answer:
    try:
        task = order.task()
        task.set_status_message = functools.partial(_send_as, pipe, "message")
        task.set_progress_percentage = functools.partial(_send_as, pipe, "percent")
        task.make_here()
    # Whatever a library raises has to reach the user.
    except Exception as error:  # noqa: BLE001
        return {"error": describe_error(error)}
    return {"made": True}


def _send(pipe: Connection, **values: Any) -> None:
    pipe.send_bytes(json.dumps(values).encode())


def _send_as(pipe: Connection, name: str, value: Any) -> None:
    _send(pipe, **{name: value})
