"""A shard as a page: what it holds, what was rejected, and some of its chips."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.shard.reader import ShardReader, open_shard
from gcn_luigi.prepare.appearance import CLASS_COLOURS, MISSING_COLOURS, colour_bands
from gcn_luigi.prepare.evenly import evenly
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.prepare.statistics.statistics import summarise
from gcn_luigi.report.drawing import drawing_style, png_uri
from gcn_luigi.report.quality.chips import false_colour, label_picture, missing_picture
from gcn_luigi.report.quality.data import ROLE_FLAGS
from gcn_luigi.report.served.pages import megabytes, small_page
from gcn_luigi.report.tables import Table, number

_N_CHIPS, _LARGEST = 24, 256


def shard_page(path: Path) -> str:
    """Return the page of one shard; of its pixels only the chips that are shown are read.

    Raises
    ------
    ShardError
        The shard is missing or damaged.
    """
    with open_shard(path) as shard, drawing_style():
        said = shard.attributes
        bands = [
            Band(name=name, role=Role(role))
            for name, role in zip(json.loads(said["band_names"]), json.loads(said["band_roles"]), strict=True)
        ]
        partitions = shard.table("partitions")
        red, green, blue = (bands[position].name for position in colour_bands(bands))
        return small_page(
            path.stem,
            kicker=f"{said['title']}",
            facts=_facts(shard, path, partitions),
            chips=_chips(shard, bands),
            shown=f"Evenly chosen along the shard. False colour ({red} red, {green} green, {blue} blue, between the "
            "1st and 99th percentile of this shard), label, missing pixels.",
            colours={
                **CLASS_COLOURS,
                **{f"missing: {name}": ink for name, ink in MISSING_COLOURS.items() if name != "present"},
            },
            tables=(_partition_table(partitions),),
        )


def _facts(shard: ShardReader, path: Path, partitions: dict[str, Any]) -> list[tuple[str, str, str]]:
    said, judged = shard.attributes, int(partitions["verdicts"].sum())
    years = np.unique(partitions["year"])
    span = "none" if not len(years) else str(years[0]) if len(years) == 1 else f"{years[0]} to {years[-1]}"
    return [
        ("Chips", number(len(shard)), f"of {number(judged)} cut; {said['chip_size']} px every {said['chip_step']} px"),
        ("Partitions", number(len(partitions["name"])), f"layout {shard.layout}"),
        ("Years", span, "of the composites"),
        ("File", megabytes(path.stat().st_size), path.name),
    ]


def _chips(shard: ShardReader, bands: list[Band]) -> list[dict[str, Any]]:
    histogram = shard.table("statistics")["histogram"]
    limits, missing = [], int(Flag.OUTSIDE)
    for position in colour_bands(bands):
        summary = summarise(histogram[position])
        limits.append((position, float(summary.p1 or 0), float(summary.p99 or 1)))
        missing |= int(ROLE_FLAGS[bands[position].role])
    columns = {name: shard.column(name) for name in ("partition", "row", "col", "year", "share_debris", "share_ice")}
    chips = []
    for row in evenly(len(shard), _N_CHIPS):
        image, label, flags = (shard.pixels(name, int(row)) for name in ("image", "label", "flags"))
        thin = slice(None, None, -(-max(label.shape) // _LARGEST))
        image, label, flags = image[:, thin, thin], label[thin, thin], flags[thin, thin]
        shares = f"debris {columns['share_debris'][row]:.1%}, ice {columns['share_ice'][row]:.1%}"
        pictures = (
            (png_uri(false_colour(image, flags, limits, missing)), f"Chip {row} in false colour"),
            (png_uri(label_picture(label)), f"Its label: {shares}"),
            (png_uri(missing_picture(flags)), f"Its missing pixels: {(flags > 0).mean():.0%}"),
        )
        place = f"partition {columns['partition'][row]}, {columns['year'][row]}"
        told = f"row {columns['row'][row]}, column {columns['col'][row]}; {shares}"
        chips.append({"name": f"Chip {row}: {place}", "pictures": pictures, "told": told})
    return chips


def _partition_table(partitions: dict[str, Any]) -> Table:
    reasons = [reason.decode() for reason in partitions["reasons"]]
    rows = tuple(
        (name.decode(), str(int(year)), *(number(int(count)) for count in verdicts))
        for name, year, verdicts in zip(partitions["name"], partitions["year"], partitions["verdicts"], strict=True)
    )
    return Table("Partitions and what became of their chips", ("partition", "#year", *(f"#{r}" for r in reasons)), rows)
