"""The quality page of small made-up datasets: every part is drawn, whatever the bands, and nothing leaks in."""

import itertools
import json
import re
from dataclasses import replace

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import shapely

from gcn_luigi.bands import Band, Role, elevation_band
from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory, Note, SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import write_geotiff
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.io.tables import write_geoparquet
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.appearance import CLASS_COLOURS, MISSING_COLOURS, colour, colour_bands
from gcn_luigi.prepare.layers.terrain import hillshade
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.prepare.outlines.columns import outline_rows
from gcn_luigi.prepare.partitions.grid_comparison import describe_shares
from gcn_luigi.prepare.pictures import false_colour, label_picture, missing_picture
from gcn_luigi.prepare.split.leakage import audit_split
from gcn_luigi.report.quality.checks import make_checks
from gcn_luigi.report.quality.chips import choose_chips
from gcn_luigi.report.quality.data import read_report_data
from gcn_luigi.report.quality.inputs import configuration, out_of_range_table, tile_table
from gcn_luigi.report.quality.page import write_report
from gcn_luigi.report.tables import number
from gcn_luigi.settings import OutlineSettings, RegionSettings
from gcn_luigi.stages.dataset.summary import write_index, write_statistics
from gcn_luigi.stages.evaluation.strata import write_strata
from gcn_luigi.stages.evaluation.training_distances import write_training_distances
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard
from tests.reference.html_page import Page

LATTICE = Lattice("EPSG:32607", left=500_000.0, top=6_800_000.0, pixel_size=20.0, height=64, width=96)
EVIL = "<script>alert('$x_1$')</script>"
RICH = (
    {"name": "tcb", "role": "optical"},
    {"name": "nbr", "role": "optical", "valid_min": -1000, "valid_max": 1000},
    {"name": "ndsi", "role": "optical", "unit": EVIL},
    {"name": "dem", "role": "topo", "unit": "m"},
)
BARE = ({"name": "b7", "role": "optical", "unit": "$\u00b5_<b>"},)


def make_settings(bands):
    return RegionSettings.model_validate(
        {
            "region": "tiny",
            "data_root": ".",
            "years": [2005, 2010],
            "bands": bands,
            "outlines": {"path": f"{EVIL}.gpkg"},
            "label": {"stem": "stem.tif"},
            "grid": {"size": 32, "max_outside_share": 0.9},
            "chips": {"size": 16, "step": 8, "min_valid_label_share": 0.25},
            # Two train partitions in three shards: one shard is empty.
            "shards": {"n_train": 3, "n_dev": 1},
        }
    )


def make_catalog():
    cells = [(row, col) for row in (0, 32, 64) for col in (0, 32, 64)]
    split = ["train", "train", "", "", "", "dev", "dev", "", ""]
    table = pd.DataFrame(cells, columns=["row", "col"])
    table.insert(0, "partition", pd.array([f"p{i}&<{i}>" for i in range(9)], dtype="str"))
    table["height"] = table["width"] = 32
    table["split"] = pd.array(split, dtype="str")
    table["used"] = table["split"] != ""
    table["reason"] = pd.array(["" if name else EVIL for name in split], dtype="str")
    table["year"] = pd.array([2005, 2010, None, None, None, 2010, 2010, None, None], dtype="Int64")
    table["year_gap"] = pd.array([0, 7, None, None, None, 1, 1, None, None], dtype="Int64")
    table["glacier_share"] = table["share_debris"] = 0.25
    table["share_ice"] = 0.0
    table["outline_year"] = table["year"]
    table["block"] = pd.array(split, dtype="str")
    table["outside_share"] = 0.0
    table["rgi_ids"] = "RGI<1>"
    table["left"] = LATTICE.left + 20.0 * table["col"]
    table["top"] = LATTICE.top - 20.0 * table["row"]
    table["right"], table["bottom"] = table["left"] + 640.0, table["top"] - 640.0
    boxes = shapely.box(table["left"], table["bottom"], table["right"], table["top"])
    return gpd.GeoDataFrame(table, geometry=boxes, crs=LATTICE.crs)


def make_pixels(schema):
    rng = np.random.default_rng(3)
    stack = np.zeros((len(schema), *LATTICE.shape), np.int16)
    for plane, band in zip(stack, schema, strict=True):
        plane[...] = rng.integers(0, 3 if band.role is Role.LABEL else 900, plane.shape)
    stack[0, 4:9, 4:9] = schema.bands[0].nodata
    stack[schema.label_index, :, 80:] = 255
    return stack


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


