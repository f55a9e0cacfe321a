"""The `gcn` command, without processes."""

import io
import json
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import click
import geopandas as gpd
import pytest
from click.testing import CliRunner
from rich.console import Console

import gcn_luigi
from gcn_luigi.cli import cli
from gcn_luigi.cli.run import print_result
from gcn_luigi.cli.terminal import moment_view, progress_bar, watching
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import manifest_text
from gcn_luigi.operate.build import BuildResult
from gcn_luigi.operate.progress import Progress, Running
from gcn_luigi.version import __version__
from tests.integration.commands import make_tiny

LABEL = Running("gcn.ClassLabel()", 0.75, "3 of 4 strips")


@pytest.fixture
def finished(small_output):
    return small_output


@pytest.fixture
def copied(finished, tmp_path):
    """Return a copy that a test may damage."""
    return shutil.copytree(finished, tmp_path / "tiny")


@pytest.mark.parametrize("name", sorted(cli.commands))
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_of_every_command_has_an_example(name, option):
    result = CliRunner().invoke(cli, [name, option])

    assert result.exit_code == 0
    assert f"Example:\n    gcn {name}" in result.output


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_has_help_and_every_command_an_option_to_debug(name):
    options = [param for param in cli.commands[name].params if isinstance(param, click.Option)]

    assert all(option.help for option in options), [option.name for option in options if not option.help]
    assert [option.name for option in options if "--debug" in option.opts] == ["debug"]


def test_the_help_names_every_command_and_the_version_is_told():
    helped = CliRunner().invoke(cli, ["--help"])

    assert {"run", "validate", "demo"} <= set(cli.commands)
    assert all(f"\n  {name} " in helped.output for name in cli.commands)
    assert all(command.short_help.endswith(".") for command in cli.commands.values())
    assert CliRunner().invoke(cli, ["--version"]).output == f"gcn, version {__version__}\n"


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_what_needs_no_library_imports_none(argument):
    code = (
        "import sys; from gcn_luigi.cli import cli; cli([sys.argv[1]], standalone_mode=False); "
        "print(*sorted({'click', 'numpy', 'luigi', 'rasterio', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)

    assert ended.stdout.splitlines()[-1] == "click"


def test_an_unknown_command_is_refused():
    assert CliRunner().invoke(cli, ["build"]).exit_code == 2
    assert "build" not in cli.commands


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run"], "REGION"),
        (["run", "x", "--workers", "0"], "--workers"),
        (["run", "x", "--port", "70000"], "--port"),
        (["run", "x", "--port", "-1"], "--port"),
        (["validate"], "DIRECTORY"),
        (["rnu"], "rnu"),
    ],
)
def test_wrong_use_is_refused_by_name(arguments, named):
    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 2
    assert named in result.output
    assert "Traceback" not in result.output


def test_a_deliberate_failure_is_told_in_three_lines(gcn, tmp_path):
    code, out, err = gcn("validate", tmp_path / "nothing")

    assert (code, out) == (1, "")
    assert err.startswith("error: no finished dataset here\n  where: ")
    assert str(tmp_path / "nothing/dataset.json") in err
    assert len(err.splitlines()) == 3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debugging_adds_the_traceback_wherever_it_stands(gcn, tmp_path, place):
    words = ["validate", tmp_path]
    words.insert(place, "--debug")

    code, _, err = gcn(*words)

    assert code == 1
    assert err.startswith("Traceback")
    assert "ShardError" in err


