"""What a machine lacks for the two commands is said before anything is installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "prerequisites.py"


@pytest.fixture
def machine(monkeypatch):
    """Return the script as a module, on a machine that has everything."""
    spec = importlib.util.spec_from_file_location("prerequisites", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.delenv("CC", raising=False)
    assert module.lacking() == []
    return module


def test_a_machine_without_a_compiler_is_told_how_to_get_one(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    (sentence,) = machine.lacking()

    assert sentence.startswith("a C compiler")
    assert "apt install gcc" in sentence


def test_a_compiler_that_is_named_is_the_one_looked_for(machine, monkeypatch):
    monkeypatch.setenv("CC", "no-such-cc -pipe")

    (sentence,) = machine.lacking()

    assert "no-such-cc." in sentence


def test_an_old_python_a_missing_venv_and_missing_headers_are_all_told(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    monkeypatch.setattr(machine.sysconfig, "get_path", lambda _: str(tmp_path))

    python, venv, headers = machine.lacking()

    assert "3.10.4" in python
    assert "make PYTHON=" in python
    assert "python3-venv" in venv
    assert "python3-dev" in headers


def test_make_stops_before_it_installs_anything_where_the_compiler_is_missing(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("Makefile", "constraints.txt", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / ".ci", tree / ".ci")
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make")

    ended = subprocess.run(
        [make, "env", f"PYTHON={sys.executable}", "CC=no-such-cc"],
        cwd=tree,
        env={name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode != 0
    assert "missing: a C compiler, no-such-cc" in ended.stderr
    assert not (tree / ".venv").exists()
