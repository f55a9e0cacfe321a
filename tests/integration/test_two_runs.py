"""Two runs on one scheduler: each waits for what the other makes, and counts what it made itself."""

import re
import signal

import pytest

import gcn_luigi
from gcn_luigi.read.validate import validate
from tests.integration.commands import ask, gcn_command, luigid, make_tiny, wait_for

pytestmark = pytest.mark.luigid


def _counts(ended):
    """Return how many tasks a run says that it built, and that another one did."""
    if "nothing to build" in ended.out:
        return 0, 0
    own, other = re.search(
        r"done: (\d+) tasks built(?:, (\d+) more by another run)?$", ended.out, re.MULTILINE
    ).groups()
    return int(own), int(other or 0)


def _tasks(port):
    return [node for node in ask(port, "graph").values() if node["name"].startswith("gcn.")]


def _same(made, wanted):
    """Check that two outputs hold the same data; they lie at other depths, so paths in virtual rasters differ."""
    assert list(validate(made / "tiny")) == []
    assert gcn_luigi.open_dataset(made / "tiny").data_digest == gcn_luigi.open_dataset(wanted / "tiny").data_digest


@pytest.mark.long
def test_both_end_well_and_what_they_say_they_built_adds_up(commands, tiny, tiny_output, tmp_path):
    with luigid(commands) as port:
        for number in range(2):
            output = tmp_path / f"out{number}"
            running = [commands.start(*gcn_command(tiny, output), "--port", str(port)) for _ in range(2)]
            ended = [one.wait() for one in running]
            n_tasks = len(_tasks(port)) // (number + 1)

            for one in ended:
                assert one.code == 0, one.text
                assert "not finished" not in one.text
                assert f"dataset: {output}" in one.out
            _same(output, tiny_output)
            counts = [_counts(one) for one in ended]
            # Each task is made once, by one of the two; what the other made is never counted as one's own.
            assert sum(own for own, _ in counts) == n_tasks, counts
            assert all(own + other <= n_tasks for own, other in counts), counts


@pytest.mark.long
def test_one_that_starts_later_waits_for_the_other_and_takes_over_where_it_dies(commands, tiny, tiny_output, tmp_path):
    with luigid(commands) as port:
        first = commands.start(*gcn_command(tiny, tmp_path), "--port", str(port), "--workers", "1")
        wait_for(first.writer, pause=0.01)
        for process in first.workers():
            process.send_signal(signal.SIGSTOP)
        second = commands.start(*gcn_command(tiny, tmp_path), "--port", str(port))
        # All that can be done without the stopped task is done; then it waits.
        wait_for(lambda: len([n for n in _tasks(port) if n["status"] == "RUNNING"]) == 1 and not second.workers())
        assert second.process.poll() is None
        for process in first.processes():
            process.kill()
        first.process.wait()
        ended = second.wait(240)

    assert ended.code == 0, ended.text
    _same(tmp_path, tiny_output)


@pytest.mark.long
def test_what_fails_in_the_other_run_is_told_in_this_one(commands, tmp_path):
    damaged = make_tiny(tmp_path)
    votes = next((damaged.sources / "stem").glob("*.tif"))
    votes.write_bytes(votes.read_bytes()[:1000])
    with luigid(commands) as port:
        running = [commands.start(*gcn_command(damaged, tmp_path / "out"), "--port", str(port)) for _ in range(2)]
        ended = [one.wait() for one in running]

    for one in ended:
        assert one.code == 30, one.text
        assert "failed: gcn.ClassLabel()" in one.err
        assert votes.name in one.err


@pytest.mark.long
def test_a_run_whose_scheduler_ends_with_the_run_that_started_it_goes_on(commands, tiny, tiny_output, tmp_path):
    other = make_tiny(tmp_path, "other")
    first = commands.start(*gcn_command(other, tmp_path / "first"), "--port", "0")
    found = wait_for(lambda: re.search(r"^graph, .*127\.0\.0\.1:(\d+)/", first.text(), re.MULTILINE))
    second = commands.start(*gcn_command(tiny, tmp_path / "second"), "--port", found[1])
    wait_for(lambda: "graph, while this runs" in second.text())
    wait_for(second.workers)
    first.interrupt()
    ended = second.wait()
    first.wait()

    assert ended.code == 0, ended.text
    assert "the scheduler ended during the run" in ended.err
    assert "Traceback" not in ended.text
    _same(tmp_path / "second", tiny_output)
