"""Vector files as they come."""

import struct

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_grid, read_outlines, read_polygons, read_reject_ids
from gcn_luigi.settings import OutlineSettings

CRS = "EPSG:3338"
SETTINGS = OutlineSettings(path="outlines")
SKIPPING = OutlineSettings(path="outlines", on_unusable="skip")


def square(x=0.0, size=100.0):
    return shapely.box(x, 0.0, x + size, size)


def write(path, shapes, *, crs=CRS, layer="outlines", **columns):
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=crs)
    pyogrio.write_dataframe(frame, path, layer=layer, driver="GPKG")
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outlines.gpkg"


def test_columbia_outlines_are_rgi_6(columbia):
    outlines = read_outlines(columbia / "rgi/rgi60_study_area_epsg3338.gpkg", SETTINGS, CRS)

    table = outlines.table
    assert outlines.notes == ()
    assert len(table) == 15
    assert table["year"].notna().all()
    assert table.loc[0, ["outline", "date"]].tolist() == ["RGI60-01.10689", "20090906"]
    assert table.loc[0, "area_m2"] == pytest.approx(935.85e6, rel=1e-4)
    assert list(table.columns) == ["outline", "glacier", "year", "date", "area_m2", "geometry"]


def test_outlines_are_reprojected(columbia):
    degrees = read_outlines(columbia / "rgi/01_rgi60_Columbia.shp", SETTINGS, CRS).table
    metres = read_outlines(columbia / "rgi/rgi60_study_area_epsg3338.gpkg", SETTINGS, CRS).table

    assert degrees.crs == CRS
    assert shapely.equals_exact(degrees.geometry[0].normalize(), metres.geometry[0].normalize(), tolerance=0.01)


@pytest.mark.parametrize("suffix", ["gpkg", "shp"])
def test_broken_and_undated_outlines_are_mended_or_skipped_and_told(columbia_bad, suffix):
    bad = columbia_bad / f"rgi_bowtie_missing_dates/rgi/rgi60_study_area_epsg3338.{suffix}"

    outlines = read_outlines(bad, SKIPPING, CRS)

    table = outlines.table.set_index("outline")
    assert table.is_valid.all()
    assert {"SIM60-01.90002", "SIM60-01.90004"}.isdisjoint(table.index)
    assert table.loc["SIM60-01.90001", "area_m2"] == pytest.approx(1.62e6)
    assert table.loc["RGI60-01.10689", ["date", "year"]].tolist() == ["-9999999", pd.NA]
    assert table["year"].dropna().between(2005, 2010).all()
    told = "\n".join(outlines.notes)
    assert "2 broken polygons repaired: SIM60-01.90001 (Self-intersection" in told
    assert "1 rows skipped, without geometry: SIM60-01.90002" in told
    assert "1 rows without area skipped: SIM60-01.90004" in told
    assert "3 of 13 outlines have no usable date" in told
    assert str(columbia_bad) not in told


def test_the_outline_that_was_published_broken_is_repaired(columbia_bad):
    bad = columbia_bad / "rgi_real_invalid/rgi/rgi60_study_area_epsg3338.gpkg"

    outlines = read_outlines(bad, SETTINGS, CRS)

    assert outlines.table.is_valid.all()
    assert outlines.table.loc[0, "area_m2"] == pytest.approx(773.9e6, rel=1e-3)
    assert "Ring Self-intersection" in outlines.notes[0]


def test_broken_outlines_stop_the_run_when_asked(columbia_bad):
    bad = columbia_bad / "rgi_real_invalid/rgi/rgi60_study_area_epsg3338.gpkg"

    with pytest.raises(InputError, match=r"1 broken polygons: RGI60-01.10689 \(Ring Self") as caught:
        read_outlines(bad, OutlineSettings(path="x", on_invalid="error"), CRS)
    assert caught.value.where == str(bad)


def test_rgi_7_dates_are_read(path):
    write(path, [square()], rgi_id=["RGI2000-v7.0-G-01-00001"], src_date=pd.to_datetime(["2004-07-06"]))

    table = read_outlines(path, SETTINGS, CRS).table

    assert table.loc[0, ["outline", "year"]].tolist() == ["RGI2000-v7.0-G-01-00001", 2004]


def test_own_fields_are_found_by_name_in_any_case(path):
    write(path, [square()], Glacier=["a"], Flown=["1999"])

    table = read_outlines(path, OutlineSettings(path="x", id_field="GLACIER", date_field="flown"), CRS).table

    assert table.loc[0, ["outline", "year"]].tolist() == ["a", 1999]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (OutlineSettings(path="x", id_field="nope"), "no field 'nope'"),
        (OutlineSettings(path="x", id_field="name", date_field="nope"), "no field 'nope'"),
        (SETTINGS, "no field of outline ids is known among: name"),
        (OutlineSettings(path="x", layer="nope"), "no layer 'nope'"),
    ],
)
def test_a_missing_field_or_layer_is_named(path, settings, message):
    write(path, [square()], name=["a"])

    with pytest.raises(InputError, match=message):
        read_outlines(path, settings, CRS)


