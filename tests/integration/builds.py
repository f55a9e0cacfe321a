"""Builds for tests: in this process, or through Luigi's command; some once for all processes that run tests."""

import contextlib
import fcntl
import os
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import luigi
import pytest

from gcn_luigi.tasks import Dataset
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import upstream
from tests.reference.timeless import write_no_page

CONFIG = Path(__file__).resolve().parents[2] / "config"


def build_inline(root: RegionTask, *, page: bool = False) -> list[str]:
    """Run whatever is not complete, requirements first, in this process; return the names of what ran.

    The file of the quality page has no figures unless `page` is True: a small dataset takes less time than its page.
    """
    ran = []
    drawn = "gcn_luigi.report.quality.page.write_report"
    with contextlib.nullcontext() if page else mock.patch(drawn, write_no_page):
        for task in (*upstream(root), root):
            if not task.is_published():
                task.run()
                assert task.is_published(), f"{task.name} ran without completing"
                ran.append(task.name)
    assert root.complete(), f"{root.name} is not complete"
    return ran


def once_per_run(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a directory that `make` fills once per run of the tests, whichever process needs it first."""
    place = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Each process has a directory of its own below the one of the run.
        place = place.parent
    directory, state = place / "shared" / name, place / "shared-state" / name.replace("/", "-")
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (state / "finished").exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            make(directory)
            (state / "finished").touch()
    return directory


def without_shards(finished: Path, directory: Path) -> Path:
    """Copy a finished dataset but for its shards, and return the copy: they are all that is left to make of it.

    The shards come out with the same bytes, so nothing that reads them follows, least of all the quality page.
    """
    return shutil.copytree(finished, directory, ignore=shutil.ignore_patterns("*.h5"))


def dataset(region: str, output: Path, data_root: Path | None = None, config: Path = CONFIG) -> Dataset:
    """Return the root task of a region."""
    luigi.task_register.Register.clear_instance_cache()
    return Dataset(
        region=region,
        output_root=str(output),
        config_dir=str(config),
        data_root="" if data_root is None else str(data_root),
    )


def changed_config(directory: Path, region: str, *replacements: tuple[str, str]) -> Path:
    """Copy a region's TOML file into `directory` with texts replaced; return the directory."""
    text = (CONFIG / f"{region}.toml").read_text(encoding="utf-8")
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {region}.toml"
        text = text.replace(old, new)
    tomllib.loads(text)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{region}.toml").write_text(text, encoding="utf-8")
    return directory


def overlaid(good: Path, case: Path, removed: list[str], destination: Path) -> Path:
    """Copy the good inputs and lay one broken case over them."""
    shutil.copytree(good, destination)
    for name in removed:
        path = destination / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for source in case.rglob("*"):
        if source.is_file() and source.name != "case.json":
            target = destination / source.relative_to(case)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return destination


def small_config(directory: Path, region: str, *replacements: tuple[str, str]) -> Path:
    """Write a TOML file for the small made-up region, with texts replaced; return the directory."""
    text = (CONFIG / "demo.toml").read_text(encoding="utf-8")
    shrunk = (
        ('region = "demo"', f'region = "{region}"'),
        ("size = 256", "size = 128"),
        ("\nsize = 128\nstep = 32", "\nsize = 64\nstep = 32"),
        ("train = 4", "train = 2"),
        ("dev = 2", "dev = 1"),
    )
    for old, new in (*shrunk, *replacements):
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{region}.toml").write_text(text, encoding="utf-8")
    return directory
