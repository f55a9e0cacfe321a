"""What is published is complete: a source distribution and a wheel that work where this tree is not.

Nothing is fetched. Compilers and libraries are those of the environment that runs the tests.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

import gcn_luigi
from gcn_luigi.version import __version__
from tests.integration.builds import once_per_run
from tests.reference.building import BUILDING

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).resolve().parents[2]
# What no clone of the repository holds.
NOT_OURS = (
    ".git",
    ".venv",
    ".*_cache",
    ".hypothesis",
    ".luigi",
    "build",
    "dist",
    "output",
    "changed",
    "*.egg-info",
    "__pycache__",
    "*.so",
)
_SDIST = "import sys; from setuptools.build_meta import build_sdist; print(build_sdist(sys.argv[1]))"
_LOOK = """
import json, gcn_luigi
from importlib.metadata import version
made = gcn_luigi.open_dataset("output/demo")
chip = made.chips("dev")[3]
said = {"place": gcn_luigi.__file__, "version": version("gcn-luigi"), "digest": made.digest, "chip": chip["chip_id"],
        "sum": int(chip["image"].astype("int64").sum())}
print(json.dumps(said))
"""


def _run(*command, cwd):
    # Variables that would lead to this tree.
    plain = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "LUIGI_CONFIG_PATH"}}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _files(directory, *parts):
    """Return the files below some parts of a tree, relative to it."""
    below = (path for part in parts for path in (directory / part).rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix() for path in below}


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """Return a tree as a clone has it: nothing compiled, no list of files left by an earlier build."""

    def copy(place):
        shutil.copytree(ROOT, place / "gcn_luigi", ignore=shutil.ignore_patterns(*NOT_OURS))

    return once_per_run(tmp_path_factory, "clone", copy) / "gcn_luigi"


@pytest.fixture(scope="session")
def sdist(clone, tmp_path_factory):
    """Return the source distribution made from the clone."""
    place = once_per_run(
        tmp_path_factory, "sdist", lambda target: _run(sys.executable, "-c", _SDIST, target, cwd=clone)
    )
    (made,) = place.glob("*.tar.gz")
    return made


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory):
    """Return the wheel made from the source distribution."""

    def build(target):
        offline = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check")
        _run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", target, sdist, cwd=target)

    (made,) = once_per_run(tmp_path_factory, "wheel", build).glob("*.whl")
    return made


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Return an environment in which the package is the wheel's, and the libraries are those of the tests."""

    def install(directory):
        place = directory / "venv"
        _run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place.parent)
        pip = (sys.executable, "-m", "pip", "--python", place / "bin/python", "--disable-pip-version-check")
        _run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=place.parent)
        # A directory that a .pth file adds comes last, and its own .pth files, those of this tree, are not read.
        (packages,) = place.glob("lib/python*/site-packages")
        (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    return once_per_run(tmp_path_factory, "installed", install) / "venv/bin"


def test_a_source_distribution_holds_every_file_that_builds_tests_and_documents_the_package(clone, sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    parts = ("_ext", ".ci", "gcn_luigi", "benchmarks", "config", "docs", "examples", "tests")
    assert _files(clone, *parts) - names == set()
    assert {path.name for path in clone.iterdir() if path.is_file() and path.name != ".gitignore"} - names == set()
    assert {"_ext/counts.pyx", "_ext/rows.pxd", "_ext/rows.h"} <= names
    assert [name for name in names if name.endswith((".so", ".pyc"))] == []


def test_a_wheel_holds_every_file_of_the_package_and_every_kernel(clone, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert _files(clone, "gcn_luigi") - names == set()
    assert {"gcn_luigi/py.typed", "gcn_luigi/luigi.cfg", "gcn_luigi/demo.toml", "gcn_luigi/_core/counts.pyi"} <= names
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert {name for name in names if name.endswith(".so")} == {
        f"gcn_luigi/_core/{path.stem}{suffix}" for path in (ROOT / "_ext").glob("*.pyx")
    }
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"gcn_luigi"}
    assert "none-any" not in wheel.name


def test_the_demo_of_an_installed_wheel_is_that_of_the_tree(installed, demo_output, tmp_path):
    told = _run(installed / "gcn", "demo", "--local-scheduler", cwd=tmp_path)
    checked = _run(installed / "gcn", "validate", "--deep", "output/demo", cwd=tmp_path)
    status = _run(installed / "gcn", "status", "demo", cwd=tmp_path)
    said = json.loads(_run(installed / "python", "-c", _LOOK, cwd=tmp_path))

    sealed = json.loads((demo_output / "dataset.json").read_text(encoding="utf-8"))
    assert "done: 42 tasks built" in told
    made = json.loads((tmp_path / "output/demo/dataset.json").read_text(encoding="utf-8"))
    # All but the fingerprints, which tell when the sources were written.
    for key in sealed.keys() - {"digest", "fingerprints"}:
        assert made[key] == sealed[key], key
    assert f"digest {made['digest']}" in checked
    assert "42 of 42 tasks are current" in status
    assert (tmp_path / "config/demo.toml").read_bytes() == (ROOT / "config/demo.toml").read_bytes()
    assert Path(said["place"]).is_relative_to(installed.parent)
    assert said["digest"] == made["digest"]
    assert said["version"] == __version__
    chip = gcn_luigi.open_dataset(demo_output).chips("dev")[3]
    assert said["chip"] == chip["chip_id"]
    assert said["sum"] == chip["image"].astype(np.int64).sum()


def test_a_tree_without_kernels_is_not_built(clone, tmp_path):
    tree = shutil.copytree(clone, tmp_path / "tree", ignore=shutil.ignore_patterns("*.pyx", "build", "docs", "tests"))
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build"], cwd=tree, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "take a complete source tree" in done.stderr
    assert not (tree / "build").exists()


_READ = """
import importlib.util, json, sys, gcn_luigi
made = gcn_luigi.open_dataset(sys.argv[1])
chips = made.chips("dev")
batch = next(chips.batches(4))
whole = made.chips("dev").preload(progress=True)
assert (whole.batch(range(4))["image"] == batch["image"]).all()
try:
    made.partition_table
except gcn_luigi.ConfigError as error:
    shapes = error.fix
print(json.dumps({
    "place": gcn_luigi.__file__, "n": len(made.chip_table), "bands": [band.name for band in made.bands],
    "chip": chips[3]["chip_id"], "sum": int(batch["image"].astype("int64").sum()), "shapes": shapes,
    "installed": [name for name in sys.argv[2:] if importlib.util.find_spec(name)],
}))
"""


def _libraries_of(name):
    """Return the installed distribution and all that it needs without extras."""
    found, ahead = {}, [name]
    while ahead:
        distribution = metadata.distribution(ahead.pop())
        if distribution.name in found:
            continue
        found[distribution.name] = distribution
        needed = map(Requirement, distribution.requires or ())
        ahead += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


@pytest.fixture(scope="session")
def reading_alone(clone, tmp_path_factory):
    """Return a Python in which gcn-luigi-reader is installed with the libraries that it names, and nothing else."""
    place = once_per_run(tmp_path_factory, "reading", lambda place: _install_reader(clone, place))
    return place / "venv/bin/python"


def _install_reader(clone, place):
    _run(sys.executable, "packaging/reader/lay_out.py", place / "tree", cwd=clone)
    offline = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check")
    _run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", place, place / "tree", cwd=place)
    (made,) = place.glob("gcn_luigi_reader-*.whl")
    _run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    python = place / "venv/bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    _run(*pip, "install", "--no-deps", "--no-index", made, cwd=place)
    (packages,) = place.glob("venv/lib/python*/site-packages")
    with zipfile.ZipFile(made) as archive:
        (described,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        needed = Parser().parsestr(archive.read(described).decode()).get_all("Requires-Dist")
    for requirement in map(Requirement, needed):
        if requirement.marker is not None:
            continue
        for distribution in _libraries_of(requirement.name):
            for top in {path.parts[0] for path in distribution.files if ".." not in path.parts} - {"__pycache__"}:
                if not (packages / top).exists():
                    (packages / top).symlink_to(distribution.locate_file(top))


def test_a_dataset_is_read_where_nothing_that_builds_is_installed(reading_alone, demo_output):
    said = json.loads(_run(reading_alone, "-c", _READ, demo_output, *BUILDING, cwd=reading_alone.parent))

    made = gcn_luigi.open_dataset(demo_output)
    chips = made.chips("dev")
    assert said["installed"] == []
    assert Path(said["place"]).is_relative_to(reading_alone.parents[1])
    assert said["n"] == len(made.chip_table)
    assert said["bands"] == [band.name for band in made.bands]
    assert said["chip"] == chips[3]["chip_id"]
    assert said["sum"] == int(next(chips.batches(4))["image"].astype(np.int64).sum())
    assert "pip install gcn-luigi" in said["shapes"]


def test_every_module_of_reading_alone_can_be_imported_but_those_of_its_extras(reading_alone):
    code = (
        "import importlib, pkgutil, gcn_luigi\n"
        "for found in pkgutil.walk_packages(gcn_luigi.__path__, 'gcn_luigi.'):\n"
        "    try:\n"
        "        importlib.import_module(found.name)\n"
        "    except ImportError as error:\n"
        "        print(found.name, error.name)\n"
        "for name in gcn_luigi.__all__:\n"
        "    getattr(gcn_luigi, name)\n"
    )

    told = {tuple(line.split()) for line in _run(reading_alone, "-W", "ignore", "-c", code, cwd="/").splitlines()}

    assert told == {
        ("gcn_luigi.prepare.evaluation.dissimilarity", "scipy"),
        ("gcn_luigi.prepare.evaluation.distances", "scipy"),
        ("gcn_luigi.read.show.figures", "matplotlib"),
        ("gcn_luigi.read.show.maps", "matplotlib"),
        ("gcn_luigi.read.torch", "torch"),
        ("gcn_luigi.read.xarray", "pyproj"),
    }
