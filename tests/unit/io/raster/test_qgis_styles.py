"""Styles of QGIS: what the files say, compared with expectations by hand."""

import re
from xml.etree import ElementTree as ET

import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.raster.qgis_styles import (
    catalog_style,
    distance_style,
    flags_style,
    image_style,
    label_style,
    split_style,
)

BANDS = (*(Band(name, Role.OPTICAL) for name in ("nbr", "ndsi", "tcb")), Band("dem", Role.TOPO))
STATISTICS = {
    "nbr": {"count": 9, "p1": -68, "p99": 839},
    "ndsi": {"count": 9, "p1": -455.5, "p99": 838},
    "tcb": {"count": 9, "p1": 1165, "p99": 18780},
    "dem": {"count": 0, "p1": None, "p99": None},
}
# Made by hand; QGIS 3.22 was shown such a file, and told these bands, limits and this alpha band.
MULTIBAND = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="Symbology">
 <pipe>
  <rasterrenderer type="multibandcolor" opacity="1" alphaBand="5" redBand="3" greenBand="1" blueBand="2">
   <rasterTransparency />
   <redContrastEnhancement>
    <minValue>1165</minValue>
    <maxValue>18780</maxValue>
    <algorithm>StretchToMinimumMaximum</algorithm>
   </redContrastEnhancement>
   <greenContrastEnhancement>
    <minValue>-68</minValue>
    <maxValue>839</maxValue>
    <algorithm>StretchToMinimumMaximum</algorithm>
   </greenContrastEnhancement>
   <blueContrastEnhancement>
    <minValue>-455.5</minValue>
    <maxValue>838</maxValue>
    <algorithm>StretchToMinimumMaximum</algorithm>
   </blueContrastEnhancement>
  </rasterrenderer>
  <rasterresampler maxOversampling="2" />
 </pipe>
</qgis>
"""


def _renderer(text, tag="pipe/rasterrenderer"):
    root = ET.fromstring(text.split("\n", 1)[1])  # noqa: S314  our own
    assert root.tag == "qgis"
    return root.find(tag)


def _numbers(renderer):
    return [int(renderer.get(f"{ink}Band")) for ink in ("red", "green", "blue")]


def test_an_image_is_shown_in_false_colour_by_name_between_the_percentiles_of_train():
    assert image_style(BANDS, STATISTICS, masked=4) == MULTIBAND


def test_bands_of_a_stack_are_counted_past_its_label():
    renderer = _renderer(image_style(BANDS, STATISTICS, numbers=[2, 3, 5, 6]))

    assert _numbers(renderer) == [5, 2, 3]
    assert renderer.get("alphaBand") == "-1"


def test_a_band_without_a_value_has_limits_all_the_same():
    only = (Band("dem", Role.TOPO),)

    renderer = _renderer(image_style(only, STATISTICS))

    assert _numbers(renderer) == [1, 1, 1]
    assert [item.text for item in renderer.iter("maxValue")] == ["1", "1", "1"]


def test_a_stretch_is_never_of_nothing():
    same = {"dem": {"count": 9, "p1": 7, "p99": 7}}

    renderer = _renderer(image_style((Band("dem", Role.TOPO),), same))

    assert [item.text for item in renderer.iter("maxValue")] == ["8", "8", "8"]


def test_the_label_is_shown_in_the_colours_of_the_quality_page_and_255_not_at_all():
    found = [(e.get("value"), e.get("color"), e.get("alpha"), e.get("label")) for e in _entries(label_style())]

    assert found == [
        ("0", "#ddd8cb", "255", "0 none"),
        ("1", "#80593a", "255", "1 supraglacial debris"),
        ("2", "#86c5e4", "255", "2 debris-free ice"),
        ("255", "#ffffff", "0", "255 ignore"),
    ]


def _entries(text):
    return _renderer(text).findall("colorPalette/paletteEntry")


def test_every_combination_of_flags_is_named_and_nothing_missing_is_seen_through():
    found = {int(e.get("value")): (e.get("label"), e.get("alpha")) for e in _entries(flags_style())}

    assert sorted(found) == list(range(32))
    assert found[0] == ("nothing missing", "0")
    assert found[5] == ("5 missing: optical, label", "255")
    assert found[8] == ("8 missing: outside", "255")


def test_a_distance_rises_from_0_to_the_farthest_with_its_unit():
    renderer = _renderer(distance_style(9000, "m"))

    assert renderer.get("type") == "singlebandpseudocolor"
    assert [item.get("value") for item in renderer.iter("item")] == ["0", "3000", "6000", "9000"]
    assert renderer.find("rastershader/colorrampshader/rampLegendSettings").get("suffix") == " m"


@pytest.mark.parametrize("style", [split_style, catalog_style])
def test_every_category_has_a_symbol_and_the_splits_have_their_colours(style):
    renderer = _renderer(style(), "renderer-v2")
    symbols = {symbol.get("name"): symbol for symbol in renderer.findall("symbols/symbol")}
    shown = {c.get("value"): symbols[c.get("symbol")] for c in renderer.findall("categories/category")}

    assert len(shown) == len(symbols)
    for split, ink in (("train", "69,57,138"), ("dev", "226,102,47")):
        options = {o.get("name"): o.get("value") for o in shown[split].iter("Option") if o.get("name")}
        assert options["outline_color"] == f"{ink},255"
        assert options["color"].startswith(f"{ink},")


@pytest.mark.parametrize(
    ("reason", "category"),
    [
        ("year gap 7", "year gap"),
        ("no composite for 2004", "no composite"),
        ("no outline", "no outline"),
        ("buffer", "buffer"),
        ("too little glacier", "too little glacier"),
    ],
)
def test_reasons_that_hold_a_number_are_one_category(reason, category):
    renderer = _renderer(catalog_style(), "renderer-v2")
    pattern = re.search(r"regexp_replace\(\"reason\", '(.*?)', ''\)", renderer.get("attr"))[1]

    assert re.sub(pattern, "", reason).strip() == category
    assert category in {c.get("value") for c in renderer.findall("categories/category")}
