"""Outlines and exclusions as they come from other programs, seen in the label and the catalog of a small region."""

import json

import geopandas as gpd
import luigi
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.warp import transform_geom

from gcn_luigi.config import load_region
from gcn_luigi.errors import InputError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.stages.dataset.warnings import dataset_warnings
from gcn_luigi.tasks.partitions import PartitionCatalog
from tests.integration.builds import build_inline
from tests.integration.changes import write_config
from tests.reference.shapefile import square_ring, write_shapefile


@pytest.fixture
def catalog(tiny, tmp_path):
    """Return a function that builds label and catalog with some settings changed; it returns where they are."""

    def build(name, **changes):
        config = write_config(
            tmp_path / f"config-{name}", tiny, {key.replace("__", "."): changes[key] for key in changes}
        )
        luigi.task_register.Register.clear_instance_cache()
        task = PartitionCatalog(
            region=tiny.region,
            output_root=str(tmp_path / name),
            config_dir=str(config),
            data_root=str(tiny.sources),
        )
        build_inline(task)
        return tmp_path / name / tiny.region

    return build


@pytest.fixture
def outlines(tiny):
    return pyogrio.read_dataframe(tiny.sources / "rgi/outlines.gpkg")


def label_of(place):
    with rasterio.open(place / "label.tif") as dataset:
        return dataset.read(1), dataset.transform


def burnt(shape, label, transform):
    return rasterize([shape], out_shape=label.shape, transform=transform, dtype="uint8").astype(bool)


def test_a_nunatak_is_none_however_a_shapefile_winds_its_rings(catalog, tiny, tmp_path):
    with rasterio.open(next((tiny.sources / "stem").glob("*.tif"))) as votes:
        left, _, _, top = votes.bounds
        crs = votes.crs.to_string()
    x, y = left + 1500, top - 6500
    labels = {}
    for ice in (True, False):
        for rock in (True, False):
            rings = [square_ring(x, y, 5000, clockwise=ice), square_ring(x + 1500, y + 1500, 2000, clockwise=rock)]
            path = tmp_path / f"rings-{ice}-{rock}.shp"
            write_shapefile(path, [rings], crs, RGIId=["a"], BgnDate=["20080701"])
            place = catalog(path.stem, outlines__path=str(path))
            labels[ice, rock], transform = label_of(place)

    first = labels[True, False]
    glacier = burnt(shapely.box(x, y, x + 5000, y + 5000), first, transform)
    nunatak = burnt(shapely.box(x + 1500, y + 1500, x + 3500, y + 3500), first, transform)
    assert nunatak.sum() > 4000
    for label in labels.values():
        is_glacier = np.isin(label, (1, 2))
        assert not is_glacier[nunatak].any()
        assert is_glacier[glacier & ~nunatak & (label != 255)].all()
        assert not is_glacier[~glacier].any()
        np.testing.assert_array_equal(label, first)


@pytest.mark.parametrize("south", [True, False])
def test_exclusions_in_degrees_follow_the_parallel(catalog, tmp_path, south):
    plain = gpd.read_parquet(catalog("plain") / "catalog.parquet")
    west, low, east, high = plain.to_crs("EPSG:4326").total_bounds
    middle = (low + high) / 2
    box = shapely.box(west - 3, *((middle - 2, east + 3, middle) if south else (middle, east + 3, middle + 2)))
    path = tmp_path / "away.geojson"
    gpd.GeoDataFrame({"id": [1]}, geometry=[box], crs="EPSG:4326").to_file(path, engine="pyogrio")

    made = gpd.read_parquet(catalog("excluding", grid__exclude_polygons=str(path)) / "catalog.parquet")

    fine = shapely.geometry.mapping(shapely.segmentize(box, 0.01))
    true = shapely.geometry.shape(transform_geom("EPSG:4326", plain.crs.to_string(), fine))
    wanted = np.array([shapely.area(shapely.intersection(true, cell)) > 0 for cell in made.geometry])
    assert wanted.any()
    assert not wanted.all()
    np.testing.assert_array_equal((made["reason"] == "exclusion polygon").to_numpy(), wanted)


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)], "none of its 2 polygons lies on one"),
        ([], "the file holds no polygon"),
    ],
)
def test_exclusions_that_lie_elsewhere_are_told(catalog, tiny, tmp_path, shapes, told):
    path = tmp_path / "elsewhere.gpkg"
    frame = gpd.GeoDataFrame({"id": range(len(shapes))}, geometry=shapes, crs="EPSG:4326")
    pyogrio.write_dataframe(frame, path, geometry_type="Polygon")

    made = catalog("elsewhere", grid__exclude_polygons=str(path))

    paths = DatasetPaths(made)
    (note,) = json.loads(paths.split_audit.read_text())["notes"]["grid"]
    assert told in note
    assert note in dataset_warnings(load_region(tiny.config / f"{tiny.region}.toml").settings, paths)
    assert gpd.read_parquet(paths.catalog)["used"].any()


