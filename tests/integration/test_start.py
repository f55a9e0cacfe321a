"""What a command imports before it can answer, and what the server of workers has imported before a task starts."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gcn_luigi.tasks
from gcn_luigi.luigi_host import worker

# Libraries that make files; asking about them needs none.
_HEAVY = (
    *("deflate", "geopandas", "h5py", "jinja2", "matplotlib", "pandas", "pyarrow", "pyogrio", "pyproj", "scipy"),
    *("shapely", "tornado.web"),
)
_TASKS = Path(gcn_luigi.tasks.__file__).parent


def _python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


@pytest.mark.parametrize("command", ["status", "why"])
def test_asking_about_a_finished_dataset_imports_no_library_that_makes_one(tiny, tiny_output, command):
    code = (
        "import sys; from gcn_luigi.cli import cli; cli(sys.argv[2:], standalone_mode=False); "
        "print(*sorted(set(sys.argv[1].split(',')) & set(sys.modules)))"
    )
    options = ("--config-dir", tiny.config, "--output", tiny_output, "--data-root", tiny.sources)
    lines = _python(code, ",".join(_HEAVY), command, "tiny", *options)

    assert any("current" in line for line in lines[:-1]), lines
    assert lines[-1] == ""


def test_the_server_of_workers_has_imported_whatever_a_task_imports_when_it_runs():
    needed = {name for path in sorted(_TASKS.glob("*.py")) for name in _imported_in_functions(path)}
    assert "gcn_luigi.stages.shards.shard" in needed
    code = (
        "import importlib, sys; before = sys.argv[1].split(','); after = sys.argv[2].split(','); "
        "[importlib.import_module(name) for name in before]; print(*sorted(set(after) - set(sys.modules)))"
    )
    preloaded = ("gcn_luigi.tasks", *worker._IMPORTED_ON_USE)

    assert _python(code, ",".join(preloaded), ",".join(sorted(needed))) == [""]


def _imported_in_functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            found = [node for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
            yield from (node.module for node in found)
