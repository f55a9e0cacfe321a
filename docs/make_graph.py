"""Draw docs/graph.svg from the real task graph: ``python docs/make_graph.py``.

A node is a family of tasks, with the files it publishes and how many tasks of it the demo region has. An arrow
points from what is required to what requires it; an arrow that a chain of others implies is left out.
"""
# ruff: noqa: INP001  a script, not a package

import html
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import luigi

from gcn_luigi.tasks import AllRegions, Dataset, GridReport, PartitionFiles, StackFiles
from gcn_luigi.tasks.base import RegionTask

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "graph.svg"

# Pixels. Colours are told apart and read on white and on black alike.
NODE_W, NODE_H, GAP_X, GAP_Y, MARGIN, HEAD = 152, 54, 36, 26, 8, 34
GREY, TEXT = "#7f8894", "#ffffff"
FILLS = ("#4b5563", "#1d6a96", "#1d6a96", "#b45309", "#0f766e", "#0f766e", "#6d3fa8")
STAGES = ("tiles", "rasters, grid", "stacks, catalog", "chips", "tables", "pages", "dataset")
# Only built when asked for.
ON_REQUEST = frozenset({"GridReport", "PartitionFiles", "StackFiles", "AllRegions"})
WRAPPERS = frozenset({"AllRegions"})

Edges = dict[str, set[str]]


def task_graph(config_dir: Path, region: str) -> tuple[dict[str, list[luigi.Task]], Edges]:
    """Return the tasks of each family, and for each family those it requires."""
    # Parameters that luigi.cfg or the environment of the caller set must not reach the picture.
    output = str(Path(tempfile.gettempdir()) / "graph")
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


def reduced(requires: Edges) -> Edges:
    """Return the edges that no chain of others implies."""
    reach: dict[str, set[str]] = {}

    def upstream(name: str) -> set[str]:
        if name not in reach:
            reach[name] = requires[name].union(*(upstream(one) for one in requires[name]))
        return reach[name]

    return {
        name: {one for one in ones if not any(one in upstream(other) for other in ones)}
        for name, ones in requires.items()
    }


def columns(requires: Edges) -> list[list[str]]:
    """Return the families of each column, in an order of few crossings.

    A family stands as far left as what it requires allows, then moves right to just before what requires it. A
    wrapper stands below what it wraps.
    """
    depth: dict[str, int] = {}

    def place(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((place(one) for one in requires[name]), default=-1)
        return depth[name]

    for name in requires:
        place(name)
    for name in sorted(requires, key=lambda name: -depth[name]):
        later = [depth[other] for other, ones in requires.items() if name in ones]
        depth[name] = min(later) - 1 if later and requires[name] else depth[name]
    for name in WRAPPERS & set(depth):
        depth[name] -= 1
    ordered = [sorted(name for name in depth if depth[name] == i) for i in range(max(depth.values()) + 1)]
    neighbours: Edges = {name: set(ones) for name, ones in requires.items()}
    for name, ones in requires.items():
        for one in ones:
            neighbours[one].add(name)
    for _ in range(8):
        # One column after the other: all at once would swing between two mirrored orders.
        for x, column in enumerate(ordered):
            height = {name: (i + 0.5) / len(names) for names in ordered for i, name in enumerate(names)}
            ordered[x] = sorted(column, key=lambda name: (name in WRAPPERS, _mean(height, neighbours[name]), name))
    return ordered


def _mean(height: dict[str, float], names: Iterable[str]) -> float:
    values = sorted(height[name] for name in names)
    return round(sum(values) / len(values), 9)


def published(tasks: list[luigi.Task]) -> str:
    """Return the files that a family publishes, as one short pattern."""
    paths = sorted(
        target.path.relative_to(task.layout.root).as_posix()
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
    tasks, requires = task_graph(config_dir, region)
    edges = reduced(requires)
    ordered = columns(edges)
    tallest = max(len(column) for column in ordered)
    height = HEAD + tallest * (NODE_H + GAP_Y) + 2 * MARGIN
    width = len(ordered) * (NODE_W + GAP_X) - GAP_X + 2 * MARGIN
    corner = {}
    for x, column in enumerate(ordered):
        top = HEAD + MARGIN + (tallest - len(column)) * (NODE_H + GAP_Y) // 2
        for y, name in enumerate(column):
            corner[name] = (MARGIN + x * (NODE_W + GAP_X), top + y * (NODE_H + GAP_Y))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    tip = 'id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="Helvetica, Arial, sans-serif">',
        f"  <title>The task graph of gcn_luigi: {', '.join(sorted(tasks))}</title>",
        f'  <defs><marker {tip}><path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/></marker></defs>',
    ]
    for x, _ in enumerate(ordered):
        middle = MARGIN + x * (NODE_W + GAP_X) + NODE_W // 2
        lines.append(_text(middle, 24, STAGES[min(x, len(STAGES) - 1)], GREY, 16))
    for name in sorted(edges):
        lines += [_arrow(corner[one], corner[name]) for one in sorted(edges[name])]
    for x, column in enumerate(ordered):
        for name in column:
            lines += _node(name, tasks[name], corner[name], FILLS[min(x, len(FILLS) - 1)])
    return "\n".join([*lines, "</svg>"]) + "\n"


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        middle = start[0] + NODE_W // 2
        return _stroke(f"M{middle} {start[1] + NODE_H} L{middle} {end[1]}")
    x0, y0, x1, y1 = start[0] + NODE_W, start[1] + NODE_H // 2, end[0], end[1] + NODE_H // 2
    bend = min(x1 - x0, GAP_X) // 2
    return _stroke(f"M{x0} {y0} C{x0 + bend} {y0} {x0 + bend} {y1} {x0 + 2 * bend} {y1} L{x1} {y1}")


def _stroke(path: str) -> str:
    return f'  <path d="{path}" fill="none" stroke="{GREY}" stroke-width="1.6" marker-end="url(#tip)"/>'


def _node(name: str, tasks: list[luigi.Task], corner: tuple[int, int], fill: str) -> list[str]:
    x, y = corner
    dashes = f' stroke="{GREY}" stroke-width="2" stroke-dasharray="5 4"' if name in ON_REQUEST else ""
    count = f" ×{len(tasks)}" if len(tasks) > 1 else ""  # noqa: RUF001  it is the sign that is meant
    return [
        f'  <rect x="{x}" y="{y}" width="{NODE_W}" height="{NODE_H}" rx="8" fill="{fill}"{dashes}/>',
        _text(x + NODE_W // 2, y + 23, name + count, TEXT, 15, weight="bold"),
        _text(x + NODE_W // 2, y + 43, published(tasks), TEXT, 13),
    ]


def _text(x: int, y: int, text: str, fill: str, size: int, *, weight: str = "normal") -> str:
    return (
        f'  <text x="{x}" y="{y}" text-anchor="middle" font-size="{size}" font-weight="{weight}" fill="{fill}">'
        f"{html.escape(text)}</text>"
    )


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
