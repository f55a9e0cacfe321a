"""Draw docs/graph.svg from the real task graph: ``python docs/make_graph.py``.

A node is a family of tasks, with the files it publishes and how many tasks of it the demo region has. An arrow
points from what is required to what requires it; an arrow that a chain of others implies is left out.
"""
# ruff: noqa: INP001  a script, not a package

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import luigi

from gcn_luigi.report.graph_picture import Box, draw_graph
from gcn_luigi.tasks import AllRegions, Dataset, GridReport, PartitionFiles, StackFiles
from gcn_luigi.tasks.base import RegionTask

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "graph.svg"

STAGES = (
    "cubes",
    "tiles",
    "warped, grid",
    "mosaics",
    "rasters, catalog",
    "stacks",
    "chips",
    "tables",
    "pages",
    "dataset",
)
# Built only when asked for, or only if the sources need them.
ON_REQUEST = frozenset(
    {
        *("AlignedBand", "Autocorrelation", "GridReport", "PartitionFiles", "StackFiles", "AllRegions", "DerivedBand"),
        "LabelConfidence",
    }
)
WRAPPERS = frozenset({"AllRegions"})
# Files of tasks that are known only when the tiles are listed.
LATER = {"AlignedBand": "aligned/*/*.tif"}
# Families that the demo does not have, because they depend on its sources: what they publish, and what requires them.
BY_SOURCES = {"CubeTiles": ("cubes/*.tif", "TileInventory")}

# Added to the region, for the families of tasks that it has no use for.
ADDED = """
[[bands]]
name = "slope"
role = "topo"
derive = "slope"
dem = "dem"

[align]
resampling = "bilinear"

[evaluation]
autocorrelation = true
"""
# Added to tables that the region has, for the same reason.
ADDED_TO = {"[label]\n": 'confidence = ["edge"]\n'}

Edges = dict[str, set[str]]


@contextmanager
def task_graph(config_dir: Path, region: str) -> Iterator[tuple[dict[str, list[luigi.Task]], Edges]]:
    """Yield the tasks of each family, and for each family those it requires; their settings are gone afterwards."""
    # Parameters that luigi.cfg or the environment of the caller set must not reach the picture.
    output = str(Path(tempfile.gettempdir()) / "graph")
    with tempfile.TemporaryDirectory() as directory:
        text = (config_dir / f"{region}.toml").read_text(encoding="utf-8")
        for head, key in ADDED_TO.items():
            text = text.replace(head, head + key)
        (Path(directory) / f"{region}.toml").write_text(text + ADDED, encoding="utf-8")
        yield _task_graph(Path(directory), region, output)


def _task_graph(config_dir: Path, region: str, output: str) -> tuple[dict[str, list[luigi.Task]], Edges]:
    common = {"output_root": output, "config_dir": str(config_dir), "data_root": os.devnull}
    every = AllRegions(regions=[region], output_root=output, config_dir=str(config_dir))
    asked = (Dataset, GridReport, PartitionFiles, StackFiles)
    waiting: list[luigi.Task] = [every, *(task(region=region, **common) for task in asked)]
    tasks: dict[str, dict[str, luigi.Task]] = defaultdict(dict)
    requires: Edges = defaultdict(set)
    while waiting:
        task = waiting.pop()
        name = type(task).__name__
        if task.task_id in tasks[name]:
            continue
        tasks[name][task.task_id] = task
        required = luigi.task.flatten(task.requires())
        requires[name] |= {type(one).__name__ for one in required}
        waiting += required
    return {name: list(found.values()) for name, found in sorted(tasks.items())}, dict(requires)


def published(tasks: list[luigi.Task]) -> str:
    """Return the files that a family publishes, as one short pattern."""
    paths = sorted(
        target.path.relative_to(task.paths.root).as_posix()
        for task in tasks
        if isinstance(task, RegionTask)
        for target in luigi.task.flatten(task.output())
    )
    if not paths:
        return "wrapper"
    if len(paths) == 1:
        return Path(paths[0]).name
    suffixes, parents = ({part(Path(path)) for path in paths} for part in (_suffix, _parent))
    if len(parents) == 1 and parents != {"."}:
        return f"{parents.pop()}/*{suffixes.pop() if len(suffixes) == 1 else ''}"
    return f"{paths[0]} + {len(paths) - 1}"


def _suffix(path: Path) -> str:
    return path.suffix


def _parent(path: Path) -> str:
    return path.parent.as_posix()


def draw(config_dir: Path = ROOT / "config", region: str = "demo") -> str:
    """Return the SVG; the same text for the same graph."""
    with task_graph(config_dir, region) as (tasks, requires):
        boxes = {name: _box(name, found) for name, found in tasks.items()}
    for name, (files, reader) in BY_SOURCES.items():
        boxes[name] = Box(name, (files,), is_dashed=True)
        requires[name] = set()
        requires[reader].add(name)
    title = f"The task graph of gcn_luigi: {', '.join(sorted(boxes))}"
    return draw_graph(boxes, requires, title, heads=STAGES, wrappers=WRAPPERS)


def _box(name: str, tasks: list[luigi.Task]) -> Box:
    count = f" \u00d7{len(tasks)}" if len(tasks) > 1 else ""
    return Box(name + count, (LATER.get(name) or published(tasks),), is_dashed=name in ON_REQUEST)


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
