"""Builds for tests: in this process, or through Luigi's command."""

import shutil
import tomllib
from pathlib import Path

import luigi

from gcn_luigi.tasks import Dataset
from gcn_luigi.tasks.base import RegionTask
from gcn_luigi.tasks.graph import upstream

CONFIG = Path(__file__).resolve().parents[2] / "config"


def build_inline(root: RegionTask) -> list[str]:
    """Run whatever is not complete, requirements first, in this process; return the names of what ran."""
    ran = []
    for task in (*upstream(root), root):
        if not task.is_published():
            task.run()
            assert task.complete(), f"{task.name} ran without completing"
            ran.append(task.name)
    return ran


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