def test_a_fault_of_ours_is_told_in_three_lines_too(gcn, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("no\nlines")

    monkeypatch.setattr("gcn_luigi.read.validate.validate", fail)

    code, _, err = gcn("validate", tmp_path)

    assert code == 1
    assert err.startswith("error: ZeroDivisionError: no lines\n  where: test_cli.py, line ")
    assert len(err.splitlines()) == 3
    assert gcn("validate", tmp_path, "--debug")[2].startswith("Traceback")


def test_validate_as_json_says_all_and_nothing_else(gcn, finished, copied):
    (copied / "extra.txt").write_text("mine")
    code, out, err = gcn("validate", finished, copied, "--json")

    first, second = json.loads(out)
    assert (code, err) == (0, "")
    assert first["sound"]
    assert second["sound"]
    assert first["digest"] == second["digest"] == json.loads((finished / "dataset.json").read_text())["digest"]
    assert set(first["chips"]) == {"train", "dev"}
    assert (first["differences"], second["differences"]) == (None, [])
    assert any("extra.txt" in note for note in second["notes"])


def test_validate_as_json_lists_the_problems_of_each(gcn, finished, copied):
    (copied / "label.tif").unlink()

    code, out, err = gcn("validate", copied, finished, "--json")

    damaged, whole = json.loads(out)
    assert (code, err) == (1, "")
    assert damaged["problems"] == ["label.tif: missing"]
    assert (damaged["sound"], whole["sound"], whole["differences"]) == (False, True, None)


def test_a_region_without_sources_is_refused_before_luigi_starts(gcn, tmp_path):
    tiny = make_tiny(tmp_path)

    code, _, err = gcn("run", tiny.region, "--config-dir", tiny.config, "--data-root", tmp_path / "no", "-o", tmp_path)

    assert code == 1
    assert "source(s) do not exist: data_root = .; tiles.optical = optical;" in err
    assert str(tmp_path / "no") in err
    assert not (tmp_path / "tiny").exists()


def test_an_unknown_region_is_refused_with_the_nearest_name(gcn, tmp_path):
    tiny = make_tiny(tmp_path)

    code, _, err = gcn("run", "tinny", "--config-dir", tiny.config)

    assert code == 1
    assert "did you mean tiny?" in err


def test_a_sound_dataset_is_said_to_be_sound(gcn, finished):
    code, out, err = gcn("validate", finished)

    manifest = json.loads((finished / "dataset.json").read_text())
    assert (code, err) == (0, "")
    assert out.startswith(f"sound: {len(manifest['files'])} files, ")
    assert "train chips" in out
    sound, data = out.splitlines()
    assert sound.endswith(f" dev chips, digest {manifest['digest']}")
    assert data.endswith(f"digest {manifest['data_digest']}")


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("shards/train-00000-of-00002.h5", _flip, "its bytes changed"),
        ("label.tif", _flip, "its bytes changed"),
        ("shards/dev-00000-of-00001.h5", lambda path: path.unlink(), "missing"),
        ("statistics.json", lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
    ],
)
def test_a_damaged_file_is_named(gcn, copied, name, damage, said):
    damage(copied / name)

    code, out, err = gcn("validate", copied)

    assert (code, out) == (1, "")
    first, last = err.splitlines()
    assert first.startswith(f"{name}: ")
    assert said in first
    assert last == "1 problem(s). To rebuild only the damaged files: gcn run --deep REGION"


def test_every_damaged_file_is_named(gcn, copied):
    _flip(copied / "label.tif")
    (copied / "index.gpkg").unlink()

    _, _, err = gcn("validate", copied)

    assert "label.tif: " in err
    assert "index.gpkg: missing" in err
    assert "2 problem(s)." in err


def _drop_a_chip(index):
    return index.drop(index.index[0])


def _move_a_chip(index):
    return index.assign(row=index["row"] + (index.index == index.index[0]))


def _double_a_chip(index):
    return index.assign(chip_id=index["chip_id"].where(index.index != index.index[1], index["chip_id"].iloc[0]))


@pytest.mark.parametrize("edit", [_drop_a_chip, _move_a_chip, _double_a_chip])
def test_an_edited_index_is_found_even_when_the_seal_was_edited_with_it(gcn, copied, edit):
    path = copied / "index.parquet"
    edit(gpd.read_parquet(path)).to_parquet(path)
    code, _, err = gcn("validate", copied)
    assert code == 1
    assert err.startswith("index.parquet: ")

    manifest = json.loads((copied / "dataset.json").read_text())
    entry = next(entry for entry in manifest["files"] if entry["path"] == "index.parquet")
    entry.update(size=path.stat().st_size, sha256=digest(path))
    (copied / "dataset.json").write_text(manifest_text(manifest))
    code, _, err = gcn("validate", copied)

    assert code == 1
    assert "problem(s)" in err
    assert ".h5: " in err or "index.parquet: " in err