def test_outlines_without_dates_are_undated(path):
    write(path, [square()], RGIId=["a"])

    outlines = read_outlines(path, SETTINGS, CRS)

    assert outlines.table["year"].isna().all()
    assert outlines.notes == (
        "no column of dates is known among: RGIId; [outlines] date_field names one",
        "1 of 1 outlines have no usable date",
    )


def test_parts_of_one_glacier_and_year_are_united_and_dated_by_the_largest(path):
    shapes = [square(0, 10), square(500), square(500), square(2000)]
    write(path, shapes, RGIId=["a", "a", "a", "b"], BgnDate=["20050903", "20050101", "20050101", "20060101"])

    outlines = read_outlines(path, SETTINGS, CRS)

    assert outlines.table["outline"].tolist() == ["a", "b"]
    assert outlines.table["year"].tolist() == [2005, 2006]
    assert outlines.table["area_m2"].tolist() == [10_100.0, 10_000.0]
    assert outlines.table["date"].tolist() == ["20050101", "20060101"]
    assert outlines.notes == ("3 rows that share an id united, as parts of one glacier and date: a",)


def test_the_order_of_records_plays_no_part(tmp_path):
    shapes, names = [square(0), square(200), square(50), square(900)], ["c", "a", "c", "b"]
    dates = ["20030101", "20020101", "20030101", "20040101"]
    one = write(tmp_path / "one.gpkg", shapes, RGIId=names, BgnDate=dates)
    other = write(tmp_path / "other.gpkg", shapes[::-1], RGIId=names[::-1], BgnDate=dates[::-1])

    first, second = (read_outlines(source, SETTINGS, CRS).table for source in (one, other))

    pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(second))


def test_heights_are_dropped(path):
    write(path, [shapely.force_3d(square(), 7.0)], RGIId=["a"], BgnDate=["20050101"])

    assert not read_outlines(path, SETTINGS, CRS).table.has_z.any()


def test_only_the_polygons_of_mixed_records_are_kept(path):
    mixed = shapely.GeometryCollection([square(), shapely.Point(5000, 5)])
    write(path, [mixed, shapely.Point(1, 1)], RGIId=["a", "b"], BgnDate=["20050101"] * 2)

    outlines = read_outlines(path, SKIPPING, CRS)

    assert outlines.table["outline"].tolist() == ["a"]
    assert outlines.table.geometry[0].equals(square())
    assert outlines.notes == (
        "1 rows skipped, Point: b",
        "rows whose lines and points beside polygons are left out: 1 (a)",
    )


def test_records_without_an_id_are_called_by_their_place(path):
    write(path, [square(), square(200)], RGIId=["a", None], BgnDate=["20050101"] * 2)

    assert read_outlines(path, SETTINGS, CRS).table["outline"].tolist() == ["a", "row 1"]


def test_a_file_without_crs_is_refused(path):
    with pytest.warns(UserWarning, match="crs"):
        write(path, [square()], crs=None, RGIId=["a"])

    with pytest.raises(InputError, match="does not state its CRS"):
        read_outlines(path, SETTINGS, CRS)


def test_a_file_with_several_layers_asks_which(path):
    write(path, [square()], RGIId=["a"])
    write(path, [square()], RGIId=["b"], layer="other")

    with pytest.raises(InputError, match="2 layers") as caught:
        read_outlines(path, SETTINGS, CRS)
    assert caught.value.fix.startswith("name one of them with the key for the layer")
    assert caught.value.fix.endswith(": outlines, other")
    assert read_outlines(path, OutlineSettings(path="x", layer="other"), CRS).table["outline"].tolist() == ["b"]


def test_the_styles_that_qgis_keeps_in_a_geopackage_are_no_layer(path):
    write(path, [square()], RGIId=["a"])
    styles = pd.DataFrame({"f_table_name": ["outlines"], "styleQML": ["<qgis/>"]})
    pyogrio.write_dataframe(styles, path, layer="layer_styles", driver="GPKG")
    assert len(pyogrio.list_layers(path)) == 2

    assert read_outlines(path, SETTINGS, CRS).table["outline"].tolist() == ["a"]
    assert read_polygons(path, CRS).area.tolist() == [square().area]
    with pytest.raises(InputError, match="no layer 'other'") as caught:
        read_outlines(path, OutlineSettings(path="x", layer="other"), CRS)
    assert caught.value.fix == "name one of: outlines"


@pytest.mark.parametrize("shapes", [[], [None], [shapely.Point(1, 1)]])
def test_a_file_without_a_usable_outline_is_refused(path, shapes):
    frame = gpd.GeoDataFrame({"RGIId": ["a"] * len(shapes)}, geometry=shapes, crs=CRS)
    pyogrio.write_dataframe(frame, path, driver="GPKG", geometry_type="Unknown")

    with pytest.raises(InputError, match=r"no outlines? (in the file|has an area)"):
        read_outlines(path, SKIPPING, CRS)


