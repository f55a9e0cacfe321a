"""QGIS styles for the layers of a dataset: false colour, and fixed colours for classes, flags and splits.

QGIS automatically loads a ``.qml`` next to a layer with the same name except for the last suffix. This module writes
the part of the QGIS format that says how pixels or shapes are drawn (docs.qgis.org, User Manual, "QML - The QGIS Style
File Format"). For the rest, QGIS uses its defaults. A test with QGIS 3.22 read these files. Equal arguments give equal
bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from gcn_luigi.bands import LABEL_IGNORE, Band
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.prepare.appearance import MISSING_COLOURS, SPLIT_COLOURS, UNCERTAIN_COLOUR, UNUSED, colour_bands
from gcn_luigi.prepare.missing.fill import Flag

# QGIS reads the options of symbols since this version.
_VERSION = "3.22.0"
_OPAQUE = 255
# Colours of the distance, from near to far. They differ in grey as well.
_DISTANCES = ("#f2fbff", "#7fb8d8", "#3f6f9f", "#1d2f57")
# Colours of the confidence, from none to full. They differ in grey as well.
_CONFIDENCES = ("#5b1a57", "#b5525c", "#e9a65a", "#fdf3c6")
# Opacity of fills. Layers below shine through. Chips overlap, so their opacities add up.
_TINT, _FAINT_TINT, _CHIP_TINT = 60, 40, 14
# Reasons of the catalog that differ only in a number or year form one group.
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
_REASONS_OF_TEST = {"overlaps test": ("overlaps test", "#2f8f90")}


@dataclass(frozen=True)
class _Entry:
    """How one value is drawn: a number in a raster, or the text of an attribute.

    `label` is for the legend, and `colour` is ``#rrggbb``. An alpha of 0 is transparent, 255 is opaque.
    """

    value: str | int
    label: str
    colour: str
    alpha: int = _OPAQUE


def image_style(
    bands: Sequence[Band],
    statistics: Mapping[str, Any],
    *,
    composite: Sequence[str] = (),
    numbers: Sequence[int] | None = None,
    masked: int = 0,
) -> str:
    """Return the style of a raster of image bands: three bands, stretched from the 1st to the 99th percentile of train.

    The quality page shows the same three bands, see `colour_bands`; `composite` is the one of the configuration.
    `statistics` is ``bands`` of ``statistics.json``. `numbers` is the
    number of each band in the raster, from 1; by default bands are in order. `masked` is the number of bands in the
    raster if a mask next to them marks missing pixels, otherwise 0.
    """
    placed = range(1, len(bands) + 1) if numbers is None else numbers
    shown = dict(zip(("red", "green", "blue"), colour_bands(bands, composite), strict=True))
    # QGIS shows the mask of a file as an additional band.
    alpha_band = masked + 1 if masked else -1
    renderer = ET.Element("rasterrenderer", type="multibandcolor", opacity="1", alphaBand=str(alpha_band))
    for colour, position in shown.items():
        renderer.set(f"{colour}Band", str(placed[position]))
    ET.SubElement(renderer, "rasterTransparency")
    for colour, position in shown.items():
        summary = statistics.get(bands[position].name, {})
        low, high = (summary["p1"], summary["p99"]) if summary.get("count") else (0, 1)
        stretch = ET.SubElement(renderer, f"{colour}ContrastEnhancement")
        ET.SubElement(stretch, "minValue").text = _number(low)
        # The difference must not be 0, because QGIS divides by it.
        ET.SubElement(stretch, "maxValue").text = _number(high if high > low else low + 1)
        ET.SubElement(stretch, "algorithm").text = "StretchToMinimumMaximum"
    return _raster(renderer)


def label_style(classes: ClassTable = DEFAULT_CLASSES) -> str:
    """Return the style of the class label."""
    entries = [_Entry(each.value, f"{each.value} {each.title}", each.colour) for each in classes]
    return _paletted([*entries, _Entry(LABEL_IGNORE, f"{LABEL_IGNORE} ignore", "#ffffff", 0)])


def flags_style(*, has_confidence: bool = False) -> str:
    """Return the style of the flags. The legend names every combination of bits; uncertain labels are a bit of some."""
    single = {
        Flag.OPTICAL: "optical",
        Flag.TOPO: "topo",
        Flag.LABEL: "label",
        Flag.DISTANCE: "distance",
        Flag.OUTSIDE: "outside",
    }
    entries = [_Entry(0, "nothing missing", MISSING_COLOURS["present"], 0)]
    for value in range(1, sum(single) + 1):
        parts = [name for flag, name in single.items() if value & flag]
        kind = parts[0] if len(parts) == 1 else "several"
        if value & Flag.OUTSIDE:
            kind = "outside"
        entries.append(_Entry(value, f"{value} missing: {', '.join(parts)}", MISSING_COLOURS[kind]))
    if has_confidence:
        bit, gaps = int(Flag.UNCERTAIN), list(enumerate(entries))[1:]
        entries.append(_Entry(bit, f"{bit} uncertain label, nothing missing", UNCERTAIN_COLOUR))
        for value, entry in gaps:
            entries.append(
                _Entry(bit + value, f"{bit + value} uncertain; {entry.label.partition(' ')[2]}", entry.colour)
            )
    return _paletted(entries)


def confidence_style() -> str:
    """Return the style of the confidence of the label, from 0 to 100 percent, with a ramp of four colours."""
    return _ramp(_CONFIDENCES, 100, " %")


def distance_style(farthest: float, unit: str) -> str:
    """Return the style of the distance to the nearest glacier, from 0 to `farthest`, with a ramp of four colours.

    `unit` follows the numbers in the legend.
    """
    return _ramp(_DISTANCES, farthest, f" {unit}" if unit else "")


def _ramp(colours: Sequence[str], farthest: float, suffix: str) -> str:
    """Return the style of a raster whose first band is drawn in a ramp of colours, from 0 to `farthest`."""
    share = 1 / (len(colours) - 1)
    renderer = _single_band("singlebandpseudocolor")
    renderer.set("classificationMin", "0")
    renderer.set("classificationMax", str(round(farthest)))
    shader = ET.SubElement(renderer, "rastershader")
    ramp = ET.SubElement(
        shader,
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        labelPrecision="0",
        minimumValue="0",
        maximumValue=str(round(farthest)),
    )
    for step, colour in enumerate(colours):
        value = str(round(farthest * step * share))
        _item(ramp, "item", _Entry(value, value, colour))
    ET.SubElement(ramp, "rampLegendSettings", minimumLabel="", maximumLabel="", suffix=suffix)
    return _raster(renderer)


def split_style(splits: Sequence[str] = ("train", "dev")) -> str:
    """Return the style of chips: coloured by split."""
    return _categories("split", _splits(splits, _CHIP_TINT))


def catalog_style(splits: Sequence[str] = ("train", "dev")) -> str:
    """Return the style of partitions: coloured by split if they are used, and by reason otherwise."""
    # "year gap 7" and "no composite for 2004" without their numbers.
    attribute = (
        "CASE WHEN \"reason\" = '' THEN \"split\" ELSE trim(regexp_replace(\"reason\", '( for)? ?-?[0-9]+$', '')) END"
    )
    known = {**_REASONS, **(_REASONS_OF_TEST if "test" in splits else {})}
    reasons = [_Entry(reason, f"not used: {text}", colour, _FAINT_TINT) for reason, (text, colour) in known.items()]
    other = _Entry("", "not used: other", UNUSED, _FAINT_TINT)
    return _categories(attribute, [*_splits(splits, _TINT), *reasons, other])


def _splits(splits: Sequence[str], tint: int) -> list[_Entry]:
    return [_Entry(split, split, SPLIT_COLOURS[split], tint) for split in splits]


def _paletted(entries: Sequence[_Entry]) -> str:
    """Return the style of a raster of classes in its first band. Values without an entry are not shown."""
    renderer = _single_band("paletted")
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in entries:
        _item(palette, "paletteEntry", entry)
    return _raster(renderer)


def _categories(attribute: str, entries: Sequence[_Entry]) -> str:
    """Return the style of polygons coloured by an attribute, which is a field or an expression of QGIS.

    The `alpha` of an entry applies to the fill. An entry with an empty value applies to all values without an entry.
    """
    renderer = ET.Element(
        "renderer-v2", type="categorizedSymbol", attr=attribute, enableorderby="0", forceraster="0", symbollevels="0"
    )
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for number, entry in enumerate(entries):
        said = {"value": str(entry.value), "label": entry.label, "symbol": str(number), "render": "true"}
        ET.SubElement(categories, "category", said, type="string")
        symbol = ET.SubElement(symbols, "symbol", name=str(number), type="fill", alpha="1", clip_to_extent="1")
        layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
        options = ET.SubElement(layer, "Option", type="Map")
        drawn = {
            "color": _rgba(entry.colour, entry.alpha),
            "style": "solid",
            "outline_color": _rgba(entry.colour, _OPAQUE),
            "outline_style": "solid",
            "outline_width": "0.26",
            "outline_width_unit": "MM",
            "joinstyle": "miter",
        }
        for name, value in drawn.items():
            ET.SubElement(options, "Option", name=name, value=value, type="QString")
    return _document(renderer)


def _single_band(kind: str) -> ET.Element:
    renderer = ET.Element("rasterrenderer", type=kind, band="1", opacity="1", alphaBand="-1")
    ET.SubElement(renderer, "rasterTransparency")
    return renderer


def _item(parent: ET.Element, tag: str, entry: _Entry) -> None:
    said = {"value": str(entry.value), "label": entry.label, "color": entry.colour, "alpha": str(entry.alpha)}
    ET.SubElement(parent, tag, said)


def _raster(renderer: ET.Element) -> str:
    pipe = ET.Element("pipe")
    pipe.append(renderer)
    # Pixels are not interpolated, because there are no values between classes.
    ET.SubElement(pipe, "rasterresampler", maxOversampling="2")
    return _document(pipe)


def _document(content: ET.Element) -> str:
    root = ET.Element("qgis", version=_VERSION, styleCategories="Symbology")
    root.append(content)
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode")
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n"


def _rgba(colour: str, alpha: int) -> str:
    return ",".join(str(part) for part in (*bytes.fromhex(colour[1:]), alpha))


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
