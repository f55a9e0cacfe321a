"""The example chips of the page: which chips are shown, why, and their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.pictures import stretch_of
from gcn_luigi.report.pictures import chip_pictures
from gcn_luigi.report.quality.data import ReportData

# Classes of which the chip with most of it is shown.
_MOST_RICH = 6


@dataclass(frozen=True)
class Example:
    """A chip that is shown: the rule that chose it, its row of the index, and its pictures as data URIs."""

    kind: str
    why: str
    row: dict[str, Any]
    colour: str
    label: str
    missing: str


def choose_chips(
    chips: gpd.GeoDataFrame, lattice: Lattice, classes: ClassTable = DEFAULT_CLASSES, rich: Sequence[str] | None = None
) -> list[tuple[str, str, int]]:
    """Choose varied chips of one split by fixed rules; ties go to the first chip id, and no chip is chosen twice.

    `chips` are rows of the index, and `classes` those of the label. For each class of `rich`, by default all but none,
    the chip with most of it is chosen. The result has kind, rule and position in `chips`; it has fewer entries if there
    are too few chips.
    """
    rows = chips.reset_index(drop=True).sort_values("chip_id")
    if not len(rows):
        return []
    shares = rows[[*classes.shares(), "valid_share"]].to_numpy(float)
    is_glacier = np.array([each.glacier for each in classes])
    glacier, ground = shares[:, :-1][:, is_glacier].sum(axis=1), shares[:, :-1][:, ~is_glacier].sum(axis=1)
    left, bottom, right, top = lattice.bounds
    beyond = (rows["left"] < left) | (rows["right"] > right) | (rows["bottom"] < bottom) | (rows["top"] > top)
    # Each rule is a cost; the rule does not apply to a chip of infinite cost.
    rules = (
        ("Typical", "closest to the median shares", np.abs(shares - np.median(shares, axis=0)).sum(axis=1)),
        *_of_classes(classes, shares, rich),
        (
            "Ice margin",
            "most equal shares of glacier and other ground",
            np.where(glacier > 0, np.abs(ground - glacier), np.inf),
        ),
        (
            "Edge",
            "largest share of valid pixels among chips that reach beyond the tiles",
            np.where(beyond, -shares[:, -1], np.inf),
        ),
        ("Worst", "smallest share of valid pixels", shares[:, -1]),
    )
    chosen: list[tuple[str, str, int]] = []
    taken = np.zeros(len(rows), bool)
    for kind, why, cost in rules:
        open_cost = np.where(taken, np.inf, cost)
        best = int(np.argmin(open_cost))
        if np.isfinite(open_cost[best]):
            taken[best] = True
            chosen.append((kind, why, int(rows.index[best])))
    return chosen


def _of_classes(
    classes: ClassTable, shares: NDArray[np.float64], rich: Sequence[str] | None
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Return a rule for each class of `rich`; `shares` are (chip, class and more)."""
    rules = []
    for position, name in enumerate(classes.names):
        if name in rich if rich is not None else name != "none":
            text, share = name.replace("_", " "), shares[:, position]
            cost = np.where(share > 0, -share, np.inf)
            rules.append((f"{text.capitalize()}-rich", f"largest share of {text}", cost))
    return rules


def make_examples(data: ReportData, paths: DatasetPaths) -> dict[str, list[Example]]:
    """Return the chips that are shown, by split; only these are read."""
    examples: dict[str, list[Example]] = {}
    stretch, rich = (
        stretch_of(data.statistics["bands"], data.bands, data.shown),
        [each.name for each in data.shown_classes(_MOST_RICH)],
    )
    for split in data.splits:
        chips = data.index[data.index["split"] == split].reset_index(drop=True)
        examples[split] = []
        for kind, why, position in choose_chips(chips, data.inventory.lattice, data.classes, rich):
            row = chips.iloc[position].drop("geometry").to_dict()
            with open_shard(paths.shards / row["shard"]) as shard:
                pictures, _ = chip_pictures(shard, int(row["shard_row"]), data.bands, stretch, data.classes)
            examples[split].append(Example(kind, why, row, *pictures))
    return examples
