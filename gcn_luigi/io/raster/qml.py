"""Layer styles of QGIS: the text of ``.qml`` files, which QGIS loads by itself where they lie beside a layer.

A ``.qml`` has the file's name but for the last suffix. What is written here is the part of QGIS's own format that says
how pixels or shapes are drawn (docs.qgis.org, User Manual, "QML - The QGIS Style File Format"); what is left out, QGIS
takes from its defaults. QGIS 3.22 was seen to read it. Equal arguments give equal bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

# Since which QGIS the options of symbols are read.
_VERSION = "3.22.0"
_OPAQUE = 255


@dataclass(frozen=True)
class ShownBand:
    """A band as one of red, green and blue.

    Attributes
    ----------
    number : int
        Of the band, from 1.
    low, high : float
        Values shown dark and bright.
    """

    number: int
    low: float
    high: float


@dataclass(frozen=True)
class Entry:
    """A value, or a stop of a ramp, and how it is drawn.

    Attributes
    ----------
    value : str or float
        Number of a raster, or text of an attribute.
    label : str
        For the legend.
    colour : str
        ``#rrggbb``.
    alpha : int
        0 shows nothing, 255 covers what lies below.
    """

    value: str | float
    label: str
    colour: str
    alpha: int = _OPAQUE


def multiband_style(red: ShownBand, green: ShownBand, blue: ShownBand, *, alpha_band: int | None = None) -> str:
    """Return the style of a raster shown in colour, each band stretched between its limits.

    Parameters
    ----------
    red, green, blue : ShownBand
        What is shown as what.
    alpha_band : int or None
        Number of the band that says how opaque a pixel is. QGIS shows the mask of a file as one band more.

    Returns
    -------
    str
        XML.
    """
    shown = {"red": red, "green": green, "blue": blue}
    renderer = ET.Element("rasterrenderer", type="multibandcolor", opacity="1", alphaBand=str(alpha_band or -1))
    for colour, band in shown.items():
        renderer.set(f"{colour}Band", str(band.number))
    ET.SubElement(renderer, "rasterTransparency")
    for colour, band in shown.items():
        stretch = ET.SubElement(renderer, f"{colour}ContrastEnhancement")
        ET.SubElement(stretch, "minValue").text = _number(band.low)
        # QGIS divides by the difference.
        ET.SubElement(stretch, "maxValue").text = _number(max(band.high, band.low + 1))
        ET.SubElement(stretch, "algorithm").text = "StretchToMinimumMaximum"
    return _raster(renderer)


def paletted_style(entries: Sequence[Entry]) -> str:
    """Return the style of a raster of classes, its first band; values that are not named are not shown."""
    renderer = _single_band("paletted")
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in entries:
        _item(palette, "paletteEntry", entry)
    return _raster(renderer)


def ramp_style(stops: Sequence[Entry], unit: str) -> str:
    """Return the style of a raster of numbers, its first band, in colours between `stops`.

    Parameters
    ----------
    stops : sequence of Entry
        Rising numbers; values beyond are shown as the nearest.
    unit : str
        Written behind the numbers of the legend.

    Returns
    -------
    str
        XML.
    """
    low, high = float(stops[0].value), float(stops[-1].value)
    renderer = _single_band("singlebandpseudocolor")
    renderer.set("classificationMin", _number(low))
    renderer.set("classificationMax", _number(high))
    shader = ET.SubElement(renderer, "rastershader")
    ramp = ET.SubElement(
        shader,
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        labelPrecision="0",
        minimumValue=_number(low),
        maximumValue=_number(high),
    )
    for stop in stops:
        _item(ramp, "item", stop)
    ET.SubElement(ramp, "rampLegendSettings", minimumLabel="", maximumLabel="", suffix=f" {unit}" if unit else "")
    return _raster(renderer)


def category_style(attribute: str, entries: Sequence[Entry], *, is_outlined: bool = True) -> str:
    """Return the style of polygons coloured by an attribute.

    Parameters
    ----------
    attribute : str
        A field, or an expression of QGIS.
    entries : sequence of Entry
        Its values; `alpha` is that of the fill. An empty text stands for all that are not named.
    is_outlined : bool
        Draw the edges in the same colour, opaque.

    Returns
    -------
    str
        XML.
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
            "outline_style": "solid" if is_outlined else "no",
            "outline_width": "0.26",
            "outline_width_unit": "MM",
            "joinstyle": "miter",
        }
        for name, value in drawn.items():
            ET.SubElement(options, "Option", name=name, value=value, type="QString")
    return _document(renderer, styles="Symbology")


def _single_band(kind: str) -> ET.Element:
    renderer = ET.Element("rasterrenderer", type=kind, band="1", opacity="1", alphaBand="-1")
    ET.SubElement(renderer, "rasterTransparency")
    return renderer


def _item(parent: ET.Element, tag: str, entry: Entry) -> None:
    value = entry.value if isinstance(entry.value, str) else _number(entry.value)
    ET.SubElement(parent, tag, value=value, label=entry.label, color=entry.colour, alpha=str(entry.alpha))


def _raster(renderer: ET.Element) -> str:
    pipe = ET.Element("pipe")
    pipe.append(renderer)
    # Pixels as they are: classes have nothing between them.
    ET.SubElement(pipe, "rasterresampler", maxOversampling="2")
    return _document(pipe, styles="Symbology")


def _document(content: ET.Element, *, styles: str) -> str:
    root = ET.Element("qgis", version=_VERSION, styleCategories=styles)
    root.append(content)
    ET.indent(root, " ")
    text = ET.tostring(root, encoding="unicode")
    return f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n{text}\n"


def _rgba(colour: str, alpha: int) -> str:
    return ",".join(str(part) for part in (*bytes.fromhex(colour[1:]), alpha))


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
