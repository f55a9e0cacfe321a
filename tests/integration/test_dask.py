"""Builds on a Dask cluster: the bytes of one machine, errors with the node's name, and nothing left."""

import shutil
import signal
import socket

import pytest

import gcn_luigi
from gcn_luigi.engine.child import make_in_child
from gcn_luigi.engine.order import Order
from gcn_luigi.io.publish.atomic import remove_dead_temporaries
from gcn_luigi.read.validate import validate
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import dataset
from tests.integration.commands import LUIGI_CFG, Tiny, drafts, gcn_command, left_after, luigi_command, wait_for

_LOCAL = ("--dask", "local:2", "--port", "0")


@pytest.fixture(autouse=True)
def heeded():
    """Let Ctrl-C be heeded here and in what a test starts, also where tests run in a background that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _order(tiny, output, family):
    """Return the order for the first task of a family of a region; what it requires is built."""
    root = dataset(tiny.region, output, tiny.sources, tiny.config)
    task = next(task for task in upstream(root) if task.get_task_family() == family)
    for required in upstream(task):
        if not required.is_published():
            required.run()
    return Order.of(task, key="k", topic="t", versions={}, memory_mb=0), task


def test_a_task_is_made_in_a_process_of_its_own_that_tells_how_far_it_is(tiny, tmp_path):
    order, task = _order(tiny, tmp_path, "gcn.TileQuality")
    told = []

    answer = make_in_child(order, is_wanted=lambda: True, tell=told.append)

    assert answer == {"made": True}
    assert task.is_published()
    assert all(news.keys() <= {"message", "percent"} for news in told)


def test_a_task_that_is_not_wanted_any_more_is_stopped(tiny, tmp_path):
    order, task = _order(tiny, tmp_path, "gcn.TileQuality")

    answer = make_in_child(order, is_wanted=lambda: False, tell=print)

    assert answer == {"stopped": True}
    assert not task.is_published()
    assert drafts(tmp_path) == []


@pytest.mark.long
def test_a_build_on_local_workers_has_the_bytes_of_one_without(commands, tiny, tiny_output, tmp_path):
    ended = commands.gcn_run(tiny, tmp_path, *_LOCAL)

    assert ended.code == 0, ended.text
    assert "Traceback" not in ended.text
    assert list(validate(tmp_path / "tiny")) == []
    made, wanted = (gcn_luigi.open_dataset(root / "tiny") for root in (tmp_path, tiny_output))
    assert made.data_digest == wanted.data_digest

    again = commands.gcn_run(tiny, tmp_path, "--local-scheduler")
    assert "nothing to build" in again.out


@pytest.mark.long
def test_an_error_arrives_with_the_name_of_its_node(commands, tiny, tmp_path):
    sources = tmp_path / "input"
    shutil.copytree(tiny.sources, sources)
    tile = min(sources.rglob("*ndsi*.tif"))
    content, middle = bytearray(tile.read_bytes()), tile.stat().st_size // 2
    content[middle : middle + 400] = bytes(400)
    tile.write_bytes(content)

    ended = commands.gcn_run(Tiny(sources, tiny.config), tmp_path / "out", *_LOCAL)

    assert ended.code == 30, ended.text
    assert "failed: gcn.TileQuality(ndsi)" in ended.err
    assert f"(on node {socket.gethostname()})" in ended.err
    assert "fix:" in ended.err


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.usefixtures("prepared")
def test_a_shard_whose_worker_is_killed_is_made_again(commands, tiny, tiny_output, tmp_path):
    running = commands.start(*gcn_command(tiny, tmp_path), *_LOCAL)
    writer = wait_for(running.shard_writer, pause=0.01)
    writer.send_signal(signal.SIGSTOP)
    # The process is a child of a fork server, and that of the worker.
    worker = writer.parent().parent()
    assert "spawn_main" in " ".join(worker.cmdline())
    worker.kill()
    writer.send_signal(signal.SIGCONT)
    ended = running.wait()

    assert ended.code == 0, ended.text
    assert left_after(10, running.processes) == []
    assert drafts(tmp_path) == []
    made, wanted = (gcn_luigi.open_dataset(root / "tiny") for root in (tmp_path, tiny_output))
    assert made.data_digest == wanted.data_digest


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_build_leaves_no_process(commands, tiny, tmp_path, blow):
    running = commands.start(*gcn_command(tiny, tmp_path), *_LOCAL)
    wait_for(running.shard_writer, pause=0.01)
    if blow == signal.SIGINT:
        running.interrupt()
    else:
        running.process.kill()
    ended = running.wait()

    assert ended.code == (130 if blow == signal.SIGINT else -blow), ended.text
    assert "Traceback" not in ended.text, ended.text
    assert left_after(15, running.processes) == []
    if blow == signal.SIGKILL:
        # The claims of the command itself; the next run sweeps them.
        assert all(name.endswith(".claim.lock") for name in drafts(tmp_path))
        remove_dead_temporaries(tmp_path / "tiny/.gcn")
    assert drafts(tmp_path) == []


@pytest.mark.long
def test_a_cluster_that_somebody_started_serves_both_commands(commands, tiny, tiny_output, tmp_path):
    file, quiet = tmp_path / "scheduler.json", ("--dashboard-address", "127.0.0.1:0")
    scheduler = commands.start(
        "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file, *quiet
    )
    wait_for(file.exists)
    worker = commands.start("dask", "worker", "--scheduler-file", file, "--nthreads", "2", *quiet)
    cfg = tmp_path / "luigi.cfg"
    cfg.write_text(f"{LUIGI_CFG.read_text()}\n[gcn]\ndask = {file}\n")

    plain = commands.start(
        *luigi_command("gcn.TileQuality", tiny, tmp_path),
        "--band",
        "dem",
        "--local-scheduler",
        LUIGI_CONFIG_PATH=str(cfg),
    ).wait()
    ended = commands.start(*gcn_command(tiny, tmp_path), "--dask", file, "--port", "0").wait()
    for one in (worker, scheduler):
        one.process.send_signal(signal.SIGTERM)
        one.wait()

    assert plain.code == 0, plain.text
    assert ended.code == 0, ended.text
    made, wanted = (gcn_luigi.open_dataset(root / "tiny") for root in (tmp_path, tiny_output))
    assert made.data_digest == wanted.data_digest
    assert "Traceback" not in ended.text


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tls://192.0.2.1:8786", "there are no certificates for this scheduler"),
        ("tcp://192.0.2.1:8786", "everyone who can reach it can run code as you"),
    ],
)
def test_a_scheduler_elsewhere_is_refused_without_protection_before_anything_is_built(
    gcn, tiny, tmp_path, address, why
):
    code, _, told = gcn(
        "run", tiny.region, "--config-dir", tiny.config, "--data-root", tiny.sources, "--output", tmp_path / "out",
        "--local-scheduler", "--dask", address,
    )  # fmt: skip

    assert code == 1
    assert why in told
    assert not (tmp_path / "out/tiny").exists()