@pytest.mark.parametrize("content", [None, b"", b"<html>not a map</html>"])
def test_a_missing_or_damaged_file_is_named(path, content):
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=r"no such file|not a readable vector file") as caught:
        read_grid(path)
    assert caught.value.where == str(path)


def test_a_table_without_geometry_is_no_grid(tmp_path):
    pyogrio.write_dataframe(pd.DataFrame({"label": ["1"], "left": [2]}), tmp_path / "grid.gpkg")

    with pytest.raises(InputError, match="holds no geometry"):
        read_grid(tmp_path / "grid.gpkg")


def test_geoparquet_outlines_are_read(tmp_path):
    frame = gpd.GeoDataFrame({"rgi_id": ["a"], "src_date": ["2005-01-01"]}, geometry=[square()], crs=CRS)
    frame.to_parquet(tmp_path / "outlines.parquet")

    assert read_outlines(tmp_path / "outlines.parquet", SETTINGS, CRS).table.loc[0, "year"] == 2005


def test_polygons_are_mended_and_reprojected(path):
    bowtie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    write(path, [bowtie], name=["a"])

    shapes = read_polygons(path, "EPSG:32606")

    assert len(shapes) == 1
    assert shapes.is_valid.all()
    assert shapes.crs == "EPSG:32606"
    assert shapes.area.sum() == pytest.approx(50.0, rel=0.01)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("12\n7125\n", {"12", "7125"}),
        ("label\n12\n\n# a note\n7125\n", {"12", "7125"}),
        ("label,reason\n12,cloud\n7125,cloud\n", {"12", "7125"}),
        ("12;cloud\r\n7125;snow\r\n", {"12", "7125"}),
        ("12, 7125, 9\n", {"12", "7125", "9"}),
        ('"12"\n"71,25"\n', {"12", "71,25"}),
        ("\ufeff12\n", {"12"}),
        ("x4841_y5218\nx4842_y5218\n", {"x4841_y5218", "x4842_y5218"}),
        ("", set()),
    ],
)
def test_reject_ids_are_read_from_every_row(tmp_path, text, ids):
    (tmp_path / "rejects.txt").write_text(text, encoding="utf-8")

    assert read_reject_ids(tmp_path / "rejects.txt") == ids


def test_a_list_of_ids_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "rejects.txt").write_bytes(np.arange(128, 255, dtype=np.uint8).tobytes())

    for name in ("rejects.txt", "none.txt"):
        with pytest.raises(InputError, match="cannot read the list of ids") as caught:
            read_reject_ids(tmp_path / name)
        assert name in caught.value.where


@pytest.mark.parametrize(
    ("text", "line"),
    [('7\n"12,cloud\n13,snow\n14\n', '"12,cloud'), ('7,"cloud\n12,snow\n13,ice"x\n', '7,"cloud')],
)
def test_a_quotation_mark_too_many_swallows_no_id(tmp_path, text, line):
    (tmp_path / "rejects.csv").write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match="cannot read the list of ids") as caught:
        read_reject_ids(tmp_path / "rejects.csv")
    assert repr(line) in caught.value.what


@pytest.fixture
def shapefile(tmp_path):
    path = tmp_path / "outlines.shp"
    frame = gpd.GeoDataFrame({"id": ["a"]}, geometry=[square()], crs=CRS)
    pyogrio.write_dataframe(frame, path, driver="ESRI Shapefile")
    return path


def test_a_ring_that_is_not_closed_is_refused(shapefile):
    # The file ends with the last corner, which is the first one again.
    shapefile.write_bytes(shapefile.read_bytes()[:-16] + struct.pack("<2d", 7.0, 70.0))

    for read in (read_grid, lambda file: read_polygons(file, CRS), lambda file: read_outlines(file, SETTINGS, CRS)):
        with pytest.raises(InputError, match="closed linestring") as caught:
            read(shapefile)
        assert caught.value.where == str(shapefile)


def test_a_prj_that_is_no_text_is_refused(shapefile):
    prj = shapefile.with_suffix(".prj")
    prj.write_bytes(prj.read_bytes().replace(b"NAD", b"N\x99D", 1))

    with pytest.raises(InputError, match="not a readable vector file") as caught:
        read_grid(shapefile)
    assert caught.value.where == str(shapefile)


@pytest.mark.parametrize("wild", [np.nan, np.inf, 1e300, -1e16])
def test_coordinates_that_are_no_place_are_refused_by_row(path, wild):
    broken = shapely.set_coordinates(square(), [(0, 0), (wild, 0), (9, 9), (0, 9), (0, 0)])
    write(path, [square(), broken], id=["a", "b"])

    for read in (read_grid, lambda file: read_polygons(file, CRS), lambda file: read_outlines(file, SETTINGS, CRS)):
        with pytest.raises(InputError, match="1 records have coordinates that are not on Earth: row 1") as caught:
            read(path)
        assert caught.value.where == str(path)
