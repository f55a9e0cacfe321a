"""The page of a shard: its content, the rejected chips, and some example chips."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_luigi.bands import Band, Role
from gcn_luigi.classes import ClassTable
from gcn_luigi.io.shard.format import classes_of
from gcn_luigi.io.shard.reader import ShardReader, open_shard
from gcn_luigi.prepare.appearance import MISSING_COLOURS, colour_bands, look
from gcn_luigi.prepare.statistics.float_counts import summaries_of
from gcn_luigi.report.drawing import drawing_style
from gcn_luigi.report.pictures import chip_pictures
from gcn_luigi.report.render import small_page
from gcn_luigi.report.tables import Table, number

_N_CHIPS = 24


def shard_page(path: Path, composite: Sequence[str] = ()) -> str:
    """Return the page of one shard; only the pixels of the chips on the page are read. `composite` names three bands.

    Raises ShardError if the shard is missing or damaged.
    """
    with open_shard(path) as shard, drawing_style():
        attributes = shard.attributes
        names, roles = (json.loads(attributes[key]) for key in ("band_names", "band_roles"))
        bands = [Band(name=name, role=Role(role)) for name, role in zip(names, roles, strict=True)]
        partitions, classes = shard.table("partitions"), classes_of(attributes)
        shown = colour_bands(bands, composite)
        red, green, blue = (bands[position].name for position in shown)
        return small_page(
            path.stem,
            kicker=f"{attributes['title']}",
            facts=_facts(shard, path, partitions),
            chips=_chips(shard, bands, shown, classes),
            shown="The chips are evenly spaced along the shard. Each is shown three times, from left to right: in "
            f"{look(bands, shown)} ({red} red, {green} green, {blue} blue, stretched between the 1st and 99th "
            "percentile of this shard), as its label, and as its missing pixels.",
            colours={
                **classes.colours,
                **{f"missing: {name}": ink for name, ink in MISSING_COLOURS.items() if name != "present"},
            },
            tables=(_partition_table(partitions),),
        )


def _facts(shard: ShardReader, path: Path, partitions: dict[str, Any]) -> list[tuple[str, str, str]]:
    attributes, candidates = shard.attributes, number(int(partitions["verdicts"].sum()))
    years = np.unique(partitions["year"])
    span = "none" if not len(years) else str(years[0]) if len(years) == 1 else f"{years[0]} to {years[-1]}"
    size, step = attributes["chip_size"], attributes["chip_step"]
    return [
        ("Chips", number(len(shard)), f"of {candidates} candidates; {size} px every {step} px"),
        ("Partitions", number(len(partitions["name"])), f"layout {shard.layout}"),
        ("Years", span, "of the composites"),
        ("File", f"{path.stat().st_size / 1e6:,.1f} MB", path.name),
    ]


def _chips(
    shard: ShardReader, bands: list[Band], shown: tuple[int, int, int], classes: ClassTable
) -> list[dict[str, Any]]:
    summaries = summaries_of([shard.table("statistics")])
    stretch = [(p, float(summaries[p].p1 or 0), float(summaries[p].p99 or 1)) for p in shown]
    named = [name for name in classes.names if name != "none"]
    columns = {
        name: shard.column(name) for name in ("partition", "row", "col", "year", *(f"share_{each}" for each in named))
    }
    chips = []
    for row in np.linspace(0, len(shard) - 1, min(len(shard), _N_CHIPS)).round().astype(np.int64).tolist():
        (in_colour, label, missing), missing_share = chip_pictures(shard, row, bands, stretch, classes)
        shares = ", ".join(f"{name} {columns[f'share_{name}'][row]:.1%}" for name in named)
        chips.append(
            {
                "name": f"Chip {row}: partition {columns['partition'][row]}, {columns['year'][row]}",
                "pictures": (
                    (in_colour, f"Chip {row} in {look(bands, shown)}"),
                    (label, f"Its label: {shares}"),
                    (missing, f"Its missing pixels: {missing_share:.0%}"),
                ),
                "text": f"row {columns['row'][row]}, column {columns['col'][row]}; {shares}",
            }
        )
    return chips


def _partition_table(partitions: dict[str, Any]) -> Table:
    reasons = [reason.decode() for reason in partitions["reasons"]]
    rows = tuple(
        (name.decode(), str(int(year)), *(number(int(count)) for count in verdicts))
        for name, year, verdicts in zip(partitions["name"], partitions["year"], partitions["verdicts"], strict=True)
    )
    return Table("Partitions, with their chips by outcome", ("partition", "#year", *(f"#{r}" for r in reasons)), rows)
