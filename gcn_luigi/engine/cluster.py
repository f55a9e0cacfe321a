"""Tasks on a Dask cluster. This module and `slurm` are the only ones that know Dask."""

import logging
import queue
import secrets
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any, Self

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Security, get_worker
from distributed.scheduler import NoValidWorkerError

from gcn_luigi.engine.child import make_in_child
from gcn_luigi.engine.order import Order, error_from
from gcn_luigi.engine.place import DaskPlace, LocalPlace, Place
from gcn_luigi.engine.versions import differences, versions
from gcn_luigi.errors import ClusterError, ConfigError, few
from gcn_luigi.luigi_host.memory_limit import MB, death

_LOOK_S = 2.0
_CONNECT_S = 30.0
_NOTICE_S = 15.0
# Settings of the schedulers that are started here.
_OWN_SETTINGS = {
    # A task whose node is lost is given to this many other nodes.
    "distributed.scheduler.allowed-failures": 3,
    # A node that says nothing for so long is lost.
    "distributed.scheduler.worker-ttl": "60s",
    # The profiler would keep what a worker's thread holds.
    "distributed.worker.profile.enabled": False,
    # No web pages, not even on this machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


def make_on_node(plain: dict[str, Any]) -> dict[str, Any]:
    """Make a task on a node: Dask calls this in a thread of its worker.

    Returns how it ended, see `make_in_child`, with the node's name and address; with `refused` if the node's versions
    differ from those of the machine that orders.
    """
    order, worker = Order.read(plain), get_worker()
    answer: dict[str, Any] = {"node": socket.gethostname(), "address": worker.address}
    other = differences(order.versions, versions())
    if other:
        return answer | {"refused": other}

    def is_wanted() -> bool:
        state = worker.state.tasks.get(order.key)
        return state is not None and state.state == "executing" and worker.status.name == "running"

    def tell(news: dict[str, Any]) -> None:
        worker.log_event(order.topic, {"key": order.key, **news})

    limit = getattr(worker.memory_manager, "memory_limit", None) or 0
    share = int(limit) // max(worker.state.nthreads, 1) // MB
    return answer | make_in_child(order.within(share), is_wanted=is_wanted, tell=tell)


class Cluster:
    """A Dask cluster that makes tasks; all threads of a build share it.

    `most_slots` is how many tasks a cluster that grows on request can make at once; 0 for one that is as it is.
    `state` describes what the cluster waits for, such as jobs in a queue, and raises ClusterError if it waits in vain.
    """

    def __init__(
        self, client: Client, shown: str, *, most_slots: int = 0, state: Callable[[], str] = str, **told: Any
    ) -> None:
        self._client, self._shown, self._most_slots, self._state = client, shown, most_slots, state
        self._memory_mb: int = told.get("memory_mb", 0)
        self._notice: Callable[[str], None] | None = told.get("notice")
        self._noticed = 0.0
        self._topic = f"gcn-{secrets.token_hex(8)}"
        self._versions = versions()
        self._calls: dict[str, _Call] = {}
        self._refused: dict[str, str] = {}
        self._nodes: Mapping[str, int] = {}
        self._waits_for = ""
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._failed: ClusterError | None = None
        client.subscribe_topic(self._topic, self._hear)
        self._look()
        self._watcher = threading.Thread(target=self._watch, name="gcn-cluster", daemon=True)
        self._watcher.start()

    @classmethod
    @contextmanager
    def at(cls, place: Place, **told: Any) -> Iterator[Self]:
        """Start or join a cluster for a block; `told` are the last two options of `engine_on`."""
        with ExitStack() as open_:
            most_slots = 0
            state: Callable[[], str] = str
            if isinstance(place, DaskPlace):
                client = open_.enter_context(_joined(place))
            elif isinstance(place, LocalPlace):
                open_.enter_context(dask.config.set(_OWN_SETTINGS))
                client = open_.enter_context(_local(place))
            else:
                # When it is imported, dask-jobqueue makes Ctrl-C end the program at once, and with success.
                heard = signal.getsignal(signal.SIGINT)
                from gcn_luigi.engine.slurm import slurm_cluster  # noqa: PLC0415

                signal.signal(signal.SIGINT, heard)
                open_.enter_context(dask.config.set(_OWN_SETTINGS))
                jobs = open_.enter_context(slurm_cluster(place))
                client = open_.enter_context(_client(jobs.cluster, place.shown))
                most_slots, state = place.jobs * place.cores, jobs.state
            cluster = cls(client, place.shown, most_slots=most_slots, state=state, **told)
            try:
                yield cluster
            finally:
                cluster.close()

    def close(self) -> None:
        """Stop all tasks and forget the cluster."""
        self._stopped.set()
        for call in list(self._calls.values()):
            call.cancel()
        self._watcher.join(_LOOK_S)

    def slots(self) -> int:
        """Return how many tasks the nodes make at the same time, now or once all jobs run."""
        return max(sum(self._nodes.values()), self._most_slots)

    def cancel(self, task: Any) -> None:
        """Stop making a task; its node ends its process within some seconds."""
        for call in [call for call in list(self._calls.values()) if call.task_id == task.task_id]:
            call.cancel()

    def make(self, task: Any) -> None:
        """Make the files of a RegionTask on a node; again on another one if that node is lost or has other versions."""
        while True:
            answer = self._ask(task)
            if "refused" in answer:
                with self._lock:
                    self._refused[answer["address"]] = f"{answer['node']}: {', '.join(answer['refused'])}"
                continue
            if answer.get("made"):
                return
            if answer.get("again"):
                continue
            raise self._error(answer, task)

    def _error(self, answer: Mapping[str, Any], task: Any) -> Exception:
        node = str(answer["node"])
        if "error" in answer:
            return error_from(answer["error"], name=task.name, node=node)
        code = answer.get("died")
        if code is None:
            return ClusterError(
                "the node stopped making it", where=f"{task.name} (on node {node})", fix="run again: files are kept"
            )
        return death(code, task, node) or ClusterError(
            f"its process ended with exit code {code}",
            where=f"{task.name} (on node {node})",
            fix="look at the log of the node's Dask worker, then run again",
        )

    def _ask(self, task: Any) -> dict[str, Any]:
        """Send an order and wait for the answer, passing on messages meanwhile."""
        key = f"{task.get_task_family()}-{secrets.token_hex(8)}"
        order = Order.of(task, key=key, topic=self._topic, versions=self._versions, memory_mb=self._memory_mb)
        allowed = self._allowed(task)
        future = self._client.submit(
            make_on_node, order.plain(), key=key, pure=False, workers=allowed, allow_other_workers=False
        )
        call = _Call(task.task_id, future)
        self._calls[key] = call
        try:
            return self._wait(call, task, allowed)
        finally:
            del self._calls[key]
            future.release()

    def _allowed(self, task: Any) -> list[str] | None:
        """Return the addresses of the nodes that may make a task; None for any."""
        self._raise_if_ended(task)
        with self._lock:
            refused = dict(self._refused)
        if not refused:
            return None
        self._look()
        allowed = sorted(self._nodes.keys() - refused.keys())
        if self._nodes and not allowed:
            raise ClusterError(
                "no node is left: each has other versions, and its files could differ: "
                f"{few(sorted({refused[address] for address in self._nodes}))}",
                where=self._shown,
                fix="install the same wheel of gcn-luigi and the same libraries on all nodes; best, one environment on "
                "a shared disk",
            )
        return allowed or None

    def _wait(self, call: "_Call", task: Any, allowed: list[str] | None) -> dict[str, Any]:
        is_started, shown = False, ""
        while True:
            try:
                news = call.news.get(timeout=_LOOK_S)
            except queue.Empty:
                self._raise_if_ended(task, call)
                if allowed is not None and not is_started and not set(allowed) & self._nodes.keys():
                    # All nodes to which this attempt was limited have gone.
                    call.future.cancel()
                    return {"again": True}
                # A log has one line about it for all tasks, and a terminal shows it with each.
                waits = "waits for a node" if self._waits_for and self._notice else self._waits_for
                if not is_started and waits and waits != shown:
                    shown = waits
                    task.say(shown)
                continue
            if news is None:
                return self._answer(call, task)
            is_started = True
            if "message" in news and task.set_status_message is not None:
                task.set_status_message(news["message"])
            if "percent" in news and task.set_progress_percentage is not None:
                task.set_progress_percentage(news["percent"])

    def _answer(self, call: "_Call", task: Any) -> dict[str, Any]:
        self._raise_if_ended(task, call)
        if call.future.status == "finished":
            return dict(call.future.result())
        error = call.future.exception() if call.future.status == "error" else None
        if isinstance(error, KilledWorker):
            last = getattr(error.last_worker, "host", "") or str(error.last_worker)
            raise ClusterError(
                f"{error.allowed_failures + 1} nodes in a row were lost while they made this; the last was {last}",
                where=task.name,
                fix="look at the logs of their jobs: memory or the time limit of the job may be too small. Then run "
                "again: finished files are kept",
            )
        if isinstance(error, NoValidWorkerError):
            return {"again": True}
        if error is not None:
            raise self._unexpected(error, task)
        raise ClusterError(
            "the Dask scheduler was lost, or somebody cancelled the task there",
            where=f"{task.name}, {self._shown}",
            fix="run again: finished files are kept",
        )

    def _unexpected(self, error: BaseException, task: Any) -> ClusterError:
        """Return the error for what Dask could not even begin, with the nodes that cannot load the package."""
        broken = []
        with suppress(Exception):
            told = self._client.run(versions, on_error="return")
            broken = sorted(f"{address}: {what}" for address, what in told.items() if isinstance(what, BaseException))
        cause = error.__cause__ or error
        return ClusterError(
            f"the cluster could not make it: {type(cause).__name__}: {cause}"
            + (f"; nodes without a working gcn_luigi: {few(broken)}" if broken else ""),
            where=f"{task.name}, {self._shown}",
            fix="install gcn-luigi[dask] in the environment of all nodes, in the same version as here",
        )

    def _raise_if_ended(self, task: Any, call: "_Call | None" = None) -> None:
        if self._failed is not None:
            raise ClusterError(self._failed.what, where=self._failed.where, fix=self._failed.fix)
        if self._stopped.is_set() or (call is not None and call.is_cancelled):
            raise ClusterError("stopped", where=task.name, fix="run again: finished files are kept")

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Pass on a message from a node; this runs in Dask's own thread and must not wait."""
        news = event[1]
        call = self._calls.get(news.get("key", ""))
        if call is not None:
            call.news.put(news)

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            # The scheduler may be gone for a moment; if it does not come back, Dask cancels what it was to make.
            with suppress(OSError, TimeoutError, RuntimeError, ValueError):
                self._look()

    def _look(self) -> None:
        try:
            self._waits_for = self._state()
        except ClusterError as error:
            # Its traceback would keep jobs alive that Dask wants to see gone.
            self._failed = error.with_traceback(None)
        self._nodes = dict(self._client.nthreads())
        if not self._nodes and not self._waits_for:
            self._waits_for = "waits for a node of the cluster"
        if self._calls and self._waits_for and self._notice and time.monotonic() - self._noticed > _NOTICE_S:
            self._noticed = time.monotonic()
            self._notice(self._waits_for)


class _Call:
    """One attempt to make a task: what its node says, and finally None when Dask has an answer."""

    def __init__(self, task_id: str, future: Future[Any]) -> None:
        self.task_id, self.future = task_id, future
        self.news: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.is_cancelled = False
        future.add_done_callback(lambda _: self.news.put(None))

    def cancel(self) -> None:
        self.is_cancelled = True
        # Without a scheduler there is nothing to cancel.
        with suppress(Exception):
            self.future.cancel()
        self.news.put(None)


@contextmanager
def _client(where: Any, shown: str) -> Iterator[Client]:
    began = time.monotonic()
    try:
        with warnings.catch_warnings():
            # Versions are compared here, and differences end in an error.
            warnings.simplefilter("ignore")
            client = Client(where, set_as_default=False, timeout=_CONNECT_S, direct_to_workers=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ClusterError(
            f"the Dask scheduler does not answer after {time.monotonic() - began:.0f} s: {error}",
            where=shown,
            fix="start it, or correct the address, or the certificates in Dask's configuration (distributed.comm.tls)",
        ) from error
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=_LOOK_S)


def _joined(place: DaskPlace) -> Any:
    # Dask's client fails as well, but then waits for a minute.
    if place.address.startswith("tls") and Security().get_connection_args("client")["ssl_context"] is None:
        raise ConfigError(
            "there are no certificates for this scheduler",
            where=place.shown,
            fix="name them in Dask's configuration: distributed.comm.tls.ca-file, and client.cert and client.key there",
        )
    return _client(place.address, place.shown)


@contextmanager
def _local(place: LocalPlace) -> Iterator[Client]:
    """Start worker processes on this machine, which only this process can reach: with certificates of their own."""
    # Ctrl-C reaches all processes of a terminal. Workers, which Dask's thread starts, inherit that they do not hear it.
    # The tracker of multiprocessing comes first, because starting it would undo that.
    resource_tracker.ensure_running()
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        cluster = LocalCluster(
            n_workers=place.count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
            # What matters comes back as an answer; the rest would stand between the lines of the build.
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    with cluster, _client(cluster, place.shown) as client:
        yield client
