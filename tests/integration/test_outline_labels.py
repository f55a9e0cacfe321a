"""Labels from outlines alone, through the graph: chips are compared with polygons that rasterio burns."""

import json
import shutil

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

import gcn_luigi
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.read.validate import validate
from gcn_luigi.tasks import ClassLabel
from tests.integration.builds import build_inline, dataset
from tests.integration.changes import write_config
from tests.integration.commands import make_tiny
from tests.integration.test_outline_kinds import glims

NONE, DEBRIS, ICE, IGNORE = 0, 1, 2, 255


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("outlines"))


@pytest.fixture(scope="module")
def outlines(tiny):
    """Return the outlines in the CRS of the tiles."""
    return pyogrio.read_dataframe(tiny.sources / "rgi/outlines.gpkg").to_crs("EPSG:3338")


@pytest.fixture
def make(tiny, tmp_path):
    """Return a function that builds the dataset, or one task of it, with another label; it returns its paths."""

    def make(label, task=None, **changes):
        config = write_config(tmp_path / "config", tiny, {"label": {"source": "outlines", **label}, **changes})
        root = dataset(tiny.region, tmp_path / "out", tiny.sources, config)
        build_inline(root if task is None else root.clone(task))
        return root.paths

    return make


def write(tiny, name, shapes, columns=None, crs="EPSG:3338", layer=None):
    """Write polygons below the sources; return their path for the configuration."""
    frame = gpd.GeoDataFrame(columns or {}, geometry=list(shapes), crs=crs)
    pyogrio.write_dataframe(
        frame, tiny.sources / name, layer=layer or "shapes", driver="GPKG", append=layer is not None
    )
    return name


def burnt(shapes, paths):
    with rasterio.open(paths.label) as source:
        return rasterize(
            [shape for shape in shapes if not shape.is_empty], out_shape=source.shape, transform=source.transform
        ).astype(bool)


def assert_chips_hold(paths, expected):
    """Compare the label of every chip with a raster on the lattice."""
    opened = gcn_luigi.open_dataset(paths.root)
    n_pixels = 0
    with rasterio.open(paths.label) as source:
        transform = source.transform
        np.testing.assert_array_equal(source.read(1), expected)
    for split in ("train", "dev"):
        boxes = opened.chip_boxes
        for chip, box in zip(opened.chips(split), boxes.geometry[boxes["split"] == split], strict=True):
            left, _, _, top = box.bounds
            col, row = (round(value) for value in ~transform * (left, top))
            size = chip["label"].shape[0]
            np.testing.assert_array_equal(chip["label"], expected[row : row + size, col : col + size])
            n_pixels += chip["label"].size
    assert n_pixels
    assert list(validate(paths.root, deep=True)) == []


def test_outlines_alone_are_ice_and_nothing_else_is_needed(make, tiny, outlines):
    shutil.move(tiny.sources / "stem", tiny.sources / "no-stem")
    try:
        paths = make({})
    finally:
        shutil.move(tiny.sources / "no-stem", tiny.sources / "stem")

    inside = burnt(outlines.geometry, paths)
    assert_chips_hold(paths, np.where(inside, ICE, NONE))
    assert 0.05 < inside.mean() < 0.95
    assert json.loads(paths.label_notes.read_text()) == {"contested_pixels": 0, "debris_pixels_outside": 0, "notes": []}
    assert "Hooper" not in paths.citation.read_text(encoding="utf-8")