def tile_quality(settings, band):
    """Return counts of 13 tiles in two years; with a valid range, all but the last have wild values."""
    is_judged = band.valid_min is not None
    years = settings.years if band.role is Role.OPTICAL else (None,)
    rows = []
    for tile, year in itertools.product(range(13), years):
        wild = 12 - tile if is_judged else 0
        counts = {"valid": 900 - wild, "missing": 100, "out_of_range": wild, "min": 0.0, "max": 1.0}
        rows.append({"tile": str(tile), "path": f"optical/{tile}/{EVIL}_{band.name}.tif", "year": year, **counts})
    totals = {key: sum(row[key] for row in rows) for key in ("valid", "missing", "out_of_range")}
    limits = {"valid_min": band.valid_min, "valid_max": band.valid_max}
    return {"band": band.name, **limits, "totals": totals, "tiles": rows}


def make_dataset(root, bands):
    settings, paths, catalog = make_settings(bands), DatasetPaths(root), make_catalog()
    schema = settings.schema_bands
    pixels = make_pixels(schema)
    notes = tuple(Note(str(i), "", EVIL, f"remark {i}") for i in range(40))
    paths.shards.mkdir(parents=True)
    region, tiles = Region(settings, root.parent / "input"), []
    for band, plane in zip(schema, pixels, strict=True):
        if band.role is Role.OPTICAL:
            name, count = f"optical/0123/0123_{band.name}.tif", len(settings.years)
            tiles.append(SourceFile("0123", band.name, name, LATTICE.window, "int16", None, count))
            (region.root / name).parent.mkdir(parents=True, exist_ok=True)
            write_geotiff(region.root / name, LATTICE, np.stack([plane] * count), nodata=None, names=[""] * count)
    inventory = Inventory(LATTICE, tuple(sorted(tiles, key=lambda tile: tile.path)), overlaps=notes)
    paths.inventory.write_text(inventory.to_json(), encoding="utf-8")
    label = pixels[schema.label_index][None].astype(np.uint8)
    write_geotiff(paths.label, LATTICE, label, nodata=255, names=["label"])
    for band, plane in zip(schema, pixels, strict=True):
        if band.role in (Role.OPTICAL, Role.TOPO):
            paths.tile_quality(band.name).parent.mkdir(exist_ok=True)
            write_json(paths.tile_quality(band.name), tile_quality(settings, band))
        if band.role is Role.TOPO:
            paths.mosaic(band).parent.mkdir(exist_ok=True)
            write_geotiff(paths.mosaic(band), LATTICE, plane[None], nodata=band.nodata, names=[band.name])
    write_geoparquet(paths.catalog, catalog)
    joined = pd.DataFrame({"cell": catalog["partition"], "outline": ["RGI<1>"] * len(catalog)})
    write_json(
        paths.split_audit, audit_split(catalog, joined) | {"notes": {"outlines": [EVIL], "grid": [], "split": []}}
    )
    shares = {"train": describe_shares(np.array([0.1, 0.4])), "dev": describe_shares(np.empty(0))}
    write_json(paths.grid_comparison, {"128": shares, "256": shares, "512": shares})
    write_json(paths.grid_notes, {"n_cells": 9, "size_px": 32, "notes": []})
    for split, total in (("train", 3), ("dev", 1)):
        for shard in range(total):
            request = ShardRequest(region, paths, split, shard, total)
            build_shard(request, paths.shard(split, shard, total), lambda _said, _share: None)
    write_index(settings, paths, paths.index, paths.index_map, paths.metadata_log)
    write_statistics(settings, paths, paths.statistics)
    shards = [paths.shard("train", shard, 3) for shard in range(3)] + [paths.shard("dev", 0, 1)]
    write_training_distances(region, paths, shards, paths.features, paths.distances, lambda _said, _share: None)
    write_strata(region, paths, paths.strata, lambda _said, _share: None)
    return settings, paths


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("rich") / "tiny", RICH)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("bare") / "tiny", BARE)


