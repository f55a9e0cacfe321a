"""A build in jobs of a real SLURM: the digest of one machine, whatever happens to nodes, jobs and queue."""

import json
import os
import re
import shutil
import signal
from importlib.resources import files
from pathlib import Path

import distributed
import pytest

import gcn_luigi
import gcn_luigi.version
from gcn_luigi.io.publish.atomic import remove_dead_temporaries
from gcn_luigi.read.validate import validate
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import dataset, without_shards
from tests.integration.commands import (
    _BIN,
    LUIGI_CFG,
    Tiny,
    drafts,
    gcn_command,
    left_after,
    wait_for,
)
from tests.integration.slurm import missing, slurm_up

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(missing()), reason=missing() or "there is one")]

_EXAMPLES = Path(__file__).resolve().parents[2] / "examples/slurm"
_JOBS = ("--slurm", "--slurm-options", "cores=1,memory=2GB,jobs=2,walltime=00:10:00", "--port", "0")


@pytest.fixture
def slurm(tmp_path_factory):
    """Return a running SLURM with two idle nodes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    # The state is far from the tests' files: paths of sockets are short.
    with slurm_up(tmp_path_factory.mktemp("slurm"), shared / "slurm-lock") as running:
        yield running
        assert running.wait_until_empty(30) == []


@pytest.fixture
def demo(demo_output):
    """Return the demo's sources and settings, as the nodes read them."""
    sources = demo_output.with_name("demo-input")
    return Tiny(sources, Path(str(files("gcn_luigi"))), "demo")


@pytest.fixture
def prepared(demo_output, tmp_path):
    """Leave only the shards of the demo to be made."""
    without_shards(demo_output, tmp_path / "demo")


@pytest.fixture
def build(slurm, commands, demo, tmp_path):
    """Return a function that starts the build of the demo on the login node."""
    # Mosaics name their sources by the way from one to the other, which is the same between the copies.
    copied = Tiny(shutil.copytree(demo.sources, tmp_path / demo.sources.name), demo.config, demo.region)

    def start(*options, **variables):
        command = gcn_command(copied, tmp_path)
        return commands.start(*slurm.on_head(_BIN / "gcn", *command[1:], *(options or _JOBS)), **variables)

    return start


def _check(running, ended, made, wanted):
    """Check that a build ended well, with the data of the same dataset of one machine, and left nothing."""
    assert ended.code == 0, ended.text
    assert "Traceback" not in ended.text, ended.text
    assert left_after(30, running.processes) == []
    _check_data(made, wanted)
    assert drafts(made.parent / ".slurm") == []


def _check_data(made, wanted):
    assert drafts(made) == []
    assert list(validate(made)) == []
    assert gcn_luigi.open_dataset(made).data_digest == gcn_luigi.open_dataset(wanted).data_digest


def _group(running):
    """Return the processes that a terminal would interrupt, but for the one that entered the namespaces."""
    group = [one for one in running.processes() if os.getpgid(one.pid) == running.process.pid]
    return [one for one in group if one.pid != running.process.pid]


def test_the_demo_built_in_jobs_has_the_data_of_one_machine(slurm, commands, demo, tmp_path, demo_output):
    _, *run = gcn_command(demo, tmp_path)
    running = commands.start(*slurm.on_head(_BIN / "gcn", *run, *_JOBS))
    ended = running.wait(300)

    _check(running, ended, tmp_path / "demo", demo_output)
    logs = sorted((tmp_path / ".slurm/logs").glob("*.err"))
    assert logs, "no job ran"


def test_the_demo_built_by_workers_that_srun_starts_has_the_data_of_one_machine(
    slurm, commands, demo, tmp_path, demo_output
):
    file, quiet = tmp_path / "scheduler.json", ("--dashboard-address", "127.0.0.1:0")
    where = ("--host", "192.0.2.1", "--port", "0", "--scheduler-file", file)
    scheduler = commands.start(*slurm.on_head(_BIN / "dask", "scheduler", *where, *quiet))
    wait_for(file.exists)
    worker = (_BIN / "dask", "worker", "--scheduler-file", file, "--nthreads", "1", "--no-nanny", *quiet)
    workers = commands.start(*slurm.on_head("srun", "--nodes", "2", "--label", *worker))
    _, *run = gcn_command(demo, tmp_path)
    options = ("--dask", file, "--trust-network", "--port", "0")
    running = commands.start(*slurm.on_head(_BIN / "gcn", *run, *options))
    ended = running.wait(300)
    for job in slurm.jobs():
        slurm.control("at", "head", "scancel", job)
    workers.process.wait(30)
    for process in scheduler.processes():
        process.terminate()
    scheduler.process.wait(30)

    _check(running, ended, tmp_path / "demo", demo_output)
    # Both nodes had workers that did something.
    assert len(set(re.findall(r"^([01]):.*Registered to", workers.text(), re.MULTILINE))) == 2, workers.text()
    assert left_after(15, workers.processes) == []