@pytest.mark.parametrize(("outside", "value"), [("none", NONE), ("ignore", IGNORE), ("debris", DEBRIS)])
def test_debris_outlines_in_another_crs_lie_on_the_ice(make, tiny, outlines, outside, value):
    patches = outlines.geometry.centroid.buffer(900.0)
    far = shapely.transform(patches.to_numpy(), lambda points: points)
    degrees = gpd.GeoSeries(patches, crs="EPSG:3338").to_crs("EPSG:4326")
    name = f"debris-{outside}.gpkg"
    write(tiny, name, degrees, crs="EPSG:4326")
    write(tiny, name, [shapely.box(-150, 60, -149, 61)], crs="EPSG:4326", layer="another")

    paths = make({"debris_outlines": name, "debris_layer": "shapes", "debris_outside": outside})

    inside, debris = burnt(outlines.geometry, paths), burnt(far, paths)
    expected = np.select([inside & debris, inside, debris], [DEBRIS, ICE, value], NONE)
    assert (inside & debris).sum() > 100
    assert (~inside & debris).sum() > 100
    # Edges are reprojected to within a tenth of a pixel.
    with rasterio.open(paths.label) as source:
        label = source.read(1)
    assert (label != expected).mean() < 2e-4
    notes = json.loads(paths.label_notes.read_text())
    assert notes["debris_pixels_outside"] == pytest.approx((~inside & debris).sum(), abs=20)
    assert_chips_hold(paths, label)


def test_a_debris_raster_is_debris_where_it_has_values_and_unknown_beyond_its_edge(make, tiny, outlines):
    first = make({}, ClassLabel)
    with rasterio.open(first.label) as source:
        profile, shape = source.profile, source.shape
    given = np.random.default_rng(3).choice(np.array([0, 0.25, 7, np.nan, -1], np.float32), shape)
    known = np.zeros(shape, bool)
    known[:, : shape[1] - 40] = True
    window = rasterio.windows.Window(0, 0, shape[1] - 40, shape[0])
    profile |= {"dtype": "float32", "nodata": -1, "width": shape[1] - 40}
    with rasterio.open(tiny.sources / "debris.tif", "w", **profile) as out:
        out.write(given[window.toslices()], 1)

    paths = make({"debris_raster": "debris.tif"}, **{"chips.min_valid_label_share": 0.0})

    inside = burnt(outlines.geometry, paths)
    assert (inside & ~known).any()
    expected = np.select([inside & ~known, inside & (given > 0), inside], [IGNORE, DEBRIS, ICE], NONE)
    assert_chips_hold(paths, expected)


@pytest.mark.parametrize(
    ("values", "dtype", "told"),
    [((-9999, 0, 1), "int16", "holds -9999"), ((0, 1, 255), "uint8", "255 and other values")],
)
def test_a_debris_raster_with_undeclared_gaps_is_refused(make, tiny, values, dtype, told):
    first = make({}, ClassLabel)
    with rasterio.open(first.label) as source:
        profile, shape = source.profile, source.shape
    given = np.random.default_rng(3).choice(np.array(values, dtype), shape)
    with rasterio.open(tiny.sources / "gaps.tif", "w", **profile | {"dtype": dtype, "nodata": None}) as out:
        out.write(given, 1)

    with pytest.raises(GcnLuigiError, match=told) as caught:
        make({"debris_raster": "gaps.tif"}, ClassLabel)

    assert "nodata" in caught.value.fix
    assert caught.value.where.endswith("gaps.tif")


def typed(outlines):
    """Return shapes and types: glaciers, with debris below their middle and a hole of rock at it."""
    lower = [shape.intersection(shapely.box(*shape.bounds[:3], shape.centroid.y)) for shape in outlines.geometry]
    rock = [shape.representative_point().buffer(150.0) for shape in outlines.geometry]
    kinds = [("glacier", shape) for shape in outlines.geometry]
    kinds += [("debris-covered", shape) for shape in lower if not shape.is_empty]
    kinds += [("rock", shape) for shape in rock]
    return zip(*kinds, strict=True)


