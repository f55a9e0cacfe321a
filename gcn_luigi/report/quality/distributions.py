"""How class shares and years are spread over train and dev."""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.prepare.appearance import SPLIT_COLOURS
from gcn_luigi.prepare.statistics.ks import ks_of_samples
from gcn_luigi.report.drawing import INK, Drawing, drawn, legend_below, new_figure
from gcn_luigi.report.quality.data import Evidence
from gcn_luigi.report.quality.figures import split_keys, stairs
from gcn_luigi.report.tables import Table, number

_KINDS = (("debris", "Debris"), ("ice", "Debris-free ice"), ("glacier", "Glacier: debris and ice"))


def shares_of(rows: gpd.GeoDataFrame, kind: str) -> NDArray[np.float64]:
    """Return the share, 0 to 1, of ``debris``, ``ice`` or ``glacier`` in each chip or partition."""
    names = ("debris", "ice") if kind == "glacier" else (kind,)
    total = np.zeros(len(rows))
    for name in names:
        total += rows[f"share_{name}"].to_numpy(float)
    return total


def share_figure(evidence: Evidence) -> Drawing:
    """Draw histograms of class shares over chips, and the cumulative curves whose distance is the KS."""
    figure = new_figure(1000, 500)
    panels = figure.subplots(2, len(_KINDS), sharey="row")
    chips = {split: evidence.index[evidence.index["split"] == split] for split in SPLITS}
    said = []
    for column, (kind, title) in enumerate(_KINDS):
        values = {split: shares_of(rows, kind) for split, rows in chips.items()}
        most = max((float(part.max(initial=0.0)) for part in values.values()), default=0.0)
        high = min(max(0.1, np.ceil(most * 10) / 10), 1.0)
        edges = np.linspace(0, high, 21)
        for split in SPLITS:
            if len(values[split]):
                counts = np.histogram(np.clip(values[split], 0, high), bins=edges)[0] / len(values[split])
                stairs(panels[0, column], counts * 100, edges, split)
        distance = ks_of_samples(*values.values())
        _cumulative(panels[1, column], values, high)
        panels[0, column].set_title(title, loc="left", fontweight="bold")
        told = "KS not defined" if distance is None else f"KS {distance:.3f}"
        panels[0, column].set_title(told, loc="right", color="#555555")
        said.append(f"{title.lower()}: {told}")
        for axes in panels[:, column]:
            axes.set_xlim(0, high)
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panels[1, column].set_xlabel("Share of a chip")
    panels[0, 0].set_ylabel("Chips per bin (%)")
    panels[1, 0].set_ylabel("Chips up to a share (%)")
    legend_below(figure, split_keys(), 2)
    return drawn(
        figure,
        "shares",
        alt=f"Histograms and cumulative curves of class shares over train and dev chips; {'; '.join(said)}.",
        caption="Class shares of chips. Above: histograms in 20 bins. Below: the cumulative curves; KS is their "
        "largest distance (Kolmogorov and Smirnov, 0 to 1), from the unbinned values, drawn as a black line.",
    )


def share_table(evidence: Evidence) -> Table:
    """Return mean and median share, and the KS distance, over chips and over used partitions."""
    used = evidence.catalog[evidence.catalog["used"].to_numpy(bool)]
    rows = []
    for what, table in (("chips", evidence.index), ("partitions", used)):
        for kind, title in _KINDS:
            values = [shares_of(table[table["split"] == split], kind) for split in SPLITS]
            cells = [f"{value:.2%}" for part in values for value in (_mean(part), _median(part))]
            rows.append((f"{title}, {what}", *cells, number(ks_of_samples(*values), 3)))
    head = ("share of", "#train mean", "#train median", "#dev mean", "#dev median", "#KS")
    return Table("Class shares of chips and of used partitions, each chip or partition once", head, tuple(rows))


def year_figure(evidence: Evidence) -> Drawing:
    """Draw the years between outline and image, of the images, and of the outlines."""
    index, catalog = evidence.index, evidence.catalog
    used = catalog[catalog["used"].to_numpy(bool)]
    gaps = index[index["year_gap"] >= 0]
    figure = new_figure(1000, 300)
    panels = figure.subplots(1, 3)
    tables: tuple[tuple[str, gpd.GeoDataFrame, str, str], ...] = (
        ("Years between outline and image", gaps, "year_gap", "Chips (%)"),
        ("Year of the image", index, "year", "Chips (%)"),
        ("Year of the outlines", used, "outline_year", "Partitions (%)"),
    )
    said = []
    for axes, (title, rows, column, what) in zip(panels, tables, strict=True):
        values = [rows.loc[rows["split"] == split, column].dropna().to_numpy(int) for split in SPLITS]
        _bars(axes, values)
        distance = ks_of_samples(*values)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_ylabel(what)
        axes.set_xlabel("Years" if column == "year_gap" else "Year")
        means = ", ".join(
            f"{split} {np.mean(part):.1f}" for split, part in zip(SPLITS, values, strict=True) if len(part)
        )
        said.append(f"{title}: mean {means or 'none'}, KS {'none' if distance is None else format(distance, '.2f')}")
    legend_below(figure, split_keys(), 2)
    undated = len(index) - len(gaps)
    more = f" {undated:,} chips of partitions without a dated outline are left out on the left." if undated else ""
    return drawn(
        figure,
        "years",
        alt=f"Bars of years for train and dev. {'; '.join(said)}.",
        caption=f"Years of images and outlines in train and dev. {'. '.join(said)}.{more}",
    )


def _cumulative(axes: Axes, values: dict[str, NDArray[np.float64]], high: float) -> None:
    for split, part in values.items():
        if len(part):
            at = np.concatenate([[0.0], np.sort(part), [high]])
            axes.step(
                at,
                np.append(np.arange(len(part) + 1), len(part)) / len(part) * 100,
                where="post",
                color=SPLIT_COLOURS[split],
                linewidth=1.6,
            )
    axes.set_ylim(0, 103)
    one, other = (np.sort(part) for part in values.values())
    if len(one) and len(other):
        at = np.concatenate([one, other])
        below = [np.searchsorted(part, at, side="right") / len(part) * 100 for part in (one, other)]
        widest = int(np.argmax(np.abs(below[0] - below[1])))
        axes.plot([at[widest]] * 2, [below[0][widest], below[1][widest]], color=INK, linewidth=2.2)


def _bars(axes: Axes, values: Sequence[NDArray[np.int64]]) -> None:
    known = sorted({int(value) for part in values for value in part})
    for shift, split, part in zip((-0.2, 0.2), SPLITS, values, strict=True):
        heights = [100 * float(np.mean(part == value)) if len(part) else 0.0 for value in known]
        look: dict[str, Any] = {"facecolor": (SPLIT_COLOURS[split], 0.28 if split == "train" else 0.0)}
        places = np.arange(len(known)) + shift
        axes.bar(places, heights, width=0.38, edgecolor=SPLIT_COLOURS[split], linewidth=1.5, **look)
    shown = range(0, len(known), max(-(-len(known) // 6), 1))
    axes.set_xticks(list(shown), [str(known[i]) for i in shown])


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else 0.0