@pytest.fixture(scope="module")
def text(rich, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_report(*rich, out)
    return out.read_text(encoding="utf-8")


def test_the_page_is_well_formed_with_unique_ids(text):
    page = Page(text)

    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert len(page.all("svg")) == 13


def test_every_reference_stays_within_the_page(text):
    page = Page(text)
    targets = [attrs[key] for _, attrs in page.tags for key in ("src", "href", "xlink:href") if key in attrs]
    targets += re.findall(r"url\(([^)]*)\)", text)

    assert targets
    assert all(target.startswith(("data:image/png;base64,", "#")) for target in targets)
    assert {target[1:] for target in targets if target.startswith("#")} <= set(page.ids)
    assert not page.all("script")
    assert not page.all("link")


def test_every_picture_says_what_it_shows_and_every_table_has_a_caption_and_heads(text):
    page = Page(text)

    assert all(picture["alt"] for picture in page.all("img"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
    assert len(page.all("table")) == len(page.all("caption"))
    assert {"row", "col"} == {head["scope"] for head in page.all("th")}


def test_text_from_files_and_settings_is_escaped(text):
    page = Page(text)

    assert "<script>alert" not in text
    assert "".join(page.text).count(EVIL) >= 5
    assert "RGI<1>" in "".join(page.text)


def test_the_same_dataset_gives_the_same_bytes_whatever_the_user_set_for_matplotlib(rich, text, tmp_path):
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "lines.linewidth": 9}):
        write_report(*rich, tmp_path / "again.html")

        assert mpl.rcParams["font.size"] == 30
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text


def test_the_page_knows_neither_its_place_nor_the_day(rich, text):
    _, paths = rich

    assert str(paths.root) not in text
    assert not re.search(r"\d{4}-\d{2}-\d{2}", text)


def mirror(paths, root):
    """Return the layout of a copy whose files may be replaced one by one."""
    root.mkdir()
    for path in paths.root.iterdir():
        (root / path.name).symlink_to(path)
    return DatasetPaths(root)


def test_one_optical_band_without_topography_and_a_split_without_chips_are_enough(bare, tmp_path):
    settings, paths = bare
    copy = mirror(paths, tmp_path / "tiny")
    index = gpd.read_parquet(paths.index)
    copy.index.unlink()
    write_geoparquet(copy.index, index[index["split"] == "train"])

    write_report(settings, copy, tmp_path / "report.html")

    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    said = "".join(page.text)
    assert "false colour (b7 red, b7 green, b7 blue" in said
    assert "topo missing" not in said.split("Example chips")[1]
    assert "This split has no chip." in said
    assert len(page.all("svg")) == 12


def test_a_damaged_raster_is_named(rich, tmp_path):
    settings, layout = rich
    copy = mirror(layout, tmp_path / "tiny")
    copy.label.unlink()
    copy.label.write_bytes(b"no raster")

    with pytest.raises(InputError, match=r"label\.tif"):
        write_report(settings, copy, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_flags_are_counted_as_a_plain_loop_counts_them(rich):
    settings, paths = rich
    data = read_report_data(settings, paths)
    with ShardReader(paths.shard("dev", 0, 1)) as shard:
        planes = np.array([shard.pixels("flags", row) for row in range(len(shard))])

    counts = data.flags["dev"]

    assert counts.n_chips == counts.n_all == len(planes)
    assert counts.share(Flag.LABEL) == ((planes & 4) > 0).mean() > 0
    alone = ((planes & 4) > 0) & ((planes & 8) == 0)
    assert counts.share(Flag.LABEL, without=Flag.OUTSIDE) == alone.mean()


def test_the_checks_tell_of_shared_glaciers_and_of_remarks(rich):
    checks = {check.question: check for check in make_checks(read_report_data(*rich))}

    shared = checks["Do train and dev share glaciers?"]
    assert (shared.answer, shared.is_fine) == ("1 glacier", False)
    assert checks["Do train and dev share pixels?"].is_fine
    assert checks["Are all tile files there, used once, and laid out as expected?"].answer == "overlaps 40"


@pytest.mark.parametrize(("repairs", "answer"), [([], "yes"), (["1 rows without area skipped: a"], "1 note")])
def test_a_column_that_was_chosen_is_no_outline_that_was_changed(rich, repairs, answer):
    columns = pd.DataFrame({"RGIId": ["a", "b"], "Id": [1, 2], "BgnDate": ["20050101", "20050102"]})
    notes = outline_rows(columns, OutlineSettings(path="a.gpkg"), "a.gpkg").notes
    assert len(notes) == 1
    data = read_report_data(*rich)
    data = replace(data, audit=data.audit | {"notes": {"outlines": [*notes, *repairs]}})

    check = next(one for one in make_checks(data) if one.question.startswith("Were all outlines read"))

    assert (check.answer, check.is_fine) == (answer, not repairs)


def test_long_lists_are_cut_and_say_so(text):
    assert "remark 24" in text
    assert "remark 25" not in text
    assert "and 15 more, see inventory.json" in text


def test_the_tiles_are_summed_up_by_band(rich):
    table = tile_table(read_report_data(*rich))

    # 13 files of 1000 px, in two years but for topography.
    assert [row[0] for row in table.rows] == ["tcb", "nbr", "ndsi", "dem"]
    assert table.rows[1] == ("nbr", "13", "\u22121,000", "1,000", "23,244", "2,600", "156", "10.6%")
    assert table.rows[3] == ("dem", "13", "\u2013", "\u2013", "11,700", "1,300", "0", "10.0%")


def test_the_tiles_with_most_wild_values_are_named_and_the_rest_is_counted(rich, text):
    table = out_of_range_table(read_report_data(*rich))

    assert len(table.rows) == 20
    assert [row[3] for row in table.rows] == [str(12 - i // 2) for i in range(20)]
    assert table.rows[1] == (f"optical/0/{EVIL}_nbr.tif", "nbr", "2010", "12", "1.20%")
    assert table.more == "and 4 more, see tile_quality"
    assert table.rows[0][0] in "".join(Page(text).text)


def test_the_checks_tell_of_wild_values_and_of_bands_without_a_range(rich, bare):
    asked = "Are all values of the tiles in the valid range of their band?"
    told, untold = ({check.question: check for check in make_checks(read_report_data(*one))} for one in (rich, bare))

    assert (told[asked].answer, told[asked].is_fine) == (
        "nbr 156 out of range; no range is set for tcb, ndsi, dem",
        False,
    )
    assert (untold[asked].answer, untold[asked].is_fine) == ("not checked; no range is set for b7", False)
    used = "Are all pixels of the used partitions in the valid range of their band?"
    assert "no range is set for tcb, ndsi, dem" in told[used].answer
    assert (untold[used].answer, untold[used].is_fine) == ("not checked; no range is set for b7", False)


@pytest.mark.parametrize(("outside", "is_fine"), [(0, True), (1, True), (50, False)])
def test_ice_outside_the_outlines_and_unused_composites_are_checked(rich, outside, is_fine):
    data = read_report_data(*rich)
    notes = {"ice_pixels_inside": 100 - outside, "ice_pixels_outside": outside, "notes": []}
    last = max(data.settings.years)
    catalog = data.catalog.assign(year=min(data.settings.years))
    asked = {check.question: check for check in make_checks(replace(data, label_notes=notes, catalog=catalog))}

    ice = asked["Do the pixels with enough votes for ice lie inside the outlines?"]
    assert ice.is_fine == is_fine
    assert ice.answer == (f"{outside}.0% lie outside; the label gives them the class none" if outside else "yes")
    years = asked["Is a partition cut from every composite?"]
    assert not years.is_fine
    assert f"{last}" in years.answer


def test_tiles_within_their_ranges_are_fine(rich, tmp_path):
    settings, paths = rich
    copy = mirror(paths, tmp_path / "tiny")
    (copy.root / "tile_quality").unlink()
    (copy.root / "tile_quality").mkdir()
    for band in settings.schema_bands.image:
        found = json.loads(paths.tile_quality(band.name).read_text(encoding="utf-8"))
        found["tiles"] = [row | {"out_of_range": 0} for row in found["tiles"]]
        found["totals"]["out_of_range"] = 0
        write_json(copy.tile_quality(band.name), found)
    data = read_report_data(settings, copy)

    check = next(one for one in make_checks(data) if one.question.startswith("Are all values of the tiles"))

    assert (check.answer, check.is_fine) == ("yes; no range is set for tcb, ndsi, dem", True)
    assert out_of_range_table(data).rows == ()


def test_settings_that_differ_from_the_default_are_marked(rich):
    sections = dict(configuration(read_report_data(*rich)))

    marked = {key for key, _, is_set in sections["chips"] if is_set}
    assert marked == {"size", "step", "min_valid_label_share"}


def chips_of(rows):
    table = pd.DataFrame(rows, columns=["chip_id", "share_none", "share_debris", "share_ice", "valid_share", "left"])
    table["bottom"], table["top"] = LATTICE.bottom, LATTICE.top
    table["right"] = table["left"] + 320.0
    return table


def test_chips_are_chosen_by_their_rules_whatever_the_order_of_the_index():
    inside, beyond = LATTICE.left, LATTICE.left - 20.0
    rows = [
        ("typical", 0.50, 0.10, 0.35, 1.0, inside),
        ("debris", 0.40, 0.60, 0.00, 1.0, inside),
        ("ice", 0.00, 0.05, 0.95, 1.0, inside),
        ("margin", 0.49, 0.00, 0.51, 1.0, inside),
        ("edge", 0.80, 0.00, 0.10, 0.9, beyond),
        ("worst", 0.20, 0.00, 0.00, 0.2, beyond),
        ("other", 0.60, 0.10, 0.30, 1.0, inside),
    ]
    expected = dict(
        zip(("Typical", "Debris-rich", "Ice-rich", "Ice margin", "Edge", "Worst"), [r[0] for r in rows], strict=False)
    )
    for order in (rows, rows[::-1], rows[3:] + rows[:3]):
        chips = chips_of(order)

        chosen = {kind: chips["chip_id"][position] for kind, _, position in choose_chips(chips, LATTICE)}

        assert chosen == expected


def test_no_chip_is_chosen_twice_and_none_is_made_up():
    chips = chips_of([("a", 1.0, 0.0, 0.0, 1.0, LATTICE.left), ("b", 1.0, 0.0, 0.0, 0.5, LATTICE.left)])

    assert [(kind, position) for kind, _, position in choose_chips(chips, LATTICE)] == [("Typical", 0), ("Worst", 1)]
    assert choose_chips(chips.iloc[:0], LATTICE) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("ndsi", "nbr", "x", "tcb"), (3, 1, 0)),
        (("nbr", "ndvi", "ndsi"), (0, 1, 2)),
        (("blue", "green", "red"), (2, 1, 0)),
        (("b1", "b2", "b3", "b4"), (0, 1, 2)),
        (("b1", "b2"), (0, 1, 1)),
        (("b1",), (0, 0, 0)),
    ],
)
def test_false_colour_takes_known_bands_by_name_and_else_the_first_ones(names, expected):
    assert colour_bands([Band(name, Role.OPTICAL) for name in names]) == expected


def test_pictures_show_values_classes_and_causes():
    image = np.array([[[0, 100]], [[100, 0]], [[0, 0]]], np.int16)
    flags = np.array([[0, 1]], np.uint8)
    limits = [(0, 0.0, 100.0), (1, 0.0, 100.0), (2, 0.0, 100.0)]

    rgb = false_colour(image, flags, limits, hiding=int(Flag.OPTICAL))

    assert rgb[0, 0].argmax() == 1
    assert len(set(rgb[0, 1].tolist())) == 1
    assert label_picture(np.array([[0, 1, 2]], np.uint8))[0].tolist() == [
        list(colour(c)) for c in CLASS_COLOURS.values()
    ]
    causes = missing_picture(np.array([[0, 1, 2, 4, 16, 3, 15]], np.uint8))[0].tolist()
    expected = ("present", "optical", "topo", "label", "distance", "several", "outside")
    assert causes == [list(colour(MISSING_COLOURS[name])) for name in expected]


def test_light_falls_from_the_north_west():
    row, col = np.mgrid[0:5, 0:5] * 20.0
    facing_north_west, facing_south_east = row + col, -row - col

    assert (
        hillshade(facing_north_west, 20.0, None)[2, 2] > np.sqrt(0.5) > hillshade(facing_south_east, 20.0, None)[2, 2]
    )
    assert hillshade(np.zeros((3, 3)), 20.0, None)[1, 1] == pytest.approx(np.sqrt(0.5))
    assert np.isnan(hillshade(np.full((3, 3), -9999.0), 20.0, -9999)).all()


def test_only_a_topographic_band_named_as_heights_is_taken_for_relief():
    assert elevation_band([Band("dem", Role.OPTICAL), Band("slope", Role.TOPO)]) is None
    assert elevation_band([Band("slope", Role.TOPO), Band("dem", Role.TOPO)]).name == "dem"
    assert elevation_band([Band("height", Role.TOPO, derive="slope"), Band("z", Role.TOPO)]) is None
    assert elevation_band([Band("north", Role.TOPO), Band("z", Role.TOPO, stacked=False)]).name == "z"


def test_numbers_are_set_for_people():
    assert [number(value) for value in (None, 0, -12, 1234567)] == ["\u2013", "0", "\u221212", "1,234,567"]
    assert number(-0.001, 1) == "0.0"


def test_the_figures_of_a_split_are_those_of_its_statistics(rich, text):
    statistics = json.loads(rich[1].statistics.read_text(encoding="utf-8"))
    said = "".join(Page(text).text)

    for split in ("train", "dev"):
        kept = statistics["chips"][split]["kept"]
        assert f"{kept} (" in said
    assert f"{statistics['classes']['pixels']['debris']:,}" in said
    assert f"{statistics['bands']['tcb']['count']:,}" in said
