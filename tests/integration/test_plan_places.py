"""What `gcn plan` says of real terrain and of the demo, before anything is built, is what a build then makes."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import gcn_luigi
from tests.integration.builds import CONFIG

pytestmark = pytest.mark.long


def told(region, data_root, output):
    command = [Path(sys.executable).parent / "gcn", "plan", region, "--data-root", data_root, "--output", output]
    return json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True).stdout)


def check(plan, built):
    dataset = gcn_luigi.open_dataset(built)
    chips = dataset.chip_table["split"].value_counts().to_dict()
    rejected = dataset.statistics["chips"]
    shards = sum(path.stat().st_size for path in (built / "shards").glob("*.h5"))
    everything = sum(path.stat().st_size for path in built.rglob("*") if path.is_file())

    assert plan["is_exact"]
    for split, said in plan["splits"].items():
        assert said["chips"] == chips[split]
        judged = {reason: count for reason, count in rejected[split].items() if count and reason != "kept"}
        assert said["rejected"] == judged
    assert plan["shard_bytes"] == pytest.approx(shards, rel=0.15)
    assert plan["other_bytes"] == pytest.approx(everything - shards, rel=0.15)
    assert {task["action"] for task in plan["tasks"]} == {"build"}


def test_columbia(columbia, columbia_output, tmp_path):
    check(told(CONFIG / "columbia.toml", columbia, tmp_path / "out"), columbia_output)
    assert not (tmp_path / "out").exists()


def test_the_demo(demo_output, tmp_path):
    config = Path(str(files("gcn_luigi"))).resolve() / "demo.toml"

    check(told(config, demo_output.parent / "demo-input", tmp_path / "out"), demo_output)
