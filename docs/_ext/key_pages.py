"""The directive ``toml-keys``: every key of a region's TOML file, with type, bounds and default, from the models."""
# ruff: noqa: INP001  found through sys.path, which conf.py extends

import json
import types
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Union, get_args, get_origin

from docutils import nodes
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from gcn_luigi.settings import RegionSettings

_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_BOUNDS = (("ge", "from {}"), ("gt", "above {}"), ("le", "to {}"), ("lt", "below {}"), ("min_length", "at least {}"))


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each section's heading and model, the top level first."""
    yield "Top level", RegionSettings
    for name, field in RegionSettings.model_fields.items():
        for annotation in (field.annotation, *get_args(field.annotation)):
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield _heading(name, field.annotation), annotation
                for inner, key in annotation.model_fields.items():
                    for one in get_args(key.annotation):
                        if isinstance(one, type) and issubclass(one, BaseModel):
                            yield _heading(f"{name}.{inner}", key.annotation), one
                    if isinstance(key.annotation, type) and issubclass(key.annotation, BaseModel):
                        yield f"[{name}.{inner}]", key.annotation


def _heading(name: str, annotation: Any) -> str:
    """Return how a table begins: one section, one of a list, or one with a name of its own."""
    if get_origin(annotation) is dict:
        return f"[{name}.NAME]"
    return f"[[{name}]]" if get_origin(annotation) is tuple else f"[{name}]"


def kind(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Return a type in words, with its bounds."""
    inner = [one for one in get_args(annotation) if one is not type(None)]
    if get_origin(annotation) is Literal:
        words = ", ".join(f"`{json.dumps(value)}`" for value in inner)
    elif get_origin(annotation) in {Union, types.UnionType}:
        words = " or ".join(kind(one) for one in inner)
    elif get_origin(annotation) is tuple:
        words = f"list of {kind(inner[0])}s" if inner[-1] is Ellipsis else f"{len(inner)} {kind(inner[0])}s"
    elif get_origin(annotation) is dict:
        words = f"table: {kind(inner[0])} each with a {kind(inner[1])}"
    elif hasattr(annotation, "__metadata__"):
        return kind(annotation.__origin__, annotation.__metadata__)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        words = "table"
    else:
        words = _PLAIN[annotation]
    return ", ".join([words, *_bounds(metadata)])


def _bounds(metadata: Iterable[Any]) -> Iterator[str]:
    held = [part for one in metadata for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
    for name, text in _BOUNDS:
        yield from (text.format(f"{value:g}") for one in held if (value := getattr(one, name, None)) is not None)
    for one in held:
        pattern = getattr(one, "pattern", None)
        if pattern is not None:
            yield f"`{pattern}`"


def default(field: FieldInfo) -> str:
    """Return a default as TOML writes it, or what replaces it."""
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, BaseModel):
        return "its own"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return "none" if value is None else f"`{json.dumps(value)}`"


def pages() -> str:
    """Return one table a section, as Markdown."""
    lines = []
    for heading, model in sections():
        lines += [f"## {heading}\n", "| key | type | default |", "| --- | --- | --- |"]
        for name, field in model.model_fields.items():
            lines.append(f"| `{name}` | {kind(field.annotation, field.metadata)} | {default(field)} |")
        lines.append("")
    return "\n".join(lines)


class TomlKeys(SphinxDirective):
    """``{toml-keys}``."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return self.parse_text_to_nodes(pages(), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directive known."""
    app.add_directive("toml-keys", TomlKeys)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