@pytest.mark.fault
@pytest.mark.usefixtures("prepared")
def test_a_shard_whose_node_is_cut_off_is_made_on_the_other(build, slurm, tmp_path, demo_output):
    # Seconds until the connection counts as broken.
    running = build(DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP="12s")
    writer = wait_for(running.shard_writer, pause=0.01)
    writer.send_signal(signal.SIGSTOP)
    node = _host(slurm, writer)
    slurm.control("cut", node)

    ended = running.wait(240)
    slurm.control("join", node)

    _check(running, ended, tmp_path / "demo", demo_output)


@pytest.mark.fault
@pytest.mark.usefixtures("prepared")
def test_a_shard_whose_job_is_cancelled_is_made_in_another_job(build, slurm, tmp_path, demo_output):
    running = build()
    writer = wait_for(running.shard_writer, pause=0.01)
    writer.send_signal(signal.SIGSTOP)
    for job in slurm.jobs():
        slurm.control("at", "head", "scancel", job)
    ended = running.wait(240)

    _check(running, ended, tmp_path / "demo", demo_output)


@pytest.mark.fault
@pytest.mark.usefixtures("prepared")
def test_a_shard_whose_job_reaches_its_time_limit_is_made_in_another_job(build, slurm, tmp_path, demo_output):
    running = build("--slurm", "--slurm-options", "cores=1,memory=2GB,jobs=1", "--port", "0")
    writer = wait_for(running.shard_writer, pause=0.01)
    writer.send_signal(signal.SIGSTOP)
    # The least that can be asked for is a minute; the limit of a running job may come sooner.
    for job in slurm.jobs():
        slurm.control("at", "head", "scontrol", "update", f"jobid={job}", "endtime=now+1seconds")
    ended = running.wait(300)

    _check(running, ended, tmp_path / "demo", demo_output)
    assert "JobState=TIMEOUT" in (slurm.directory / "log/jobcomp.txt").read_text()


@pytest.mark.fault
@pytest.mark.usefixtures("prepared")
def test_a_full_queue_is_told_and_waited_for(build, slurm, tmp_path, demo_output):
    for node in ("n1", "n2"):
        slurm.control("at", "head", "scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    running = build()
    told = wait_for(lambda: re.search(r"jobs that wait in the queue: (\d+) \((.+?)\)", running.text()), 60)
    for node in ("n1", "n2"):
        slurm.control("at", "head", "scontrol", "update", f"nodename={node}", "state=resume")
    ended = running.wait()

    assert int(told[1]) in {1, 2}
    _check(running, ended, tmp_path / "demo", demo_output)


@pytest.mark.fault
@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, 137)])
def test_a_stopped_build_leaves_no_job(build, slurm, tmp_path, blow, code):
    running = build()
    wait_for(running.shard_writer, pause=0.01)
    for process in _group(running):
        process.send_signal(blow)
    ended = running.wait()

    assert ended.code in {code, -blow}, ended.text
    assert "Traceback" not in ended.text
    assert slurm.wait_until_empty(30) == []
    assert left_after(15, running.processes) == []
    if blow == signal.SIGKILL:
        # The claims of the command itself; the next run sweeps them.
        assert all(name.endswith(".claim.lock") for name in drafts(tmp_path / "demo"))
        remove_dead_temporaries(tmp_path / "demo/.gcn")
    assert drafts(tmp_path / "demo") == []


@pytest.mark.fault
def test_jobs_that_die_at_birth_end_the_build_with_their_log(build, slurm, tmp_path):
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    for node in ("n1", "n2"):
        slurm.control("at", node, "mount", "--bind", str(nothing), str(Path(distributed.__file__).parent))
    ended = build().wait()

    assert ended.code == 30, ended.text
    assert "3 jobs ended before they began to work" in ended.err
    # The last lines of a job's log.
    assert "distributed" in ended.err.partition("ends with")[2]
    assert slurm.wait_until_empty(30) == []


@pytest.mark.fault
def test_a_node_with_another_version_makes_nothing(build, slurm, tmp_path, demo_output):
    other = tmp_path / "version.py"
    source = Path(gcn_luigi.version.__file__)
    other.write_text(source.read_text().replace(gcn_luigi.version.__version__, "0.0.1"))
    slurm.control("at", "n1", "mount", "--bind", str(other), str(source))
    running = build("--slurm", "--slurm-options", "cores=2,memory=2GB,jobs=2", "--port", "0")
    ended = running.wait(240)

    _check(running, ended, tmp_path / "demo", demo_output)

    slurm.control("at", "n2", "mount", "--bind", str(other), str(source))
    min((tmp_path / "demo").rglob("*.h5")).unlink()
    again = build("--slurm", "--slurm-options", "cores=2,memory=2GB,jobs=2", "--port", "0").wait(240)

    assert again.code == 30, again.text
    assert "no node is left: each has other versions" in again.err
    assert re.search(r"n[12]: gcn_luigi 0\.0\.1 instead of", again.err)


