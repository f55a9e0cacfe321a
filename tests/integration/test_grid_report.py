"""`gcn grids`: builds what its page needs and no more, leaves the dataset alone, and is told of as its own task."""

import json
import shutil

import pytest
from click.testing import CliRunner

from gcn_luigi.cli import cli
from gcn_luigi.read.validate import unlisted, validate
from gcn_luigi.tasks import Dataset, GridReport
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import Tiny, state_of


@pytest.fixture(scope="module")
def world(tiny_root, tmp_path_factory):
    """Return a copy of the tiny region, and the directory that also holds its finished dataset."""
    root = shutil.copytree(tiny_root, tmp_path_factory.mktemp("grid report") / "tiny")
    return Tiny(root / "input", root / "config"), root


def grids(tiny, output, *options):
    where = ("--config-dir", tiny.config, "--data-root", tiny.sources, "--output", output)
    return CliRunner().invoke(cli, [*map(str, ("grids", tiny.region, *where, *options))])


def status(tiny, output):
    where = ("--config-dir", tiny.config, "--data-root", tiny.sources, "--output", output)
    result = CliRunner().invoke(cli, [*map(str, ("status", tiny.region, *where, "--json"))])
    return {one["name"]: one["state"] for one in json.loads(result.stdout)}


def test_it_builds_no_shard_and_says_where_the_page_is(world, tmp_path):
    tiny, _ = world

    result = grids(tiny, tmp_path)

    assert result.exit_code == 0, result.output
    page = tmp_path / "tiny" / "grids.html"
    assert result.stdout.splitlines()[-1] == str(page.resolve())
    assert "Comparison of grid sizes" in page.read_text(encoding="utf-8")
    assert not (tmp_path / "tiny" / "shards").exists()
    assert not (tmp_path / "tiny" / "dataset.json").exists()


def test_a_finished_dataset_stays_as_it_is_and_a_second_call_builds_nothing(world):
    tiny, root = world
    # Beside the first one: mosaics name their sources by the way to them.
    output = root / "copied"
    shutil.copytree(root / "out", output)
    before, names = state_of(output / "tiny"), set(status(tiny, output))

    assert grids(tiny, output, "--workers", 1).exit_code == 0

    after = state_of(output / "tiny")
    assert {path: said for path, said in after.items() if path in before} == before
    assert list(validate(output / "tiny", deep=True)) == []
    assert list(unlisted(output / "tiny")) == []
    assert set(status(tiny, output)) - names == {"gcn.GridReport()"}
    assert set(status(tiny, output).values()) == {"current"}
    assert grids(tiny, output).exit_code == 0
    assert state_of(output / "tiny") == after
    assert build_inline(dataset(tiny.region, output, tiny.sources, tiny.config)) == []


def test_other_chips_make_it_stale(world, tmp_path):
    tiny, root = world
    output = root / "changed"
    shutil.copytree(root / "out", output)
    assert grids(tiny, output).exit_code == 0
    config = tmp_path / "config"
    config.mkdir()
    text = (tiny.config / "tiny.toml").read_text(encoding="utf-8")
    assert text.count("step = 16") == 1
    (config / "tiny.toml").write_text(text.replace("step = 16", "step = 8"), encoding="utf-8")

    ran = build_inline(dataset(tiny.region, output, tiny.sources, config).clone(GridReport))

    assert ran == ["gcn.GridReport()"]
    assert "every 8 px" in (output / "tiny" / "grids.html").read_text(encoding="utf-8")


def test_a_region_that_cannot_be_built_fails_with_what_is_wrong(world, tmp_path):
    tiny, _ = world
    sources = tmp_path / "input"
    shutil.copytree(tiny.sources, sources)
    for path in sources.rglob("*outlines*"):
        path.write_bytes(b"no outlines")

    where = ("--config-dir", tiny.config, "--data-root", sources, "--output", tmp_path / "out")
    result = CliRunner().invoke(cli, [*map(str, ("grids", tiny.region, *where))])

    assert result.exit_code != 0
    assert "failed: gcn." in result.stderr
    assert "not finished" in result.stderr
    assert not (tmp_path / "out" / "tiny" / "grids.html").exists()


def test_it_is_no_part_of_the_dataset(world, tmp_path):
    tiny, _ = world
    root = dataset(tiny.region, tmp_path, tiny.sources, tiny.config)

    assert isinstance(root, Dataset)
    assert not [task for task in upstream(root) if isinstance(task, GridReport)]
