"""The pages that a run serves beside the quality page: what there is, a catalog, a shard, a message."""

from collections.abc import Sequence
from typing import Any

from gcn_luigi.io.publish.paths import DatasetPaths
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


def page_of(paths: DatasetPaths, name: str) -> str | None:
    """Return a page of a dataset, finished or not; None where there is none of that name, or not yet.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset.
    name : str
        Nothing for the list of pages, ``report.html``, ``grids.html``, ``catalog``, or ``shards/<file without .h5>``.

    Raises
    ------
    GcnLuigiError
        A file that the page shows is damaged.
    """
    ready = {page.name: page for page in (paths.report, paths.grids) if _is_there(page)}
    if name in ready:
        return ready[name].read_text(encoding="utf-8")
    if name == "" and paths.root.is_dir():
        return _list(paths, sorted(ready))
    # The rest draws, which takes libraries that take a second.
    if name == "catalog" and _is_there(paths.catalog):
        from gcn_luigi.report.served.catalog import catalog_page  # noqa: PLC0415

        return catalog_page(paths)
    shards = {shard: paths.shards / f"{shard}.h5" for shard in _shards(paths)}
    path = shards.get(name.removeprefix("shards/")) if name.startswith("shards/") else None
    if path is None:
        return None
    from gcn_luigi.report.served.shard import shard_page  # noqa: PLC0415

    return shard_page(path)


def _list(paths: DatasetPaths, ready: Sequence[str]) -> str:
    titles = {paths.report.name: "quality page", paths.grids.name: "comparison of grid sizes"}
    links = [(name, text) for name, text in titles.items() if name in ready]
    if _is_there(paths.catalog):
        links.append(("catalog", "catalog of partitions"))
    links += [(f"shards/{shard}", f"shard {shard}") for shard in _shards(paths)]
    lines = () if links else ("Nothing is finished yet.",)
    return small_page(paths.root.name, kicker="Pages of a dataset", links=links, lines=lines)


def _shards(paths: DatasetPaths) -> list[str]:
    return sorted(path.stem for path in paths.shards.glob("[!.]*.h5") if _is_there(path))


def _is_there(path: Any) -> bool:
    # A link may lead anywhere.
    return path.is_file() and not path.is_symlink()


def megabytes(size: int) -> str:
    """Return a number of bytes for people."""
    return f"{size / 1e6:,.1f} MB"
