"""What an extra brings is imported only where it is used, or in modules that only its users import."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "gcn_luigi").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def with_their_own(requirements: list[str]) -> set[str]:
    """Return the distributions that are installed with these requirements."""
    found: set[str] = set()
    pending = [Requirement(text) for text in requirements]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        is_wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if is_wanted and name not in found:
            found.add(name)
            pending += [Requirement(text) for text in requires(name) or ()]
    return found


BASE = with_their_own(PROJECT["dependencies"])
# Rooms that only the users of an extra import, and the extras.
OF_EXTRAS = {
    "gcn_luigi/read/torch": {"torch", "safetensors", "lightning", "torchgeo"},
    "gcn_luigi/engine/cluster.py": {"dask", "distributed"},
    "gcn_luigi/engine/slurm.py": {"dask", "dask-jobqueue", "distributed"},
}


def imported_at_once(tree: ast.Module) -> set[str]:
    """Return the packages that a module imports when it is imported itself."""
    found: set[str] = set()
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif isinstance(node, ast.ClassDef | ast.If | ast.With | ast.For):
            pending += [*node.body, *getattr(node, "orelse", [])]
        # What is tried may be absent.
    return found - {"gcn_luigi", "__future__"} - sys.stdlib_module_names


def allowed(path: Path) -> set[str]:
    """Return the distributions that a module may import at once."""
    name = path.relative_to(ROOT).as_posix()
    return BASE.union(*(extras for room, extras in OF_EXTRAS.items() if name.startswith(room)))


def test_modules_import_at_once_only_what_is_always_installed():
    known = packages_distributions()
    wrong = [
        f"{path.relative_to(ROOT)} imports {package}"
        for path in MODULES
        for package in sorted(imported_at_once(ast.parse(path.read_text(encoding="utf-8"))))
        if not {canonicalize_name(one) for one in known.get(package, [package])} & allowed(path)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("import zstandard", {"zstandard"}),
        ("from zstandard.backend import x", {"zstandard"}),
        ("class A:\n    import torch", {"torch"}),
        ("if True:\n    import torch", {"torch"}),
        ("if TYPE_CHECKING:\n    import torch", set()),
        ("def f():\n    import torch", set()),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", set()),
        ("import os, gcn_luigi.read", set()),
    ],
)
def test_only_imports_at_once_count(text, packages):
    assert imported_at_once(ast.parse(text)) == packages
