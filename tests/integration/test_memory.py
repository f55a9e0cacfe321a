"""Memory under a real `gcn run`: too little is told, enough changes nothing, and an estimate holds."""

import resource
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gcn_luigi.config import load_region
from gcn_luigi.tasks.shards import shard_bytes
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import drafts, gcn_command, make_tiny, wait_for

# Builds one shard in a process of its own and says by how much it grew, in bytes.
_MEASURE = """
import sys
from pathlib import Path
import psutil
import gcn_luigi.tasks
from gcn_luigi.config import load_region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard
config, output, out, threads = sys.argv[1:]
region = load_region(Path(config))
before = psutil.Process().memory_info().rss
request = ShardRequest(region, DatasetPaths(Path(output)), "train", 0, 1, int(threads))
build_shard(request, Path(out), lambda *_: None)
# The children's count would hold those of the fork server.
held = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(held.split()[1]) * 1024 - before)
"""


@pytest.mark.fault
@pytest.mark.long
def test_too_little_memory_is_told_with_what_to_lower_and_leaves_nothing_half_made(commands, tiny, tmp_path):
    ended = commands.gcn_run(tiny, tmp_path, "--local-scheduler", "--memory", "240")

    assert ended.code == 30
    assert "240 MB" in ended.text
    assert "lower `gcn run --workers`" in ended.text
    assert "raise `gcn run --memory` ([gcn] memory_mb, now 240) to " in ended.text
    assert "Traceback" not in ended.text
    assert drafts(tmp_path) == []


@pytest.mark.nightly
@pytest.mark.fault
def test_a_shard_that_does_not_fit_names_threads_and_after_that_enough_gives_the_same_bytes(
    commands, tiny, tiny_output, tmp_path
):
    cfg = tmp_path / "threads.cfg"
    cfg.write_text((Path(__file__).resolve().parents[2] / "luigi.cfg").read_text() + "\n[gcn]\nthreads = 300\n")
    command = (*gcn_command(tiny, tmp_path), "--local-scheduler")

    ended = commands.run(*command, "--memory", "370", LUIGI_CONFIG_PATH=str(cfg))
    left = [*tmp_path.rglob("*.h5"), *drafts(tmp_path)]
    enough = commands.run(*command, "--memory", "1500")

    assert ended.code == 30
    assert "gcn.ChipShard(train" in ended.text
    assert "MB of memory, but may have only 370 MB" in ended.text
    assert "lower threads ([gcn] in luigi.cfg, now 300) to " in ended.text
    assert left == []
    assert enough.code == 0, enough.text
    shards = sorted((tiny_output / "tiny").rglob("*.h5"))
    assert shards
    for shard in shards:
        made = tmp_path / "tiny" / shard.relative_to(tiny_output / "tiny")
        assert made.read_bytes() == shard.read_bytes()


@pytest.mark.fault
def test_a_worker_that_is_killed_is_explained(commands, tiny, tmp_path):
    running = commands.start(*gcn_command(tiny, tmp_path), "--local-scheduler")
    wait_for(running.writer).send_signal(signal.SIGKILL)
    ended = running.wait()

    assert ended.code == 30
    assert "exit code -9: it was killed from outside, most often by the kernel because memory ran out" in ended.text
    assert "lower `gcn run --workers`" in ended.text


def test_a_build_in_the_programs_own_process_keeps_its_limits(tiny, tmp_path):
    kinds = (resource.RLIMIT_DATA, resource.RLIMIT_AS, resource.RLIMIT_STACK, resource.RLIMIT_RSS)
    before = [resource.getrlimit(kind) for kind in kinds]
    inside = []
    inventory = next(iter(dataset(tiny.region, tmp_path, tiny.sources, tiny.config).deps()))
    while inventory.deps():
        inventory = next(iter(inventory.deps()))
    make = inventory.make
    inventory.make = lambda: (inside.append([resource.getrlimit(kind) for kind in kinds]), make())
    inventory.run()

    assert inside == [before]
    assert [resource.getrlimit(kind) for kind in kinds] == before


@pytest.fixture(scope="module")
def two_layouts(tmp_path_factory):
    """Return the configurations of two regions with larger partitions, one a layout, built but for their shards."""
    root = tmp_path_factory.mktemp("large")
    made = {}
    for layout in ("chips", "windows"):
        place = root / layout
        one = ("train = 2", "train = 1"), ("[shards]", f'[shards]\nlayout = "{layout}"')
        tiny = make_tiny(place, "tiny", *one)
        build_inline(dataset("tiny", place / "output", tiny.sources, tiny.config))
        made[layout] = tiny.config / "tiny.toml", place / "output/tiny"
    return made


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("layout", ["chips", "windows"])
def test_the_estimate_for_a_shard_is_never_less_than_what_it_takes_nor_far_above(
    two_layouts, tmp_path, layout, threads
):
    config, output = two_layouts[layout]
    command = [sys.executable, "-c", _MEASURE, config, output, tmp_path / "shard.h5", str(threads)]
    measured = int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    settings = load_region(config).settings
    assert tomllib.loads(config.read_text())["shards"]["layout"] == layout

    assert measured <= shard_bytes(settings, threads) <= 4 * measured