def _host(slurm, process):
    """Return the node on which a process runs, by its namespace."""
    for node in ("n1", "n2"):
        first = (slurm.directory / f"{node}.pid").read_text().strip()
        if len({Path(f"/proc/{number}/ns/uts").readlink() for number in (first, process.pid)}) == 1:
            return node
    raise AssertionError(f"{process} runs on no node")


def test_an_array_of_jobs_and_one_that_closes_build_the_demo_without_a_cluster_engine(
    slurm, commands, demo, tmp_path, demo_output
):
    """The jobs of examples/slurm, smaller; they know nothing of each other."""
    (tmp_path / "slurm").mkdir()
    for path in _EXAMPLES.iterdir():
        text = path.read_text().replace("--mem=8G", "--mem=3G").replace("--mem=16G", "--mem=6G")
        text = text.replace("--cpus-per-task=4", "--cpus-per-task=2").replace("--memory 7000", "--memory 3000")
        (tmp_path / "slurm" / path.name).write_text(text.replace("--memory 4000", "--memory 3000"))
    (tmp_path / ".venv").symlink_to(_BIN.parent)
    (tmp_path / "config").mkdir()
    settings = (demo.config / "demo.toml").read_text()
    (tmp_path / "config/demo.toml").write_text(settings.replace("../output/demo-input", str(demo.sources)))

    ended = commands.run(*slurm.on_head("bash", "slurm/submit.sh", demo.region, "2"), cwd=tmp_path)
    assert ended.code == 0, ended.text
    # The first part, the other ones, and the job that closes.
    assert slurm.jobs()
    left = slurm.wait_until_empty(300)

    said = "\n".join(path.read_text() for path in sorted(tmp_path.glob("*.log")))
    assert left == [], said
    assert len(list(tmp_path.glob("gcn-part-*.log"))) == 2
    assert (tmp_path / "output/demo").is_dir(), said
    _check_data(tmp_path / "output/demo", demo_output)


@pytest.mark.parametrize("way", ["a scheduler each", "one scheduler"])
def test_two_runs_from_two_nodes_make_each_file_once_and_both_end_well(
    slurm, commands, tiny, tmp_path, tiny_output, way
):
    where = ()
    if way == "one scheduler":
        options = ("--address", "192.0.2.1", "--port", "8082", "--state-path", tmp_path / "state")
        scheduler = commands.start(*slurm.on_head(_BIN / "luigid", *options), LUIGI_CONFIG_PATH=str(LUIGI_CFG))
        where = ("--scheduler-url", "http://192.0.2.1:8082", "--trust-network")
        probe = "exec 3<>/dev/tcp/192.0.2.1/8082 && echo open"
        wait_for(lambda: "open" in slurm.control("at", "head", "bash", "-c", probe))

    _, *run = gcn_command(tiny, tmp_path)
    running = commands.start(*slurm.on_head("srun", "--nodes", "2", "--label", _BIN / "gcn", *run, *where))
    ended = running.wait(240)
    if where:
        for process in scheduler.processes():
            process.kill()
        scheduler.process.wait()

    _check(running, ended, tmp_path / "tiny", tiny_output / "tiny")
    built = re.findall(r"^(\d): done: (?:(\d+) tasks built|nothing to build)", ended.out, re.MULTILINE)
    root = dataset(tiny.region, tmp_path, tiny.sources, tiny.config)
    assert sorted(node for node, _ in built) == ["0", "1"], ended.text
    assert sum(int(count or 0) for _, count in built) == len([*upstream(root), root]), ended.text


def test_the_nodes_try_the_disk_that_they_share(slurm, commands, tmp_path):
    doctor = (_BIN / "gcn", "doctor", "--shared", tmp_path / "disk", "--on", "2", "--json")

    ended = commands.run(*slurm.on_head("srun", "--nodes", "2", "--label", *doctor))

    assert ended.code == 0, ended.text
    parts = [
        json.loads("".join(line.partition(": ")[2] for line in ended.out.splitlines() if line.startswith(f"{node}: ")))
        for node in (0, 1)
    ]
    for found in parts:
        assert {one["verdict"] for one in found} == {"ok"}, found
        assert "n1-" in found[0]["found"]
        assert "n2-" in found[0]["found"]
    assert sorted(part[1]["found"] for part in parts) == [
        "a lock of another machine is seen",
        "held here; the other machines say whether they see it",
    ]
    assert list((tmp_path / "disk").iterdir()) == []
