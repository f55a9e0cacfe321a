"""The pages that a run serves next to the quality page: the list of pages, the catalog, and one per shard."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, UNUSED
from gcn_luigi.prepare.partitions.catalog import present_splits
from gcn_luigi.report.render import small_page
from gcn_luigi.report.tables import NONE, Table, number

_WIDTH, _MOST_ROWS, _MOST_BOXES = 1000.0, 2000, 20000
_COLOUR_NAMES = {"train": "violet", "dev": "orange", "test": "teal"}


def page_of(paths: DatasetPaths, name: str, composite: Sequence[str] = ()) -> str | None:
    """Return a page of a dataset, finished or not; None if there is no page of that name (yet).

    `name` is empty for the list of pages, ``report.html``, ``grids.html``, ``catalog``, or
    ``shards/<file without .h5>``. `composite` names the bands that pictures show as red, green and blue. Raises
    GcnLuigiError if a file that the page shows is damaged.
    """
    ready = {page.name: page for page in (paths.report, paths.grids) if _is_there(page)}
    if name in ready:
        return ready[name].read_text(encoding="utf-8")
    if name == "" and paths.root.is_dir():
        return _list(paths, sorted(ready))
    if name == "catalog" and _is_there(paths.catalog):
        return catalog_page(paths)
    shards = {f"shards/{shard}": paths.shards / f"{shard}.h5" for shard in _shards(paths)}
    if name not in shards:
        return None
    # Imported here, because it draws with matplotlib, which takes a second to import.
    from gcn_luigi.report.served.shard import shard_page  # noqa: PLC0415

    return shard_page(shards[name], composite)


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


def _is_there(path: Path) -> bool:
    # A link may lead anywhere.
    return path.is_file() and not path.is_symlink()


def catalog_page(paths: DatasetPaths) -> str:
    """Return the catalog as a page; the first 2000 partitions are listed, the first 20000 are drawn.

    Raises InputError if the catalog cannot be read.
    """
    catalog = read_geoparquet(paths.catalog)
    is_used = catalog["used"].astype(bool)
    used, reasons = catalog[is_used], Counter(catalog.loc[~is_used, "reason"].astype(str))
    years = used["year"].dropna()
    facts = [
        *(
            (f"{split} partitions", number(int((used["split"] == split).sum())), "used")
            for split in present_splits(catalog)
        ),
        ("Not used", number(len(catalog) - len(used)), f"of {number(len(catalog))}"),
        ("Years", NONE if years.empty else f"{int(years.min())} to {int(years.max())}", "of the composites"),
    ]
    rows = tuple((reason, number(count)) for reason, count in reasons.most_common())
    unused = Table("Why partitions are not used", ("reason", "#partitions"), rows)
    return small_page(
        f"{paths.root.name}: catalog of partitions",
        kicker="Catalog",
        facts=facts,
        map=_map(catalog) if len(catalog) else None,
        tables=(unused, _partition_table(catalog)),
    )


def _partition_table(catalog: gpd.GeoDataFrame) -> Table:
    # The share of each class but none; missing pixels are no class.
    columns = [
        name for name in catalog.columns if name.startswith("share_") and name not in {"share_none", "share_missing"}
    ]
    rows = tuple(
        (
            str(row.partition),
            str(row.split) if row.used else NONE,
            *(NONE if pd.isna(value) else f"{value:.0f}" for value in (row.year, row.year_gap)),
            *(f"{100 * getattr(row, column):.1f}" for column in ("glacier_share", *columns)),
            str(row.reason) or "used",
        )
        for row in catalog.head(_MOST_ROWS).itertuples()
    )
    more = f"These are the first {number(_MOST_ROWS)} of {number(len(catalog))}." if len(catalog) > _MOST_ROWS else ""
    names = [f"#{column.removeprefix('share_').replace('_', ' ')} %" for column in columns]
    head = ("partition", "split", "#year", "#gap in years", "#glacier %", *names, "reason")
    return Table("Partitions", head, rows, more)


def _map(catalog: gpd.GeoDataFrame) -> dict[str, Any]:
    """Return boxes in pixels of the page; north is up."""
    left, top = float(catalog["left"].min()), float(catalog[["top", "bottom"]].max().max())
    right, bottom = float(catalog["right"].max()), float(catalog[["top", "bottom"]].min().min())
    scale = _WIDTH / max(right - left, top - bottom, 1e-9)
    boxes = [
        {
            "x": round((row.left - left) * scale, 2),
            "y": round((top - max(row.top, row.bottom)) * scale, 2),
            "width": round((row.right - row.left) * scale, 2),
            "height": round(abs(row.top - row.bottom) * scale, 2),
            "fill": SPLIT_COLOURS.get(row.split, UNUSED) if row.used else UNUSED,
            "opacity": 0.55 if row.used else 0.15,
            "title": f"{row.partition}: {row.split if row.used else row.reason}",
        }
        for row in catalog.head(_MOST_BOXES).itertuples()
    ]
    shown = ", ".join(
        f"{int((catalog['used'] & (catalog['split'] == split)).sum())} {split} ({_COLOUR_NAMES[split]})"
        for split in present_splits(catalog)
    )
    return {
        "width": round((right - left) * scale, 2),
        "height": round((top - bottom) * scale, 2),
        "boxes": boxes,
        "alt": f"Map of {len(catalog):,} partitions, with north at the top: {shown}, and "
        "partitions that are not used (grey).",
    }
