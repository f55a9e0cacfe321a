"""A label of five classes through the graph: chips, statistics, split, pages, styles, reader, export and checks."""

import json
import re

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

import gcn_luigi
from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import ConfigError, GcnLuigiError
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.prepare.partitions.query import Selection
from gcn_luigi.read.checks.shards import index_problems
from gcn_luigi.read.export.export import Request, export
from gcn_luigi.read.labels import map_label
from gcn_luigi.read.validate import validate
from gcn_luigi.report.served.pages import page_of
from gcn_luigi.tasks import ClassLabel
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import build_inline, dataset
from tests.integration.changes import write_config
from tests.integration.commands import make_tiny

# Neither in order nor without gaps.
CLASSES = [
    {"name": "lake", "value": 40, "colour": "#0000ee"},
    {"name": "ice", "value": 3},
    {"name": "none", "value": 0},
    {"name": "rock_glacier", "value": 7, "glacier": True},
    {"name": "debris", "value": 2},
]
NAMES = ("none", "debris", "ice", "rock_glacier", "lake")
VALUES = {"none": 0, "debris": 2, "ice": 3, "rock_glacier": 7, "lake": 40}
KINDS = {"clean": "ice", "covered": "debris", "tongue": "rock_glacier", "water": "lake", "unsure": "ignore"}
LABEL = {"source": "outlines", "class_column": "kind", "classes": KINDS}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def polygons(tiny):
    """Write glaciers with patches of other classes, and return the shapes and kinds, the largest first."""
    outlines = pyogrio.read_dataframe(tiny.sources / "rgi/outlines.gpkg").to_crs("EPSG:3338")
    rows = [("clean", shape, date) for shape, date in zip(outlines.geometry, outlines["BgnDate"], strict=True)]
    for number, (kind, metres) in enumerate(
        (("covered", 1100.0), ("tongue", 800.0), ("water", 600.0), ("unsure", 200.0))
    ):
        for shape, date in zip(outlines.geometry, outlines["BgnDate"], strict=True):
            middle = shape.representative_point()
            rows.append((kind, shapely.Point(middle.x + 900 * number, middle.y).buffer(metres), date))
    kinds, shapes, dates = zip(*rows, strict=True)
    frame = gpd.GeoDataFrame(
        {"kind": kinds, "RGIId": [f"r{number}" for number in range(len(kinds))], "BgnDate": dates},
        geometry=list(shapes),
        crs="EPSG:3338",
    )
    pyogrio.write_dataframe(frame, tiny.sources / "kinds.gpkg", driver="GPKG")
    return sorted(zip(shapes, kinds, strict=True), key=lambda row: -row[0].area)


def config_of(directory, tiny, **changes):
    base = {"outlines.path": "kinds.gpkg", "classes": CLASSES, "label": LABEL}
    return write_config(directory, tiny, base | changes)


@pytest.fixture(scope="module")
def built(tiny, polygons, tmp_path_factory):  # noqa: ARG001  its file is read
    """Return the root task of a finished dataset of five classes, with its page."""
    root = tmp_path_factory.mktemp("built")
    config = config_of(root / "config", tiny, **{"chips.min_share": {"lake": 0.001}, "chips.min_glacier_share": 0.02})
    task = dataset(tiny.region, root / "out", tiny.sources, config)
    build_inline(task, page=True)
    return task


@pytest.fixture(scope="module")
def opened(built):
    return gcn_luigi.open_dataset(built.paths.root)


@pytest.fixture(scope="module")
def expected(built, polygons):
    """Return the label by rasterio alone."""
    values = VALUES | {"ignore": 255}
    with rasterio.open(built.paths.label) as source:
        shape, transform = source.shape, source.transform
    pairs = [(polygon, values[KINDS[kind]]) for polygon, kind in polygons]
    return rasterize(pairs, out_shape=shape, transform=transform, dtype="uint8")


def test_label_and_chips_are_what_rasterio_burns(built, opened, expected):
    with rasterio.open(built.paths.label) as source:
        np.testing.assert_array_equal(source.read(1), expected)
        transform = source.transform
    assert set(np.unique(expected)) == {*VALUES.values(), 255}
    for split in ("train", "dev"):
        boxes = opened.chip_boxes[opened.chip_boxes["split"] == split]
        for chip, row in zip(opened.chips(split), boxes.itertuples(), strict=True):
            left, _, _, top = row.geometry.bounds
            col, line = (round(value) for value in ~transform * (left, top))
            size = chip["label"].shape[0]
            label = expected[line : line + size, col : col + size]
            np.testing.assert_array_equal(chip["label"], label)
            np.testing.assert_array_equal(chip["flags"] & 4 > 0, label == 255)
            for name, value in VALUES.items():
                assert getattr(row, f"share_{name}") == np.float32((label == value).mean())
            assert row.share_lake >= np.float32(0.001)
            assert (np.isin(label, (2, 3, 7))).mean() >= 0.02


