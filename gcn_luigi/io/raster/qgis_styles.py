"""How QGIS shows what a dataset holds: stacks and chips in false colour, classes, flags and splits in their colours."""

from collections.abc import Mapping, Sequence
from typing import Any

from gcn_luigi.bands import LABEL_DEBRIS, LABEL_ICE, LABEL_IGNORE, LABEL_NONE, Band
from gcn_luigi.io.raster.qml import Entry, ShownBand, category_style, multiband_style, paletted_style, ramp_style
from gcn_luigi.prepare.appearance import CLASS_COLOURS, MISSING_COLOURS, SPLIT_COLOURS, UNUSED, colour_bands
from gcn_luigi.prepare.missing.fill import Flag

# Stops of the distance, near to far; told apart in grey, too.
_DISTANCES = ("#f2fbff", "#7fb8d8", "#3f6f9f", "#1d2f57")
# Opacity of fills: what lies below is seen through; chips overlap, and theirs add up.
_TINT, _FAINT_TINT, _CHIP_TINT = 60, 40, 14
_CLASSES = {
    LABEL_NONE: ("none", "none"),
    LABEL_DEBRIS: ("supraglacial debris", "debris"),
    LABEL_ICE: ("debris-free ice", "ice"),
}
# Reasons of the catalog that hold a number or a year are one group each.
_REASONS = {
    "buffer": ("between train and dev", "#ccbb44"),
    "overlaps dev": ("overlaps dev", "#b0a034"),
    "no outline": ("no glacier", "#bbbbbb"),
    "no dated outline": ("no dated outline", "#a2a2a2"),
    "year gap": ("no composite near enough in time", "#aa3377"),
    "no composite": ("no composite of that year", "#c7679c"),
    "outside the tiles": ("outside the tiles", "#333333"),
    "rejected id": ("rejected id", "#66ccee"),
    "exclusion polygon": ("exclusion polygon", "#4499bb"),
    "far from outlines": ("far from outlines", "#777777"),
    "too little glacier": ("too little glacier", "#5f5f5f"),
    "no split in the grid": ("no split in the grid", "#8f7a4a"),
}


def image_style(
    bands: Sequence[Band], statistics: Mapping[str, Any], *, numbers: Sequence[int] | None = None, masked: int = 0
) -> str:
    """Return the style of a raster of image bands: three of them, from the 1st to the 99th percentile of train.

    Parameters
    ----------
    bands : sequence of Band
        Image bands; which three are shown is that of the quality page.
    statistics : mapping
        ``bands`` of ``statistics.json``.
    numbers : sequence of int, optional
        Number of each band in the raster, from 1; in their order when None.
    masked : int
        Bands of the raster if a mask beside them says where there is nothing; else 0.
    """
    placed = range(1, len(bands) + 1) if numbers is None else numbers
    red, green, blue = (
        ShownBand(placed[position], *_limits(statistics.get(bands[position].name, {})))
        for position in colour_bands(bands)
    )
    return multiband_style(red, green, blue, alpha_band=masked + 1 if masked else None)


def label_style() -> str:
    """Return the style of the class label."""
    entries = [Entry(value, f"{value} {text}", CLASS_COLOURS[name]) for value, (text, name) in _CLASSES.items()]
    return paletted_style([*entries, Entry(LABEL_IGNORE, f"{LABEL_IGNORE} ignore", "#ffffff", 0)])


def flags_style() -> str:
    """Return the style of the flags: what is missing, every combination of bits named."""
    single = {
        Flag.OPTICAL: "optical",
        Flag.TOPO: "topo",
        Flag.LABEL: "label",
        Flag.DISTANCE: "distance",
        Flag.OUTSIDE: "outside",
    }
    entries = [Entry(0, "nothing missing", MISSING_COLOURS["present"], 0)]
    for value in range(1, sum(single) + 1):
        parts = [name for flag, name in single.items() if value & flag]
        kind = parts[0] if len(parts) == 1 else "several"
        if value & Flag.OUTSIDE:
            kind = "outside"
        entries.append(Entry(value, f"{value} missing: {', '.join(parts)}", MISSING_COLOURS[kind]))
    return paletted_style(entries)


def distance_style(farthest: float, unit: str) -> str:
    """Return the style of the distance to the nearest glacier, from 0 to `farthest`."""
    share = 1 / (len(_DISTANCES) - 1)
    values = [round(farthest * step * share) for step in range(len(_DISTANCES))]
    return ramp_style([Entry(value, str(value), ink) for value, ink in zip(values, _DISTANCES, strict=True)], unit)


def split_style() -> str:
    """Return the style of chips: by split."""
    return category_style("split", _splits(_CHIP_TINT))


def catalog_style() -> str:
    """Return the style of partitions: by split where they are used, else by reason."""
    # "year gap 7" and "no composite for 2004" without their numbers.
    attribute = (
        "CASE WHEN \"reason\" = '' THEN \"split\" ELSE trim(regexp_replace(\"reason\", '( for)? ?-?[0-9]+$', '')) END"
    )
    reasons = [Entry(reason, f"not used: {text}", colour, _FAINT_TINT) for reason, (text, colour) in _REASONS.items()]
    return category_style(attribute, [*_splits(_TINT), *reasons, Entry("", "not used: other", UNUSED, _FAINT_TINT)])


def _splits(tint: int) -> list[Entry]:
    return [Entry(split, split, colour, tint) for split, colour in SPLIT_COLOURS.items()]


def _limits(summary: Mapping[str, Any]) -> tuple[float, float]:
    return (float(summary["p1"]), float(summary["p99"])) if summary.get("count") else (0.0, 1.0)
