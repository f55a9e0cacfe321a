"""What a build asks of a Dask cluster, and what it makes of the answers; the cluster is a made-up one."""

import threading
from types import SimpleNamespace

import pytest
from distributed import KilledWorker

from gcn_luigi.engine.cluster import Cluster
from gcn_luigi.errors import ClusterError, InputError, ResourceError
from gcn_luigi.tasks.shards import ChipShard


class _Future:
    def __init__(self):
        self.status, self._value, self._callbacks = "pending", None, []

    def add_done_callback(self, callback):
        self._callbacks.append(callback)

    def end(self, status, value=None):
        self.status, self._value = status, value
        for callback in self._callbacks:
            callback(self)

    def result(self):
        return self._value

    exception = result

    def cancel(self):
        self.end("cancelled")

    def release(self):
        pass


class _Client:
    """Two nodes of two threads; what is submitted is handed to `answer` as soon as somebody waits for it."""

    def __init__(self, answer):
        self._answer, self.workers, self.orders, self.hear = answer, [], [], None
        self.nodes = {"tcp://a": 2, "tcp://b": 2}

    def subscribe_topic(self, _topic, hear):
        self.hear = hear

    def nthreads(self):
        return self.nodes

    def submit(self, _function, order, *, workers, **_):
        self.workers.append(workers)
        self.orders.append(order)
        future = _Future()
        threading.Timer(0.05, self._answer, (self, order, future)).start()
        return future


@pytest.fixture
def cluster_of():
    made = []

    def make(answer, **options):
        client = _Client(answer)
        made.append(Cluster(client, "--dask test", **options))
        return client, made[-1]

    yield make
    for cluster in made:
        cluster.close()


def _shard():
    return ChipShard(region="demo", split="train", number=3, total=4, dask="test")


def _ends(**answer):
    return lambda _, __, future: future.end("finished", {"node": "n1", "address": "tcp://a", **answer})


def test_messages_and_percents_reach_the_task_they_are_about(cluster_of):
    def answer(client, order, future):
        client.hear((0, {"key": "of another", "message": "not for us"}))
        client.hear((0, {"key": order["key"], "message": "half", "percent": 50}))
        future.end("finished", {"node": "n1", "address": "tcp://a", "made": True})

    _, cluster = cluster_of(answer)
    task, told = _shard(), []
    task.set_status_message = task.set_progress_percentage = told.append

    cluster.make(task)

    assert told == ["half", 50]


def test_a_node_with_other_versions_gets_no_work_any_more(cluster_of):
    def answer(_, order, future):
        del order
        first = not refused
        refused.append(1)
        reason = {"refused": ["numpy 1 instead of 2"]} if first else {"made": True}
        future.end("finished", {"node": "n1", "address": "tcp://a", **reason})

    refused = []
    client, cluster = cluster_of(answer)

    cluster.make(_shard())

    assert client.workers == [None, ["tcp://b"]]


def test_without_a_node_of_the_same_versions_the_build_names_them(cluster_of):
    client, cluster = cluster_of(_ends(refused=["numpy 1 instead of 2", "GDAL 3.9 instead of 3.11"]))
    client.nodes = {"tcp://a": 2}

    with pytest.raises(ClusterError, match="no node is left") as caught:
        cluster.make(_shard())

    assert "n1: numpy 1 instead of 2, GDAL 3.9 instead of 3.11" in caught.value.what


def test_an_error_names_the_node(cluster_of):
    described = {"kind": "InputError", "what": "blue", "where": "tile 7", "fix": "green"}
    _, cluster = cluster_of(_ends(error=described))

    with pytest.raises(InputError, match="blue") as caught:
        cluster.make(_shard())

    assert caught.value.where == "tile 7 (on node n1)"


def test_a_killed_process_is_a_lack_of_memory_on_its_node(cluster_of, monkeypatch):
    monkeypatch.setattr(ChipShard, "memory_advice", lambda *_: ["lower this"])
    _, cluster = cluster_of(_ends(died=-9))

    with pytest.raises(ResourceError, match="killed from outside") as caught:
        cluster.make(_shard())

    assert caught.value.where.endswith("(on node n1)")
    assert caught.value.fix.startswith("lower this, or give each task on a node more memory")


def test_a_task_whose_nodes_are_lost_again_and_again_fails(cluster_of):
    def answer(_, order, future):
        future.end("error", KilledWorker(order["key"], SimpleNamespace(host="n2", address="tcp://b"), 3))

    _, cluster = cluster_of(answer)

    with pytest.raises(ClusterError, match="4 nodes in a row were lost while they made this; the last was n2"):
        cluster.make(_shard())


def test_a_lost_scheduler_is_told(cluster_of):
    _, cluster = cluster_of(lambda _, __, future: future.end("cancelled"))

    with pytest.raises(ClusterError, match="the Dask scheduler was lost"):
        cluster.make(_shard())


def test_a_task_can_be_cancelled_while_it_is_waited_for(cluster_of):
    task = _shard()
    _, cluster = cluster_of(lambda *_: cluster.cancel(task))

    with pytest.raises(ClusterError, match="stopped"):
        cluster.make(task)


def test_slots_are_the_threads_of_the_nodes_or_what_all_jobs_will_have(cluster_of):
    _, fixed = cluster_of(_ends(made=True))
    _, growing = cluster_of(_ends(made=True), most_slots=16)

    assert (fixed.slots(), growing.slots()) == (4, 16)


def test_jobs_that_fail_fail_every_task(cluster_of):
    def state():
        raise ClusterError("3 jobs ended before they began to work", where="logs", fix="read them")

    _, cluster = cluster_of(_ends(made=True), state=state)

    with pytest.raises(ClusterError, match="3 jobs ended before they began to work"):
        cluster.make(_shard())


def test_an_order_holds_texts_and_the_limit_that_the_user_gave(cluster_of):
    client, cluster = cluster_of(_ends(made=True), memory_mb=700)

    cluster.make(_shard())

    (order,) = client.orders
    assert order["parameters"]["memory_mb"] == "700"
    assert all(isinstance(value, str) for value in order["parameters"].values())