def test_statistics_and_catalog_count_every_class(built, opened, expected):
    content = opened.statistics
    seen = np.zeros(expected.shape, np.int64)
    with rasterio.open(built.paths.label) as source:
        transform = source.transform
    boxes = opened.chip_boxes[opened.chip_boxes["split"] == "train"]
    size = opened.chips("train")[0]["label"].shape[0]
    for shape in boxes.geometry:
        col, line = (round(value) for value in ~transform * (shape.bounds[0], shape.bounds[3]))
        seen[line : line + size, col : col + size] += 1

    once = {name: int(((expected == value) & (seen > 0)).sum()) for name, value in VALUES.items()}
    sampled = {name: int(seen[expected == value].sum()) for name, value in VALUES.items()}
    assert content["classes"]["pixels"] == once
    assert content["as_sampled"]["classes"]["pixels"] == sampled
    total = sum(once.values())
    weights = content["classes"]["weights"]["inverse_frequency"]
    assert weights == {name: pytest.approx(total / (5 * count)) for name, count in once.items()}
    assert {"too-little-lake", "too-little-rock_glacier", "too-little-glacier"} <= set(content["chips"]["train"])
    assert content["chips"]["train"]["too-little-lake"] > 0
    catalog = read_geoparquet(built.paths.catalog)
    for row in catalog.itertuples():
        pixels = expected[row.row : row.row + row.height, row.col : row.col + row.width]
        for name, value in VALUES.items():
            share = (pixels == value).sum() / (row.height * row.width)
            assert getattr(row, f"share_{name}") == pytest.approx(share)
    audit = json.loads(built.paths.split_audit.read_text())
    # Patches lie within glaciers on purpose.
    assert audit["notes"]["outlines"] == []
    assert {"glacier_share_mean", "debris_share_mean", "rock_glacier_share_mean", "lake_share_mean"} <= set(audit)


def test_page_card_and_style_name_every_class_in_its_colour(built):
    page, card = built.paths.report.read_text(encoding="utf-8"), built.paths.readme.read_text(encoding="utf-8")
    assert "0 none, 2 supraglacial debris, 3 debris-free ice, 7 rock glacier, 40 lake, 255 ignore" in card
    assert re.search(r"lake \d+", card)
    assert "#0000ee" in page.lower()
    for text in (
        "Rock glacier",
        "Lake-rich",
        "Share of each partition",
        "Glacier: debris, ice and rock glacier",
        "several classes contain",
    ):
        assert text in page
    style = built.paths.style(built.paths.label).read_text(encoding="utf-8")
    assert 'value="40"' in style
    assert 'color="#0000ee"' in style
    shard = next(iter(sorted(built.paths.shards.glob("*.h5"))))
    for name in ("catalog", f"shards/{shard.stem}"):
        assert "rock" in page_of(built.paths, name)


def test_the_reader_knows_the_classes(opened):
    assert opened.class_names == NAMES
    assert [(each.name, each.value, each.glacier) for each in opened.classes] == [
        ("none", 0, False), ("debris", 2, True), ("ice", 3, True), ("rock_glacier", 7, True), ("lake", 40, False),
    ]  # fmt: skip
    label = opened.chips("train")[0]["label"]
    places = map_label(label, "classes", opened.classes)
    lookup = np.full(256, 255)
    lookup[list(VALUES.values())] = range(5)
    np.testing.assert_array_equal(places, lookup[label])
    np.testing.assert_array_equal(map_label(label, "binary", opened.classes) == 1, np.isin(label, (2, 3, 7)))
    np.testing.assert_array_equal(map_label(label, "lake", opened.classes) == 1, label == 40)
    with pytest.raises(ConfigError, match="no mapping 'three'"):
        map_label(label, "three", opened.classes)
    with pytest.raises(GcnLuigiError, match="holds"):
        map_label(np.uint8([40]), "binary")
    pytest.importorskip("xarray")
    chips = opened.to_xarray(opened.chip_table["chip_id"][:2])
    assert chips["label"].attrs["flag_meanings"] == "none debris ice rock_glacier lake ignore"
    assert chips["label"].attrs["flag_values"].tolist() == [0, 2, 3, 7, 40, 255]
    assert "share_lake" in chips.coords


