"""The pages that a run serves beside the quality page: what there is, a catalog, a shard, a message."""

from collections.abc import Sequence
from typing import Any

from gcn_luigi.io.publish.paths import Layout
from gcn_luigi.report.render import render

_EMPTY: dict[str, Any] = {
    "kicker": "gcn_luigi", "lines": (), "links": (), "facts": (), "map": None, "chips": (), "tables": (),
    "shown": "", "colours": {},
}  # fmt: skip


def small_page(title: str, **content: Any) -> str:
    """Return a page of its own as HTML that needs nothing else.

    Parameters
    ----------
    title : str
        Its heading.
    **content : Any
        Any of ``kicker``, ``lines``, ``links``, ``facts``, ``map``, ``chips`` with ``shown`` and ``colours``, and
        ``tables``, as ``small.html`` shows them. All text is escaped.
    """
    return render("small.html", {"title": title, **_EMPTY, **content})


def message_page(title: str, *lines: str) -> str:
    """Return a page that says something."""
    return small_page(title, lines=lines)


def page_of(layout: Layout, name: str) -> str | None:
    """Return a page of a dataset, finished or not; None where there is none of that name, or not yet.

    Parameters
    ----------
    layout : Layout
        Of the dataset.
    name : str
        Nothing for the list of pages, ``report.html``, ``grids.html``, ``catalog``, or ``shards/<file without .h5>``.

    Raises
    ------
    GcnLuigiError
        A file that the page shows is damaged.
    """
    ready = {page.name: page for page in (layout.report, layout.grids) if _is_there(page)}
    if name in ready:
        return ready[name].read_text(encoding="utf-8")
    if name == "" and layout.root.is_dir():
        return _list(layout, sorted(ready))
    # The rest draws, which takes libraries that take a second.
    if name == "catalog" and _is_there(layout.catalog):
        from gcn_luigi.report.served.catalog import catalog_page  # noqa: PLC0415

        return catalog_page(layout)
    shards = {shard: layout.shards / f"{shard}.h5" for shard in _shards(layout)}
    path = shards.get(name.removeprefix("shards/")) if name.startswith("shards/") else None
    if path is None:
        return None
    from gcn_luigi.report.served.shard import shard_page  # noqa: PLC0415

    return shard_page(path)


def _list(layout: Layout, ready: Sequence[str]) -> str:
    titles = {layout.report.name: "quality page", layout.grids.name: "comparison of grid sizes"}
    links = [(name, text) for name, text in titles.items() if name in ready]
    if _is_there(layout.catalog):
        links.append(("catalog", "catalog of partitions"))
    links += [(f"shards/{shard}", f"shard {shard}") for shard in _shards(layout)]
    lines = () if links else ("Nothing is finished yet.",)
    return small_page(layout.root.name, kicker="Pages of a dataset", links=links, lines=lines)


def _shards(layout: Layout) -> list[str]:
    return sorted(path.stem for path in layout.shards.glob("[!.]*.h5") if _is_there(path))


def _is_there(path: Any) -> bool:
    # A link may lead anywhere.
    return path.is_file() and not path.is_symlink()


def megabytes(size: int) -> str:
    """Return a number of bytes for people."""
    return f"{size / 1e6:,.1f} MB"
