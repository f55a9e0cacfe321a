"""The catalog as a page: every partition, where it lies, what became of it and why."""

from collections import Counter
from typing import Any

import geopandas as gpd

from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.prepare.appearance import SPLIT_COLOURS, UNUSED
from gcn_luigi.report.served.pages import small_page
from gcn_luigi.report.tables import NONE, Table, number

_WIDTH, _MOST_ROWS, _MOST_BOXES = 1000.0, 2000, 20000


def catalog_page(paths: DatasetPaths) -> str:
    """Return the page; the first 2000 partitions are listed, the first 20000 are drawn.

    Raises
    ------
    InputError
        The catalog cannot be read.
    """
    catalog = read_geoparquet(paths.catalog)
    used = catalog[catalog["used"].astype(bool)]
    reasons = Counter(catalog.loc[~catalog["used"].astype(bool), "reason"].astype(str))
    facts = [
        *((f"{split} partitions", number(int((used["split"] == split).sum())), "used") for split in SPLITS),
        ("Not used", number(len(catalog) - len(used)), f"of {number(len(catalog))}"),
        ("Years", _range(used["year"]), "of the composites"),
    ]
    unused = Table("Why partitions are not used", ("reason", "#partitions"), tuple(_counts(reasons)))
    return small_page(
        f"{paths.root.name}: catalog of partitions",
        kicker="Catalog",
        facts=facts,
        map=_map(catalog) if len(catalog) else None,
        tables=(unused, _table(catalog)),
    )


def _counts(reasons: Counter[str]) -> list[tuple[str, str]]:
    return [(reason, number(count)) for reason, count in reasons.most_common()]


def _range(years: Any) -> str:
    known = years.dropna()
    return NONE if known.empty else f"{int(known.min())} to {int(known.max())}"


def _table(catalog: gpd.GeoDataFrame) -> Table:
    rows = tuple(
        (
            str(row.partition),
            str(row.split) if row.used else NONE,
            *(NONE if value != value else f"{value:.0f}" for value in (_float(row.year), _float(row.year_gap))),  # noqa: PLR0124  not a number
            *(f"{100 * value:.1f}" for value in (row.glacier_share, row.share_debris, row.share_ice)),
            str(row.reason) or "used",
        )
        for row in catalog.head(_MOST_ROWS).itertuples()
    )
    more = f"The first {number(_MOST_ROWS)} of {number(len(catalog))}." if len(catalog) > _MOST_ROWS else ""
    head = ("partition", "split", "#year", "#gap in years", "#glacier %", "#debris %", "#ice %", "reason")
    return Table("Partitions", head, rows, more)


def _float(value: Any) -> float:
    try:
        return float(value)
    except TypeError:
        return float("nan")


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
    n_train, n_dev = (int((catalog["used"] & (catalog["split"] == split)).sum()) for split in SPLITS)
    alt = f"Map of {len(catalog):,} partitions, north up: {n_train} train violet, {n_dev} dev orange, the rest grey."
    return {
        "width": round((right - left) * scale, 2),
        "height": round((top - bottom) * scale, 2),
        "boxes": boxes,
        "alt": alt,
    }
