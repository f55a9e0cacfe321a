"""Renders pages from the templates and the style sheet next to this module."""

from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

_EMPTY: dict[str, Any] = {
    "kicker": "gcn_luigi", "lines": (), "links": (), "facts": (), "map": None, "chips": (), "tables": (),
    "shown": "", "colours": {},
}  # fmt: skip


def render(name: str, content: dict[str, Any]) -> str:
    """Return the page that the template `name` makes from `content`; texts in it are escaped."""
    here = resources.files("gcn_luigi.report")
    loader = DictLoader({page: (here / page).read_text(encoding="utf-8") for page in ("base.html", "parts.html", name)})
    # Not reused for another page, because the parts count figures.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader
    )
    # Our own file, not input: it must not be escaped.
    style = Markup((here / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    return environment.get_template(name).render(style=style, **content)


def small_page(title: str, **content: Any) -> str:
    """Return a small self-contained HTML page.

    `content` may have ``kicker``, ``lines``, ``links``, ``facts``, ``map``, ``chips`` with ``shown`` and ``colours``,
    and ``tables``, as ``small.html`` shows them. All text is escaped.
    """
    return render("small.html", {"title": title, **_EMPTY, **content})