def test_a_column_says_the_class_and_the_smallest_polygon_counts(make, tiny, outlines):
    types, shapes = typed(outlines)
    # The order of the rows does not matter.
    order = np.random.default_rng(1).permutation(len(shapes))
    columns = {"Type": [types[i] for i in order], "RGIId": [f"g{i}" for i in order], "BgnDate": "20080701"}
    name = write(tiny, "typed.gpkg", [shapes[i] for i in order], columns)
    classes = {"glacier": "ice", "debris-covered": "debris", "rock": "none"}

    paths = make({"class_column": "type", "classes": classes}, **{"outlines.path": name})

    value = {"glacier": ICE, "debris-covered": DEBRIS, "rock": NONE}
    ordered = sorted(zip(shapes, types, strict=True), key=lambda pair: -pair[0].area)
    with rasterio.open(paths.label) as source:
        expected = rasterize(
            [(shape, value[kind]) for shape, kind in ordered],
            out_shape=source.shape,
            transform=source.transform,
            dtype="uint8",
        )
    assert all((expected == number).sum() > 500 for number in (NONE, DEBRIS, ICE))
    assert_chips_hold(paths, expected)
    assert json.loads(paths.label_notes.read_text())["contested_pixels"] > 500


@pytest.mark.long
def test_every_row_of_a_glims_download_gives_the_class_of_its_ground(make, tiny, outlines):
    frame = glims(outlines)
    pyogrio.write_dataframe(frame, tiny.sources / "glims.gpkg", driver="GPKG")
    value = {"glac_bound": ICE, "intrnl_rock": NONE, "debris_cov": DEBRIS}
    classes = {"glac_bound": "ice", "intrnl_rock": "none", "debris_cov": "debris"}

    paths = make({"class_column": "line_type", "classes": classes}, **{"outlines.path": "glims.gpkg"})

    rows = sorted(zip(frame.geometry, frame["line_type"], strict=True), key=lambda row: -row[0].area)
    with rasterio.open(paths.label) as source:
        shape, transform = source.shape, source.transform
    pairs = [(polygon, value[kind]) for polygon, kind in rows]
    expected = rasterize(pairs, out_shape=shape, transform=transform, dtype="uint8")
    assert all((expected == number).sum() > 100 for number in value.values())
    assert_chips_hold(paths, expected)


def test_a_value_without_a_class_is_counted_and_the_map_completed(make, tiny, outlines):
    types, shapes = typed(outlines)
    columns = {"type": types, "RGIId": [f"g{i}" for i in range(len(shapes))], "BgnDate": "20080701"}
    name = write(tiny, "rocks.gpkg", shapes, columns)

    with pytest.raises(GcnLuigiError, match=rf"without a class: rock \({types.count('rock')} polygons\)") as caught:
        make({"class_column": "type", "classes": {"glacier": "ice", "debris-covered": "debris"}}, ClassLabel,
             **{"outlines.path": name})  # fmt: skip

    assert '"glacier" = "ice", "rock" = "..."' in caught.value.fix
    with pytest.raises(GcnLuigiError, match="no field 'kind'") as caught:
        make({"class_column": "kind"}, ClassLabel, **{"outlines.path": name})
    assert "type" in caught.value.fix


def test_broken_polygons_of_debris_are_treated_as_outlines_are(make, tiny, outlines):
    left, bottom, right, top = outlines.total_bounds
    bowtie = shapely.Polygon([(left, bottom), (right, top), (right, bottom), (left, top)])
    name = write(tiny, "broken.gpkg", [bowtie])

    with pytest.raises(GcnLuigiError, match="1 broken polygons"):
        make({"debris_outlines": name}, ClassLabel, **{"outlines.on_invalid": "error"})
    paths = make({"debris_outlines": name}, ClassLabel)

    (note,) = json.loads(paths.label_notes.read_text())["notes"]
    assert note.startswith("debris outlines: 1 broken polygons repaired: row 0")
    inside, debris = burnt(outlines.geometry, paths), burnt([shapely.make_valid(bowtie)], paths)
    with rasterio.open(paths.label) as source:
        np.testing.assert_array_equal(source.read(1), np.select([inside & debris, inside], [DEBRIS, ICE], NONE))
