"""The directive ``task-families``: every task of the graph, as its class and the demo region's graph state it."""
# ruff: noqa: INP001  found through sys.path, which conf.py extends

from collections.abc import Iterable
from inspect import cleandoc
from pathlib import Path
from typing import Any

import luigi
import make_graph
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from gcn_luigi import tasks
from gcn_luigi.tasks.base import RegionTask

CONFIG = Path(__file__).resolve().parents[2] / "config"
NO_DEFAULT = "required"


def pages() -> str:
    """Return one section a family, as Markdown, in the order of the package's list."""
    with make_graph.task_graph(CONFIG, "demo") as (graph, requires):
        return "\n".join(
            line
            for name in tasks.__all__
            for line in _family(getattr(tasks, name), graph.get(name, []), sorted(requires.get(name, ())))
        )


def _family(family: type[luigi.Task], made: list[luigi.Task], required: list[str]) -> Iterable[str]:
    name = family.__name__
    yield f"## gcn.{name}\n"
    yield f"{cleandoc(family.__doc__ or '')}\n"
    count = "no task" if not made else "one task" if len(made) == 1 else f"{len(made)} tasks"
    rows = [
        ("in the demo region", count + ("" if name not in make_graph.ON_REQUEST else ", only on request")),
        ("requires", ", ".join(f"[gcn.{one}](#gcn-{one.lower()})" for one in required) or "nothing"),
        ("publishes", ", ".join(f"`{path}`" for path in _published(made)) or "nothing of its own"),
    ]
    if issubclass(family, RegionTask):
        rows.append(("code version", str(family.code_version)))
    yield from (f"* {what}: {said}" for what, said in rows)
    yield ""
    yield from _table(
        ("parameter", "type", "default", "part of the identity", "meaning"),
        [_parameter(key, value) for key, value in family.get_params()],
    )


def _published(made: list[luigi.Task]) -> list[str]:
    """Return the files of the demo region, or the first, second and last of many."""
    paths = sorted(
        target.path.relative_to(task.paths.root).as_posix()
        for task in made
        if isinstance(task, RegionTask)
        for target in luigi.task.flatten(task.output())
    )
    return paths if len(paths) <= 4 else [*paths[:2], "...", paths[-1]]


def _parameter(name: str, parameter: luigi.Parameter[Any]) -> tuple[str, ...]:
    default = parameter._default  # noqa: SLF001  task_value would ask the configuration of this machine
    shown = NO_DEFAULT if default is luigi.parameter._no_value else f"`{parameter.serialize(default)}`"  # noqa: SLF001
    return (
        f"`{name}`",
        type(parameter).__name__,
        "empty" if shown == "``" else shown,
        "yes" if parameter.significant else "no",
        parameter.description or "",
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterable[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", r"\|").replace("<", "&lt;") for cell in row) + " |"
    yield ""


class TaskFamilies(SphinxDirective):
    """``{task-families}``."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return self.parse_text_to_nodes(pages(), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directive known."""
    app.add_directive("task-families", TaskFamilies)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