def test_the_shard_says_what_its_values_mean(built):
    with open_shard(next(iter(sorted(built.paths.shards.glob("*.h5"))))) as shard:
        said = json.loads(shard.attributes["classes"])
    assert [each["name"] for each in said] == list(NAMES)
    assert "colour" not in said[0]


def test_nothing_is_wrong_and_another_meaning_is_noticed(built):
    assert list(validate(built.paths.root, deep=True)) == []

    other = gcn_luigi.open_dataset(built.paths.root)
    renamed = [dict(each, name="pond") if each["name"] == "lake" else each for each in CLASSES]
    # As if the manifest named other classes.
    other.__dict__["classes"] = ClassTable.of(renamed)
    names = sorted(path.name for path in built.paths.shards.glob("*.h5"))
    problems = list(index_problems(other, names))
    told = "its label has the classes none, debris, ice, rock_glacier, lake, the dataset has others"
    assert problems == [f"{name}: {told}" for name in names]


def test_exported_labels_have_the_colours_of_the_table(opened, tmp_path):
    export(opened, tmp_path / "out", Request(Selection(chips=(opened.chip_table["chip_id"].iloc[0],))), lambda *_: None)

    (path,) = (tmp_path / "out").glob("*_label.tif")
    with rasterio.open(path) as source:
        assert source.colormap(1)[40] == (0, 0, 238, 255)
        assert source.tags()["classes"] == "0 none, 2 debris, 3 ice, 7 rock_glacier, 40 lake"


def test_a_colour_rebuilds_no_chip(built, tiny, tmp_path):
    painted = [dict(each, colour="#00ee00") if each["name"] == "lake" else each for each in CLASSES]
    config = config_of(
        tmp_path / "config",
        tiny,
        classes=painted,
        **{"chips.min_share": {"lake": 0.001}, "chips.min_glacier_share": 0.02},
    )
    root = dataset(tiny.region, built.paths.root.parent, tiny.sources, config)

    stale = {type(task).__name__ for task in (*upstream(root), root) if not task.is_published()}

    # The catalog of shards names the colours of classes, too.
    assert stale == {"LayerStyles", "StacCatalog", "QualityReport", "Dataset"}


def test_the_default_classes_written_out_change_nothing(tiny, tmp_path):
    written = [{"name": name, "value": value} for value, name in enumerate(("none", "debris", "ice"))]
    config = write_config(tmp_path / "config", tiny, {"classes": written})
    plain = dataset(tiny.region, tmp_path / "plain", tiny.sources, tiny.config).configured.settings
    given = dataset(tiny.region, tmp_path / "plain", tiny.sources, config).configured.settings

    assert given.model_dump() == plain.model_dump()
    assert "classes" not in plain.model_dump()


def test_votes_and_a_finished_raster_get_the_values_of_the_table(tiny, tmp_path):
    three = [{"name": name, "value": value} for name, value in (("none", 9), ("debris", 5), ("ice", 1), ("lake", 4))]
    plain = dataset(tiny.region, tmp_path / "plain", tiny.sources, tiny.config)
    other = dataset(
        tiny.region, tmp_path / "other", tiny.sources, write_config(tmp_path / "a", tiny, {"classes": three})
    )
    for root in (plain, other):
        build_inline(root.clone(ClassLabel))
    with rasterio.open(plain.paths.label) as first, rasterio.open(other.paths.label) as second:
        votes, made, profile = first.read(1), second.read(1), first.profile
    lookup = np.full(256, 255, np.uint8)
    lookup[[0, 1, 2]] = 9, 5, 1
    np.testing.assert_array_equal(made, lookup[votes])

    given = np.where(votes == 0, 100, votes).astype(np.uint8)
    given[:9] = 77
    with rasterio.open(tiny.sources / "given.tif", "w", **profile) as out:
        out.write(given, 1)
    label = {"raster": "given.tif", "classes": {"100": "none", "1": "debris", "2": "ice", "77": "lake"}}
    config = write_config(tmp_path / "b", tiny, {"classes": three, "label": label})
    mapped = dataset(tiny.region, tmp_path / "mapped", tiny.sources, config)
    build_inline(mapped.clone(ClassLabel))

    with rasterio.open(mapped.paths.label) as source:
        lookup[[100, 77]] = 9, 4
        np.testing.assert_array_equal(source.read(1), lookup[given])
