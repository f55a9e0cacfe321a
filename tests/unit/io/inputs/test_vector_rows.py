"""Rows that cannot do their job, and texts that are not what the file claims."""

import geopandas as gpd
import pyogrio
import pytest
import shapely

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_grid, read_outlines, read_polygons
from gcn_luigi.settings import OutlineSettings

CRS = "EPSG:3338"
SETTINGS = OutlineSettings(path="x")
SQUARE = shapely.box(0, 0, 100, 100)
LINE, POINT = shapely.LineString([(0, 0), (100, 0), (100, 100), (0, 0)]), shapely.Point(5, 5)
READERS = {
    "outlines": lambda path: read_outlines(path, SETTINGS, CRS),
    "exclusions": lambda path: read_polygons(path, CRS),
    "grid": read_grid,
}


def write(path, shapes, **columns):
    columns = columns or {"RGIId": [f"g{row}" for row in range(len(shapes))]}
    pyogrio.write_dataframe(gpd.GeoDataFrame(columns, geometry=shapes, crs=CRS), path, geometry_type="Unknown")
    return path


@pytest.mark.parametrize("reader", READERS)
def test_lines_and_points_stop_the_run_with_counts(tmp_path, reader):
    path = write(tmp_path / "rows.gpkg", [SQUARE, LINE, LINE, POINT, shapely.GeometryCollection([LINE, POINT])])

    with pytest.raises(InputError) as caught:
        READERS[reader](path)

    told = "4 of 5 rows hold no polygon: 2 LineString, 1 Point, 1 collections without a polygon: "
    assert caught.value.what.startswith(told)
    assert caught.value.where == str(path)
    assert ("outlines.on_unusable" in caught.value.fix) == (reader == "outlines")


@pytest.mark.parametrize("reader", ["outlines", "exclusions"])
@pytest.mark.parametrize("nothing", [None, shapely.Polygon(), shapely.MultiPolygon()])
def test_rows_without_geometry_stop_the_run(tmp_path, reader, nothing):
    path = write(tmp_path / "rows.gpkg", [SQUARE, nothing])

    with pytest.raises(InputError, match=r"1 of 2 rows hold no polygon: 1 without geometry: (g1|row 1)"):
        READERS[reader](path)


def test_a_shapefile_of_lines_is_no_file_of_outlines(tmp_path):
    gpd.GeoDataFrame({"RGIId": ["a"]}, geometry=[LINE], crs=CRS).to_file(tmp_path / "lines.shp", engine="pyogrio")

    with pytest.raises(InputError, match="1 of 1 rows hold no polygon: 1 LineString: a"):
        read_outlines(tmp_path / "lines.shp", SETTINGS, CRS)


def test_rows_without_a_polygon_are_left_out_and_named_on_request(tmp_path):
    names = [f"g{row}" for row in range(9)]
    path = write(tmp_path / "rows.gpkg", [SQUARE, *[None] * 7, POINT], RGIId=names)

    outlines = read_outlines(path, OutlineSettings(path="x", date_field="none", on_unusable="skip"), CRS)

    assert outlines.table["outline"].tolist() == ["g0"]
    assert outlines.notes[:2] == (
        "1 rows skipped, Point: g8",
        f"7 rows skipped, without geometry: {', '.join(names[1:8])}",
    )


def test_lines_beside_polygons_are_left_out_and_told(tmp_path):
    mixed = shapely.GeometryCollection([SQUARE, shapely.box(200, 0, 300, 100), LINE])
    path = write(tmp_path / "rows.gpkg", [mixed])

    outlines = read_outlines(path, SETTINGS, CRS)

    assert outlines.table["area_m2"].tolist() == [20_000.0]
    assert outlines.notes[1] == "rows whose lines and points beside polygons are left out: 1 (g0)"


def test_rows_smaller_than_any_pixel_shows_are_left_out_and_named(tmp_path):
    slivers = [shapely.box(0, 0, 0.5, 0.5), shapely.Polygon([(0, 0), (9, 9), (0, 0)])]
    path = write(tmp_path / "rows.gpkg", [SQUARE, *slivers])

    outlines = read_outlines(path, SETTINGS, CRS)

    assert outlines.table["outline"].tolist() == ["g0"]
    assert "2 rows without area skipped: g1, g2" in outlines.notes


def test_an_exclusion_without_area_excludes_nothing_and_stops_the_run(tmp_path):
    path = write(tmp_path / "rows.gpkg", [SQUARE, shapely.Polygon([(0, 0), (9, 9), (0, 0)])])

    with pytest.raises(InputError, match="polygons without area: row 1"):
        read_polygons(path, CRS)