def test_layers_that_no_setting_can_name_are_to_be_kept_apart(catalog, tmp_path):
    path = tmp_path / "two.gpkg"
    for layer in ("closed", "open"):
        frame = gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
        pyogrio.write_dataframe(frame, path, layer=layer)

    with pytest.raises(InputError, match="the file has 2 layers") as caught:
        catalog("two", grid__exclude_polygons=str(path))
    assert caught.value.fix == "save the one to use in a separate file: closed, open"


def test_outlines_of_another_encoding_than_claimed_give_the_same_label(catalog, outlines, tmp_path):
    path = tmp_path / "outlines.shp"
    names = outlines[["RGIId", "BgnDate", "geometry"]].assign(Name="Gla\u00e7ier K\u00e5re")
    pyogrio.write_dataframe(names, path, encoding="ISO-8859-1")
    path.with_suffix(".cpg").write_text("UTF-8")

    made = catalog("latin", outlines__path=str(path))

    np.testing.assert_array_equal(label_of(made)[0], label_of(catalog("plain"))[0])
    notes = json.loads((made / "split.json").read_text())["notes"]["outlines"]
    assert any("columns Name read as Windows-1252, though the .cpg file says UTF-8" in note for note in notes)


def test_metres_in_a_geojson_without_crs_are_named(catalog, outlines, tmp_path):
    path = tmp_path / "outlines.geojson"
    content = json.loads(outlines[["RGIId", "BgnDate", "geometry"]].to_json(to_wgs84=False))
    content.pop("crs", None)
    path.write_text(json.dumps(content))

    with pytest.raises(InputError, match="cannot be degrees of longitude and latitude, but the CRS of the file is"):
        catalog("metres", outlines__path=str(path))


@pytest.mark.parametrize("key", ["outlines__path", "grid__exclude_polygons"])
def test_latitude_first_is_named(catalog, outlines, tmp_path, key):
    path = tmp_path / "swapped.gpkg"
    swapped = outlines[["RGIId", "BgnDate", "geometry"]].to_crs("EPSG:4326")
    swapped["geometry"] = shapely.transform(swapped.geometry.values, lambda corners: corners[:, ::-1])
    swapped.to_file(path, engine="pyogrio")

    with pytest.raises(InputError, match="seems to be the latitude"):
        catalog("swapped", **{key: str(path)})


def test_every_repaired_outline_is_named_in_the_audit(catalog, outlines, tmp_path):
    path = tmp_path / "outlines.gpkg"
    x, y = outlines.total_bounds[:2]
    knots = [
        shapely.Polygon([(x + n, y), (x + n + 9, y + 9), (x + n + 9, y), (x + n, y + 9)]) for n in range(0, 200, 10)
    ]
    broken = gpd.GeoDataFrame(
        {"RGIId": [f"knot {n}" for n in range(20)], "BgnDate": "20080701"}, geometry=knots, crs=outlines.crs
    )
    pd.concat([outlines[["RGIId", "BgnDate", "geometry"]], broken]).to_file(path, engine="pyogrio")

    made = catalog("knots", outlines__path=str(path))

    notes = json.loads((made / "split.json").read_text())["notes"]["outlines"]
    told = next(note for note in notes if "repaired" in note)
    assert all(f"knot {n} (" in told for n in range(20))


def test_repaired_exclusions_are_told_and_exclude_what_they_enclose(catalog, tmp_path):
    plain = gpd.read_parquet(catalog("plain") / "catalog.parquet")
    left, bottom = plain.geometry[plain["used"]].iloc[0].bounds[:2]
    x, y = left + 10, bottom + 10
    knot = shapely.Polygon([(x, y), (x + 100, y + 100), (x + 100, y), (x, y + 100)])
    path = tmp_path / "away.gpkg"
    gpd.GeoDataFrame({"id": [1]}, geometry=[knot], crs=plain.crs).to_file(path, engine="pyogrio")

    place = catalog("excluding", grid__exclude_polygons=str(path))

    made = gpd.read_parquet(place / "catalog.parquet")
    lobes = shapely.MultiPolygon(
        [
            shapely.Polygon([(x, y), (x + 50, y + 50), (x, y + 100)]),
            shapely.Polygon([(x + 100, y), (x + 50, y + 50), (x + 100, y + 100)]),
        ]
    )
    wanted = shapely.area(shapely.intersection(lobes, made.geometry.to_numpy())) > 0
    assert wanted.sum() == 1
    np.testing.assert_array_equal((made["reason"] == "exclusion polygon").to_numpy(), wanted)
    notes = json.loads((place / "split.json").read_text())["notes"]["grid"]
    assert any(note.startswith("1 broken polygons repaired: row 0 (Self-intersection") for note in notes)
    assert any(note.endswith(", in exclude_polygons_path") for note in notes)
