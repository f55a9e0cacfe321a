"""What the package's own code may not do: start a shell, load a pickle, or run text as code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "gcn_luigi").rglob("*.py"))
# Modules that run code from data, or through a shell.
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "joblib",
    "yaml",
    "pty",
    "commands",
}
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.execl",
    "os.spawnl", "os.spawnv", "os.posix_spawn", "subprocess.getoutput", "subprocess.getstatusoutput", "torch.load",
    "pd.read_pickle", "pandas.read_pickle", "asyncio.create_subprocess_shell", "runpy.run_path", "runpy.run_module",
}  # fmt: skip
MAY_START_PROCESSES = {"gcn_luigi/engine/slurm.py", "gcn_luigi/io/objects/forked.py", "gcn_luigi/operate/luigid.py"}


def _dotted(node: ast.expr) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def offences(text: str, place: str) -> Iterator[str]:
    """Yield what a source may not do."""
    for node in ast.walk(ast.parse(text)):
        at = f"{place}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            modules = {name.split(".")[0] for name in named}
            yield from (f"{at} imports {name}" for name in sorted(modules & FORBIDDEN_MODULES))
            if "subprocess" in modules and place not in MAY_START_PROCESSES:
                yield f"{at} imports subprocess"
            if isinstance(node, ast.ImportFrom):
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                yield from (f"{at} imports {name}" for name in sorted(full & FORBIDDEN_CALLS))
        if isinstance(node, ast.Call):
            name = _dotted(node.func)
            if name in FORBIDDEN_CALLS:
                yield f"{at} calls {name}"
            for keyword in node.keywords:
                is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in {"shell", "allow_pickle"} and not is_false:
                    yield f"{at} sets {keyword.arg}"
            if name.startswith("subprocess.") and not (node.args and isinstance(node.args[0], ast.List)):
                yield f"{at} starts a process by something else than a list"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_starts_a_shell_loads_a_pickle_or_runs_text(path):
    assert list(offences(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())) == []


def changeable(text: str) -> list[str]:
    """Return the dataclasses of a source that are not frozen."""
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        and any(
            "dataclass" in ast.unparse(each) and "frozen=True" not in ast.unparse(each) for each in node.decorator_list
        )
    ]


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if "prepare" in path.parts],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_results_of_the_science_do_not_change_once_they_are_made(path):
    assert changeable(path.read_text(encoding="utf-8")) == []


def test_a_dataclass_that_can_change_would_be_found():
    decorators = ("@dataclass", "@dataclasses.dataclass(slots=True)", "@dataclass(frozen=True, slots=True)", "@final")
    text = "\n".join(f"{each}\nclass {name}: pass" for each, name in zip(decorators, "ABCD", strict=True))
    assert changeable(text) == ["A", "B"]


def test_processes_are_started_where_it_is_allowed():
    """The list of exceptions holds nothing that is no exception any more."""
    assert {
        path.relative_to(ROOT).as_posix() for path in SOURCES if "import subprocess" in path.read_text(encoding="utf-8")
    } == MAY_START_PROCESSES


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from pickle import loads", "import joblib.memory", "import yaml", "eval('1')", "exec(text)",
        "import os\nos.system('ls')", "from os import system", "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)", "import subprocess", "from subprocess import run",
        "subprocess.run('ls', shell=True)", "subprocess.run(command)", "torch.load(path)", "def f():\n  import marshal",
    ],
)  # fmt: skip
def test_each_of_them_would_be_found(text):
    assert list(offences(text, "gcn_luigi/example.py"))


def test_a_list_of_arguments_is_fine():
    text = "import subprocess\nsubprocess.Popen([sys.executable, '-c', code], shell=False)\nre.compile('x')"
    assert list(offences(text, "gcn_luigi/operate/luigid.py")) == []
