"""Follow a pixel through the code and draw its way: ``python docs/make_walk.py [OUTPUT]``.

Builds the demo below OUTPUT (a temporary directory without it), then builds one shard again and reads one batch of it
with Python's profiler switched on. Each module of the package that is entered becomes a step, in the order of the
first call. Written are docs/pixel-way.svg and the tables of docs/explanation/pixel-way.md.
"""
# ruff: noqa: INP001  a script, not a package

import ast
import html
import sys
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import gcn_luigi
from gcn_luigi.config import Region, load_region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "pixel-way.md"
PICTURE = ROOT / "docs" / "pixel-way.svg"
PACKAGE = Path(gcn_luigi.__file__).resolve().parent

# The package itself, which imports from any floor.
ROOF = 99
# Of the picture, in px.
STEP, FLOOR, LEFT, TOP = 34, 46, 132, 130
FONT = 'font-family="sans-serif"'


@dataclass
class Walk:
    """What one piece of work entered.

    Attributes
    ----------
    steps : dict
        By module, in the order of the first call, the qualified names of the functions that were called.
    climbs : dict
        Calls from a lower floor to a higher one: (caller's module, callee's module) to the callee's name.
    depth : int
        Most functions of the package that were active at once.
    """

    steps: dict[str, list[str]] = field(default_factory=dict)
    climbs: dict[tuple[str, str], str] = field(default_factory=dict)
    depth: int = 0

    @property
    def n_functions(self) -> int:
        """How many different functions were called."""
        return sum(map(len, self.steps.values()))


def floors() -> dict[str, int]:
    """Return the floor of each top-level module or folder, 0 the lowest, from the contracts of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {name.strip(): floor for floor, layer in enumerate(reversed(layers)) for name in layer.split("|")}


def module_of(code: CodeType) -> str:
    """Return the module of the package that `code` belongs to, without the package's name; empty for all else."""
    path = Path(code.co_filename)
    if PACKAGE not in path.parents or code.co_qualname == "<module>":
        return ""
    dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return dotted.removesuffix(".__init__").removeprefix("gcn_luigi.")


def follow(work: Callable[[], object]) -> Walk:
    """Call `work` and return what it entered in this thread."""
    walk, stack, floor_of = Walk(), [], floors()

    def entered(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and stack:
            stack.pop()
        if event != "call":
            return
        module, name = module_of(frame.f_code), frame.f_code.co_qualname
        callers = [caller for caller in stack if caller]
        stack.append(module)
        if not module:
            return
        functions = walk.steps.setdefault(module, [])
        functions += [name] * (name not in functions)
        walk.depth = max(walk.depth, len(callers) + 1)
        if callers and floor_of.get(_top(callers[-1]), ROOF) < floor_of.get(_top(module), ROOF):
            walk.climbs[callers[-1], module] = name

    sys.setprofile(entered)
    try:
        work()
    finally:
        sys.setprofile(None)
    return walk


def walk_to_shard(dataset: Path, region: Region) -> Walk:
    """Follow one shard of a finished dataset, built again in one thread, from tiles to the file."""
    request = ShardRequest(region, DatasetPaths(dataset), "train", 0, region.settings.shards.n_train, 1)
    with tempfile.TemporaryDirectory() as scratch:

        def work() -> None:
            build_shard(request, Path(scratch) / "shard.h5", lambda _line, _share: None)

        work()  # Modules that are imported on first use are not what is followed here.
        return follow(work)


def walk_to_batch(dataset: Path) -> Walk:
    """Follow one batch of a finished dataset, from opening it to the arrays that a network is given."""

    def work() -> None:
        gcn_luigi.open_dataset(dataset).chips("train").batch(range(8))

    work()
    return follow(work)


def purpose(module: str) -> str:
    """Return the first sentence of a module's docstring."""
    path = PACKAGE.joinpath(*module.removeprefix("gcn_luigi").split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


def table(walk: Walk) -> str:
    """Return the steps as a table in Markdown."""
    rows = [
        f"| {number} | `{module}` | {purpose(module)} | {len(names)} |"
        for number, (module, names) in enumerate(walk.steps.items(), 1)
    ]
    return "\n".join(["| | module | what it adds | functions |", "|---|---|---|---|", *rows])


def summary(walk: Walk) -> str:
    """Return the figures of a walk as one sentence."""
    climbs = f"{len(walk.climbs)} calls go" if walk.climbs else "No call goes"
    figures = (
        f"A pixel passes {len(walk.steps)} modules and {walk.n_functions} functions, at most {walk.depth} calls deep"
    )
    return f"{figures}. {climbs} to a higher floor."


def draw(walk: Walk, title: str) -> str:
    """Return a walk as an SVG: a dot per module, in the order of the first call, at the height of its floor."""
    levels = floors()
    used = sorted({levels[_top(module)] for module in walk.steps if _top(module) in levels}, reverse=True)
    y_of = {level: TOP + FLOOR * row for row, level in enumerate(used)}
    points = [
        (LEFT + STEP * number, y_of[levels[_top(module)]], module.split(".")[-1])
        for number, module in enumerate(module for module in walk.steps if _top(module) in levels)
    ]
    width, height = LEFT + STEP * len(points) + 40, TOP + FLOOR * len(used)
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for level, y in y_of.items():
        names = [name for name in levels if levels[name] == level]
        seen = [name for name in names if any(_top(module) == name for module in walk.steps)]
        parts.append(f'<line x1="{LEFT - 14}" x2="{width - 20}" y1="{y}" y2="{y}" stroke="#dde3e8"/>')
        parts.append(f'<text x="8" y="{y + 4}" {FONT} font-size="12" fill="#44525f">{", ".join(seen)}</text>')
    way = " ".join(f"{x},{y}" for x, y, _ in points)
    parts.append(f'<polyline points="{way}" fill="none" stroke="#9fb4c4" stroke-width="1.5"/>')
    for x, y, name in points:
        parts += [
            f'<line x1="{x}" x2="{x}" y1="{TOP - 14}" y2="{y - 5}" stroke="#eef1f4"/>',
            f'<circle cx="{x}" cy="{y}" r="5" fill="#1f6f9f"/>',
            f'<text transform="translate({x + 4},{TOP - 18}) rotate(-60)" {FONT} font-size="11">{name}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _top(module: str) -> str:
    return module.partition(".")[0]


def filled(page: str, dataset: Path, region: Region) -> str:
    """Return the page with new text between its markers."""
    for name, walk in (("shard", walk_to_shard(dataset, region)), ("batch", walk_to_batch(dataset))):
        before, _, rest = page.partition(f"<!-- {name} -->")
        _, _, after = rest.partition(f"<!-- /{name} -->")
        page = f"{before}<!-- {name} -->\n{summary(walk)}\n\n{table(walk)}\n<!-- /{name} -->{after}"
    return page


def main(output: Path) -> None:
    """Build the demo where it is missing, follow the pixels and write picture and page."""
    from gcn_luigi.cli import cli  # noqa: PLC0415  Luigi takes its time

    cli(["demo", "--output", str(output), "--local-scheduler"], standalone_mode=False)
    dataset = output / "demo"
    region = load_region(ROOT / "config" / "demo.toml", data_root=output / "demo-input")
    PICTURE.write_text(draw(walk_to_shard(dataset, region), "From tiles to a shard"), encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), dataset, region), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else scratch).resolve())
