"""Files around the package say the same as pyproject.toml and the constraints."""

import importlib.util
import re
import tomllib
from pathlib import Path

import grimp
import pytest
import yaml
from packaging.requirements import Requirement

from gcn_luigi.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
READER = tomllib.loads((ROOT / "packaging/reader/pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def pinned(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))


def floors(requirements):
    found = {}
    for requirement in map(Requirement, requirements):
        # A second bound keeps out a version that is known not to work.
        (bound,) = [bound for bound in requirement.specifier if bound.operator == ">="]
        found[requirement.name.lower()] = bound.version
    return found


def versions_equal(short, full):
    return full in {short, f"{short}.0"}


def test_the_oldest_constraints_are_the_floors():
    extras = PROJECT["optional-dependencies"]
    stated = floors(PROJECT["dependencies"])
    for extra in ("codecs", "dask", "remote", "variogram"):
        stated |= floors(extras[extra])
    oldest = pinned("constraints-oldest.txt")

    # Libraries of matplotlib and of rasterio, whose newest versions are too new for these old ones.
    assert oldest.keys() == {*stated, "pyparsing", "affine"}
    assert {name: oldest[name] for name in stated if not versions_equal(stated[name], oldest[name])} == {}


def test_reading_alone_needs_five_libraries_of_the_same_floors():
    reading, everything = floors(READER["dependencies"]), floors(PROJECT["dependencies"])

    assert sorted(reading) == ["deflate", "h5py", "numpy", "pandas", "pyarrow"]
    # Old HDF5 libraries read the same, and write other bytes.
    assert {name for name in reading if reading[name] != everything[name]} == {"h5py"}
    assert READER["requires-python"] == PROJECT["requires-python"]


@pytest.fixture(scope="module")
def reader():
    """Return the script that lays the source tree of reading alone out."""
    spec = importlib.util.spec_from_file_location("lay_out", ROOT / "packaging/reader/lay_out.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shipped(reader, tmp_path_factory):
    """Return the modules of reading alone, as files of its source tree."""
    tree = tmp_path_factory.mktemp("reading") / "tree"
    reader.lay_out(tree)
    return {
        path.relative_to(tree).with_suffix("").as_posix().replace("/", ".") for path in tree.glob("gcn_luigi/**/*.py")
    }


@pytest.fixture(scope="module")
def imports():
    return grimp.build_graph("gcn_luigi", cache_dir=None)


def test_every_module_of_reading_alone_is_offered_there_or_imported_by_one_that_is(reader, shipped, imports):
    reached, ahead = set(), [*reader.OFFERED]
    while ahead:
        name = ahead.pop()
        if name not in reached and {name, f"{name}.__init__"} & shipped:
            reached.add(name)
            ahead += imports.find_modules_directly_imported_by(name)

    modules = {name for name in shipped if not name.endswith(".__init__")}
    assert modules - reached == set()
    assert {*reader.OFFERED} - reached == set()


def test_reading_alone_holds_nothing_that_builds_a_dataset(reader, shipped, imports):
    rooms = {name.split(".")[1] for name in shipped}
    building = {
        "cli",
        "command",
        "config",
        "luigi_host",
        "operate",
        "params",
        "report",
        "settings",
        "stages",
        "synthetic",
    }

    assert rooms & (building | {"tasks"}) == set()
    # What is left out on purpose is something that a module of the reader names.
    named = {
        name
        for module in shipped
        for name in imports.find_modules_directly_imported_by(module.removesuffix(".__init__"))
    }
    assert {*reader.DONE_WITHOUT} - named == set()


def test_the_conda_recipe_names_the_libraries_and_the_version_of_the_package():
    text = (ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8")
    recipe = yaml.safe_load(text.replace("${{ compiler('c') }}", "compiler"))
    asked = [one.replace("matplotlib-base", "matplotlib") for one in recipe["requirements"]["run"]]
    python = f"python {PROJECT['requires-python']}"

    assert {*map(Requirement, asked)} == {*map(Requirement, [*PROJECT["dependencies"], python])}
    assert recipe["context"]["version"] == __version__


def test_hooks_run_the_versions_that_the_checks_run():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    asked = dict(one.split("==") for hook in hooks for one in hook["additional_dependencies"])
    versions = pinned("constraints.txt")

    assert asked == {name: versions[name] for name in ("ruff", "cython-lint", "codespell")}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_actions_by_commit_and_grant_little(path):
    text = path.read_text(encoding="utf-8")
    tree = yaml.safe_load(text)
    steps = [step for job in tree["jobs"].values() for step in job["steps"]]

    assert tree["permissions"] == {}
    assert all("timeout-minutes" in job and "permissions" in job for job in tree["jobs"].values())
    assert [
        step["uses"] for step in steps if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step.get("uses", "a@" + "0" * 40))
    ] == []
    assert all(re.search(r"uses: \S+ # v\d", line) for line in text.splitlines() if "uses:" in line)


def test_workflows_test_every_python_that_wheels_are_tested_on():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["cibuildwheel"]["build"]
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    pythons = matrix["jobs"]["linux"]["strategy"]["matrix"]["python"]

    assert built == [f"cp{python.replace('.', '')}-*" for python in pythons]