def test_a_grid_may_leave_places_to_its_columns(tmp_path):
    path = write(tmp_path / "grid.gpkg", [SQUARE, None], label=["1", "2"], left=[0, 100])

    assert len(read_grid(path)) == 2


def test_mending_more_than_allowed_stops_the_run_unless_it_is_accepted(tmp_path):
    hole = shapely.get_coordinates(shapely.box(80, 40, 120, 60))
    path = write(tmp_path / "rows.gpkg", [shapely.Polygon(shapely.get_coordinates(SQUARE), [hole])])

    with pytest.raises(InputError, match=r"more than 1.0% of the area of 1 broken polygons: g0") as caught:
        read_outlines(path, SETTINGS, CRS)
    assert "outlines.max_repaired_share" in caught.value.fix

    accepted = read_outlines(path, OutlineSettings(path="x", max_repaired_share=0.1), CRS)
    assert accepted.table["area_m2"].tolist() == [pytest.approx(9600.0)]


@pytest.fixture
def latin(tmp_path):
    """Return a shapefile whose names are Windows-1252, with a claim to be something else."""

    def made(claim, names=("Gla\u00e7ier", "K\u00e5re \u2013 east"), ids=("a", "b")):
        path = tmp_path / "outlines.shp"
        frame = gpd.GeoDataFrame({"RGIId": ids, "Name": names}, geometry=[SQUARE, shapely.box(200, 0, 300, 9)], crs=CRS)
        pyogrio.write_dataframe(frame, path, encoding="CP1252")
        path.with_suffix(".cpg").write_text(claim)
        return path

    return made


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("claim", ["UTF-8", "UTF-8\n", "UTF-16"])
def test_names_of_another_encoding_than_claimed_are_read(latin, reader, claim):
    assert len(getattr(READERS[reader](latin(claim)), "table", [1, 2])) == 2


@pytest.mark.parametrize("claim", ["UTF-8", "UTF-16"])
def test_the_column_and_the_claim_are_told(latin, claim):
    outlines = read_outlines(latin(claim), SETTINGS, CRS)

    assert outlines.table["outline"].tolist() == ["a", "b"]
    assert outlines.notes[0] == (
        f"columns Name read as Windows-1252, though the .cpg file says {claim}: correct it if these texts matter"
    )


def test_ids_of_another_encoding_than_claimed_are_read_and_told(latin):
    outlines = read_outlines(latin("UTF-8", ids=("B\u00e6r\u00e6", "\u00d8st")), SETTINGS, CRS)

    assert outlines.table["outline"].tolist() == ["B\u00e6r\u00e6", "\u00d8st"]
    assert "columns RGIId, Name read as Windows-1252" in outlines.notes[0]


def test_bytes_that_windows_1252_does_not_know_are_read(latin):
    path = latin("UTF-8")
    table = path.with_suffix(".dbf")
    table.write_bytes(table.read_bytes().replace("Gla\u00e7ier".encode("cp1252"), b"Gla\x81ier"))

    outlines = read_outlines(path, SETTINGS, CRS)

    assert outlines.table["outline"].tolist() == ["a", "b"]
    assert "columns Name read as Windows-1252" in outlines.notes[0]


def test_texts_as_claimed_are_not_mentioned(latin):
    assert not any("read as" in note for note in read_outlines(latin("1252"), SETTINGS, CRS).notes)


def test_a_geopackage_whose_texts_are_not_utf_8_is_refused_with_the_text(tmp_path):
    path = write(tmp_path / "rows.gpkg", [SQUARE], RGIId=["a"], Name=["Glacier XXXX"])
    path.write_bytes(path.read_bytes().replace(b"Glacier XXXX", b"Glacier \xe7\xe5XX"))

    with pytest.raises(InputError, match="holds text that is not UTF-8, in columns Name: "):
        read_outlines(path, SETTINGS, CRS)


def test_coordinates_of_metres_that_are_called_degrees_are_refused_by_every_reader(tmp_path):
    path = tmp_path / "metres.geojson"
    frame = gpd.GeoDataFrame({"RGIId": ["a"]}, geometry=[shapely.box(345_000, 1_289_000, 346_000, 1_290_000)])
    path.write_text(frame.to_json())

    for reader in READERS.values():
        with pytest.raises(InputError, match="cannot be degrees") as caught:
            reader(path)
        assert "GeoJSON without a crs member must be in EPSG:4326" in caught.value.fix
