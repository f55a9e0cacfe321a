"""Completion of the command line: what is proposed, and a real shell that takes it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import gcn_luigi
from gcn_luigi.cli import cli

BIN = Path(sys.executable).parent


def _proposed(words, incomplete):
    complete = ShellComplete(cli, {}, "gcn", "_GCN_COMPLETE")
    return [(item.value, item.type) for item in complete.get_completions(words, incomplete)]


@pytest.fixture
def place(tmp_path, monkeypatch, small_output):
    """Give the command where two regions are configured and one dataset is finished."""
    (tmp_path / "config").mkdir()
    for name in ("northern", "southern"):
        (tmp_path / f"config/{name}.toml").write_text("")
    (tmp_path / "config/notes.txt").write_text("")
    (tmp_path / "output").mkdir()
    (tmp_path / "output/tiny").symlink_to(small_output)
    (tmp_path / "output/unfinished").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["run", "plan", "status", "clean"])
def test_regions_are_those_of_the_config_directory(place, command):
    assert place.is_dir()
    assert _proposed([command], "") == [("northern", "plain"), ("southern", "plain")]
    assert _proposed([command], "so") == [("southern", "plain")]


def test_another_config_directory_is_asked_and_a_path_is_left_to_the_shell(place):
    (place / "config").rename(place / "regions")

    assert _proposed(["run", "--config-dir", "regions"], "n") == [("northern", "plain")]
    assert _proposed(["run"], "./x") == [("./x", "file")]


@pytest.mark.parametrize("command", ["validate", "export", "convert", "check-split"])
def test_datasets_are_directories_with_a_seal(place, command):
    assert place.is_dir()
    assert _proposed([command], "") == [("output/tiny", "plain")]
    assert _proposed([command], "out") == [("output/tiny", "plain")]
    assert _proposed([command], "output/t") == [("output/tiny", "plain")]
    assert _proposed([command], f"{place}/output/") == [(f"{place}/output/tiny", "plain")]
    assert _proposed([command], "no") == [("no", "dir")]


def test_chips_partitions_and_splits_are_those_of_the_dataset_on_the_line(place, small_output):
    index = gcn_luigi.open_dataset(small_output).chip_table
    assert place.is_dir()

    chips = _proposed(["export", "output/tiny", "out", "--chip"], "tiny_dev")
    partitions = _proposed(["export", "output/tiny", "out", "--partition"], "zzz,r00")

    assert [value for value, _ in chips] == sorted(index["chip_id"][index["split"] == "dev"])
    assert [value for value, _ in partitions] == [f"zzz,{name}" for name in sorted(index["partition"].unique())]
    assert _proposed(["export", "output/tiny", "out", "--split"], "") == [
        ("train", "plain"),
        ("dev", "plain"),
        ("test", "plain"),
    ]
    assert _proposed(["export", "output/unfinished", "out", "--chip"], "") == []


def test_commands_and_options_are_proposed(place):
    assert place.is_dir()
    assert ("check-split", "plain") in _proposed([], "c")
    assert ("--overwrite", "plain") in _proposed(["export"], "--o")


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o nosort"), ("zsh", "#compdef gcn"), ("fish", "--command gcn")]
)
def test_a_script_is_printed_for_each_shell(shell, mark):
    result = CliRunner().invoke(cli, ["completion", shell])

    assert result.exit_code == 0
    assert mark in result.output
    assert "_GCN_COMPLETE" in result.output


def test_another_shell_is_refused_by_name():
    result = CliRunner().invoke(cli, ["completion", "csh"])

    assert result.exit_code == 2
    assert "bash" in result.output


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gcn run so", {"southern"}),
        ("gcn validate output/", {"output/tiny"}),
        ("gcn check-", {"check-split"}),
        ("gcn export output/tiny out --split d", {"dev"}),
    ],
)
def test_a_real_bash_completes_the_line(place, line, expected):
    words = line.split(" ")
    script = f"""
source <(gcn completion bash)
COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}
complete -p gcn
_gcn_completion gcn "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    bash = shutil.which("bash")
    assert bash is not None

    ended = subprocess.run(
        [bash, "--norc", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=True
    )

    registered, *replies = ended.stdout.splitlines()
    assert "_gcn_completion gcn" in registered
    assert set(replies) == expected
    assert ended.stderr == ""
