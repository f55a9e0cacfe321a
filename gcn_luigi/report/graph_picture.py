"""The task graph as SVG: one box per family of tasks, and one arrow per requirement that others do not imply."""

import html
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

# Sizes in pixels. The colours are distinct and readable on white and on black.
NODE_W, GAP_X, GAP_Y, MARGIN, HEAD, LINE = 152, 36, 26, 8, 34, 20
GREY, TEXT, FRAME = "#7f8894", "#ffffff", "#f2b134"
FILLS = ("#4b5563", "#1d6a96", "#1d6a96", "#b45309", "#0f766e", "#0f766e", "#6d3fa8")

Edges = Mapping[str, set[str]]


@dataclass(frozen=True)
class TaskTime:
    """A task of a graph, the tasks that it waits for, and the time of its last run that made something.

    `name` is for example ``gcn.ChipShard(train, 0, 4)``, and its family ``ChipShard``; `seconds` is None if unknown.
    """

    name: str
    family: str
    requires: tuple[str, ...]
    seconds: float | None


@dataclass(frozen=True)
class Box:
    """The content of a family's box: a bold title, lines below it, and an optional frame.

    The frame is dashed and grey, or solid and bright.
    """

    title: str
    lines: tuple[str, ...]
    is_dashed: bool = False
    is_framed: bool = False


def families_of(tasks: Sequence[TaskTime]) -> dict[str, set[str]]:
    """Return the families that each family of `tasks` requires; requirements outside of `tasks` are left out."""
    family = {task.name: task.family for task in tasks}
    requires: dict[str, set[str]] = {name: set() for name in sorted(set(family.values()))}
    for task in tasks:
        requires[task.family] |= {family[name] for name in task.requires if name in family}
    return requires


def reduced(requires: Edges) -> dict[str, set[str]]:
    """Return the edges that no chain of other edges implies; `requires` has no cycle."""
    reach: dict[str, set[str]] = {}
    for name in TopologicalSorter(requires).static_order():
        reach[name] = requires[name].union(*(reach[one] for one in requires[name]))
    return {name: ones.difference(*(reach[one] for one in ones)) for name, ones in requires.items()}


def columns(requires: Edges, wrappers: Collection[str] = ()) -> list[list[str]]:
    """Return the families of each column, in an order with few crossings.

    A family is placed as far left as its requirements allow, then moves right to just before the families that require
    it. A wrapper is below the family that it wraps.
    """
    depth: dict[str, int] = {}
    for name in TopologicalSorter(requires).static_order():
        depth[name] = 1 + max((depth[one] for one in requires[name]), default=-1)
    for name in sorted(requires, key=lambda name: -depth[name]):
        later = [depth[other] for other, ones in requires.items() if name in ones]
        depth[name] = min(later) - 1 if later and requires[name] else depth[name]
    for name in set(wrappers) & set(depth):
        depth[name] -= 1
    ordered = [sorted(name for name in depth if depth[name] == i) for i in range(max(depth.values(), default=-1) + 1)]
    return _uncrossed(ordered, requires, wrappers)


def _uncrossed(ordered: list[list[str]], requires: Edges, wrappers: Collection[str]) -> list[list[str]]:
    neighbours: dict[str, set[str]] = defaultdict(set)
    for name, ones in requires.items():
        for one in ones:
            neighbours[one].add(name)
            neighbours[name].add(one)
    for _ in range(8):
        # One column at a time: sorting all at once would alternate between two mirrored orders.
        for x, column in enumerate(ordered):
            height = {name: (i + 0.5) / len(names) for names in ordered for i, name in enumerate(names)}

            def rank(name: str, height: Mapping[str, float] = height) -> tuple[bool, float, str]:
                return name in wrappers, _mean(height, neighbours[name]), name

            ordered[x] = sorted(column, key=rank)
    return ordered


def _mean(height: Mapping[str, float], names: Iterable[str]) -> float:
    values = sorted(height[name] for name in names)
    return round(sum(values) / len(values), 9) if values else 0.5