def test_a_seal_that_is_no_json_is_refused(gcn, copied):
    (copied / "dataset.json").write_text("{")

    code, _, err = gcn("validate", copied)

    assert code == 1
    assert "dataset.json" in err


def test_a_seal_that_points_out_of_the_dataset_is_refused(gcn, copied):
    manifest = json.loads((copied / "dataset.json").read_text())
    manifest["files"][0]["path"] = "../elsewhere.tif"
    (copied / "dataset.json").write_text(manifest_text(manifest))

    code, _, err = gcn("validate", copied)

    assert code == 1
    assert "../elsewhere.tif: is outside the dataset" in err


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (BuildResult(0, ("a", "b")), "done: 2 tasks built"),
        (BuildResult(0, ()), "done: nothing to build, everything is up to date"),
        (BuildResult(0, ("a",), built_elsewhere=("b", "c")), "done: 1 tasks built, 2 more by another run"),
    ],
)
def test_the_end_of_a_build_is_told(result, said, tmp_path, capsys):
    print_result(result, tmp_path)

    assert capsys.readouterr().out == f"{said}\ndataset: {tmp_path}\nreport:  {tmp_path / 'report.html'}\n"


@pytest.mark.parametrize(
    ("failures", "advice"),
    [({"gcn.ClassLabel()": "no votes\n  where: x\n  fix:   y"}, "Fix the errors"), ({}, "another run")],
)
def test_an_unfinished_build_is_told_with_luigis_code(failures, advice, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        print_result(BuildResult(30, ("a",), failures), tmp_path)

    captured = capsys.readouterr()
    assert ended.value.code == 30
    assert captured.out == ""
    assert "not finished: 1 tasks built." in captured.err
    assert advice in captured.err
    assert all(f"failed: {name}\n{error}" in captured.err for name, error in failures.items())


def test_work_that_takes_long_says_so_now_and_then_where_there_is_no_terminal(capsys, monkeypatch):
    now = 100.0
    monkeypatch.setattr("gcn_luigi.cli.terminal.time.monotonic", lambda: now)
    with progress_bar() as say:
        for now in (101.0, 110.5, 111.0, 121.0):
            say(f"counting at {now:g}", 0.5)

    assert capsys.readouterr().err.splitlines() == ["counting at 110.5 (50%)", "counting at 121 (50%)"]


def test_progress_is_told_in_plain_lines_where_there_is_no_terminal(capsys):
    with watching() as watch:
        watch(Progress({"DONE": 1, "RUNNING": 1, "PENDING": 2}, (LABEL,)))
        watch(Progress({"DONE": 1, "RUNNING": 1, "PENDING": 2}, (LABEL,)))
        watch(Progress({"DONE": 2, "PENDING": 2}, (LABEL,), seconds_left=75.0))
        watch(Progress({"DONE": 4}, (), seconds_left=0.0))

    assert capsys.readouterr().err.splitlines() == [
        "1 of 4 tasks; running: gcn.ClassLabel()",
        "2 of 4 tasks; running: gcn.ClassLabel(); about 1:15 min left",
        "4 of 4 tasks; running: none",
    ]


def test_a_log_hears_what_a_long_task_says(capsys, monkeypatch):
    monkeypatch.setattr("gcn_luigi.cli.terminal._QUIET_S", 0.0)
    with watching() as watch:
        for _ in range(2):
            watch(Progress({"DONE": 1, "RUNNING": 1}, (LABEL,)))

    assert capsys.readouterr().err.splitlines() == [
        "1 of 2 tasks; running: gcn.ClassLabel()",
        "1 of 2 tasks; running: gcn.ClassLabel() (3 of 4 strips)",
    ]


def test_a_terminal_shows_the_build_and_each_task_that_runs():
    console = Console(width=100, force_terminal=True, record=True, file=io.StringIO())

    console.print(moment_view(Progress({"DONE": 12, "PENDING": 25}, (LABEL,), seconds_left=130.0), elapsed=61.0))

    shown = console.export_text()
    assert "12 of 37 tasks, 1:01 min, about 2:10 min left" in shown
    assert "gcn.ClassLabel() 3 of 4 strips" in shown


def test_a_live_view_leaves_nothing_behind():
    console = Console(width=100, force_terminal=True, file=io.StringIO())

    with watching(console) as watch:
        watch(Progress({"DONE": 1, "RUNNING": 1}, (LABEL,)))

    assert "1 of 2 tasks" in console.file.getvalue()


@pytest.mark.parametrize("name", ["luigi.cfg", "demo.toml"])
def test_what_the_command_opens_is_part_of_the_installed_package(name):
    root = Path(__file__).resolve().parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    packed = project["tool"]["setuptools"]["package-data"]["gcn_luigi"]

    assert any(fnmatch(name, pattern) for pattern in packed)
    assert (root / "gcn_luigi" / name).is_file()


class TestConvert:
    def test_a_dataset_is_stored_another_way_and_is_sound(self, gcn, finished, tmp_path):
        code, out, _ = gcn("convert", finished, tmp_path / "made", "--layout", "windows", "--codec", "none")

        assert code == 0
        assert f"dataset: {tmp_path / 'made'}" in out
        assert "shards of " in out
        assert gcn("validate", tmp_path / "made")[0] == 0

    def test_what_cannot_be_converted_is_told_in_three_lines(self, gcn, tmp_path):
        code, _, err = gcn("convert", tmp_path / "nothing", tmp_path / "made")

        assert code == 1
        assert err.startswith("error: no finished dataset here\n  where: ")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("option", [("--layout", "tiles"), ("--codec", "lzma")])
    def test_another_layout_or_codec_is_refused_with_those_there_are(self, gcn, finished, tmp_path, option):
        code, _, err = gcn("convert", finished, tmp_path / "made", *option)

        assert code == 2
        assert "windows" in err or "bitshuffle-lz4" in err


class TestPlan:
    def test_without_a_dataset_it_says_what_there_will_be_and_leaves_nothing(self, gcn, tiny, tmp_path):
        code, out, err = gcn(
            "plan", tiny.config / "tiny.toml", "--data-root", tiny.sources, "--output", tmp_path / "out"
        )

        assert code == 0
        # A slow machine also says how far it is.
        assert [line for line in err.splitlines() if not line.endswith("%)")] == []
        assert "\ncells: " in out
        assert "0 to keep" not in out
        assert " to build" in out
        assert "train: " in out
        assert "advice: layout windows" in out
        assert "MB in 3 files (chips, deflate)" in out
        assert "time: about " in out
        assert not (tmp_path / "out").exists()

    def test_of_a_finished_dataset_nothing_is_to_be_done_and_nothing_is_touched(self, gcn, finished):
        root = finished.parents[1]
        where = ("--config-dir", root / "config", "--data-root", root / "input", "--output", root / "out")
        before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}

        code, out, _ = gcn("plan", "tiny", *where, "--json")

        told = json.loads(out)
        assert code == 0
        assert {task["action"] for task in told["tasks"]} == {"keep"}
        assert told["seconds"] == 0
        assert told["is_exact"]
        assert told["chips"] == len(gcn_luigi.open_dataset(finished).chip_table)
        assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before

    def test_the_quick_way_reads_the_label_and_says_at_most(self, gcn, tiny, tmp_path):
        where = ("--data-root", tiny.sources, "--output", tmp_path / "out")

        code, out, _ = gcn("plan", tiny.config / "tiny.toml", *where, "--quick")

        assert code == 0
        assert ": at most " in out
        assert "time:" not in out
        assert not (tmp_path / "out").exists()

    def test_sources_that_are_not_there_are_named(self, gcn, tiny, tmp_path):
        code, _, err = gcn("plan", tiny.config / "tiny.toml", "--data-root", tmp_path / "nowhere")

        assert code == 1
        assert "do not exist" in err