def draw_graph(
    boxes: Mapping[str, Box], requires: Edges, title: str, *, heads: Sequence[str] = (), wrappers: Collection[str] = ()
) -> str:
    """Return a picture of a graph as an ``svg`` element with escaped text; equal graphs give equal elements.

    All `boxes` have the same number of lines. `requires` gives the families that each family requires, including
    implied ones, without a cycle. `title` is for readers who cannot see the picture. `heads` are the titles of the
    columns, from the left. `wrappers` are families without files of their own, drawn below the family that they wrap.
    """
    edges = reduced(requires)
    ordered = columns(edges, wrappers)
    tall, top = 14 + LINE * (1 + max((len(box.lines) for box in boxes.values()), default=0)), HEAD if heads else 0
    tallest = max((len(column) for column in ordered), default=0)
    height = top + tallest * (tall + GAP_Y) + 2 * MARGIN
    width = len(ordered) * (NODE_W + GAP_X) - GAP_X + 2 * MARGIN
    corner = {}
    for x, column in enumerate(ordered):
        upper = top + MARGIN + (tallest - len(column)) * (tall + GAP_Y) // 2
        for y, name in enumerate(column):
            corner[name] = (MARGIN + x * (NODE_W + GAP_X), upper + y * (tall + GAP_Y))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    tip = 'id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
    label = f'role="img" aria-label="{html.escape(title)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label} font-family="Helvetica, Arial, sans-serif">',
        f"  <title>{html.escape(title)}</title>",
        f'  <defs><marker {tip}><path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/></marker></defs>',
    ]
    for x, head in enumerate(heads[: len(ordered)]):
        lines.append(_text(MARGIN + x * (NODE_W + GAP_X) + NODE_W // 2, 24, head, GREY, 16))
    for name in sorted(edges):
        lines += [_arrow(corner[one], corner[name], tall) for one in sorted(edges[name])]
    for x, column in enumerate(ordered):
        for name in column:
            lines += _node(boxes[name], corner[name], tall, FILLS[min(x, len(FILLS) - 1)])
    return "\n".join([*lines, "</svg>"]) + "\n"


def _arrow(start: tuple[int, int], end: tuple[int, int], tall: int) -> str:
    if start[0] == end[0]:
        middle = start[0] + NODE_W // 2
        return _stroke(f"M{middle} {start[1] + tall} L{middle} {end[1]}")
    x0, y0, x1, y1 = start[0] + NODE_W, start[1] + tall // 2, end[0], end[1] + tall // 2
    bend = min(x1 - x0, GAP_X) // 2
    return _stroke(f"M{x0} {y0} C{x0 + bend} {y0} {x0 + bend} {y1} {x0 + 2 * bend} {y1} L{x1} {y1}")


def _stroke(path: str) -> str:
    return f'  <path d="{path}" fill="none" stroke="{GREY}" stroke-width="1.6" marker-end="url(#tip)"/>'


def _node(box: Box, corner: tuple[int, int], tall: int, fill: str) -> list[str]:
    x, y = corner
    frame = f' stroke="{GREY}" stroke-width="2" stroke-dasharray="5 4"' if box.is_dashed else ""
    frame = f' stroke="{FRAME}" stroke-width="4"' if box.is_framed else frame
    middle = x + NODE_W // 2
    return [
        f'  <rect x="{x}" y="{y}" width="{NODE_W}" height="{tall}" rx="8" fill="{fill}"{frame}/>',
        _text(middle, y + 23, box.title, TEXT, 15, weight="bold"),
        *(_text(middle, y + 43 + LINE * row, line, TEXT, 13) for row, line in enumerate(box.lines)),
    ]


def _text(x: int, y: int, text: str, fill: str, size: int, *, weight: str = "normal") -> str:
    return (
        f'  <text x="{x}" y="{y}" text-anchor="middle" font-size="{size}" font-weight="{weight}" fill="{fill}">'
        f"{html.escape(text)}</text>"
    )
