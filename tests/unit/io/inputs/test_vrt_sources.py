"""What a VRT names is followed as GDAL follows it, or it is refused; so is a database with changes beside it."""

import json
import shutil
import sqlite3

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_grid, read_outlines, read_polygons
from gcn_luigi.io.raster.drivers import check_vector, vrt_sources
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.lattice import Lattice
from gcn_luigi.settings import OutlineSettings
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster
from tests.reference.tile_tree import write_tif

DATA = np.arange(1, 1025, dtype=np.int16).reshape(1, 32, 32)
LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 32, 32)
VRT = """<VRTDataset rasterXSize="32" rasterYSize="32"><SRS>EPSG:32606</SRS>
<GeoTransform>600000, 10, 0, 7000000, 0, -10</GeoTransform><VRTRasterBand dataType="Int16" band="1">{before}
<{kind}><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>{inner}</{kind}>
</VRTRasterBand>{after}</VRTDataset>"""
MASK = """<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource><SourceFilename relativeToVRT="1">part.tif
</SourceFilename><SourceBand>mask,1</SourceBand></SimpleSource></VRTRasterBand></MaskBand>""".replace("\n", "")


def vrt(path, name="part.tif", *, kind="SimpleSource", before="", inner="", after=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(VRT.format(name=name, kind=kind, before=before, inner=inner, after=after))
    return path


@pytest.fixture
def part(tmp_path):
    return write_tif(tmp_path / "part.tif", DATA)


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize("words", ["SourceFilename", "sourcefilename", "SOURCEFILENAME"])
def test_no_spelling_hides_where_a_vrt_leads(tmp_path, words):
    path = vrt(tmp_path / "a.vrt", " /vsicurl/http://192.0.2.1/a.tif")
    path.write_text(path.read_text().replace("SourceFilename", words))

    with pytest.raises(InputError, match="not a file on this machine"):
        read_header(path)
    path.write_text(path.read_text().replace("/vsicurl/http://192.0.2.1/a.tif", "secret.txt"))
    (tmp_path / "secret.txt").write_text("a secret of 32 and more characters")
    with pytest.raises(InputError, match="raster format that is not supported"):
        read_header(path)


def test_a_directory_above_a_link_is_the_one_above_where_it_leads(tmp_path, part):
    """GDAL leaves the way to the system; the name alone would lead elsewhere."""
    (tmp_path / "store" / "deep").mkdir(parents=True)
    shutil.copy(part, tmp_path / "store" / "part.tif")
    (tmp_path / "link").symlink_to("store/deep")
    (tmp_path / "part.tif").write_text("no raster")
    path = vrt(tmp_path / "link" / "a.vrt", "../part.tif")

    np.testing.assert_array_equal(rasterio.open(path).read(), DATA)
    assert vrt_sources(path) == (tmp_path / "store" / "part.tif",)
    assert read_header(path).count == 1


@pytest.mark.parametrize(
    "extra",
    [
        '<Metadata domain="GEOLOCATION"><MDI key="X_DATASET">lon.tif</MDI></Metadata>',
        "<RPCTransformer><DEMPath>dem.tif</DEMPath></RPCTransformer>",
        '<ProcessingSteps><Step><Argument name="gain_dataset_filename_1">g.tif</Argument></Step></ProcessingSteps>',
    ],
)
def test_a_vrt_that_reads_files_for_more_than_their_pixels_is_refused(tmp_path, part, extra):
    path = vrt(tmp_path / "a.vrt", part.name, after=extra)

    with pytest.raises(InputError, match="for more than its pixels") as caught:
        read_header(path)

    assert caught.value.where == str(path)
    assert "GeoTIFF" in caught.value.fix


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"before": "<Scale>2</Scale>"}, "scale or offset"),
        ({"after": MASK}, "mask of its own"),
    ],
)
def test_votes_through_a_vrt_are_refused_like_votes_with_a_scale_or_a_mask(tmp_path, part, change, what):
    with pytest.raises(InputError, match=what):
        AlignedRaster.open(vrt(tmp_path / "a.vrt", part.name, **change), LATTICE)


def test_a_source_whose_gaps_a_vrt_shows_by_its_own_nodata_is_read_so(tmp_path):
    hole = DATA.copy()
    hole[0, 5:9, 3:7] = -32768
    write_tif(tmp_path / "part.tif", hole)
    path = vrt(
        tmp_path / "a.vrt",
        kind="ComplexSource",
        before="<NoDataValue>-1</NoDataValue>",
        inner="<NODATA>-32768</NODATA>",
    )

    values, missing = AlignedRaster.open(path, LATTICE).read(LATTICE.window)

    np.testing.assert_array_equal(missing, hole[0] == -32768)
    np.testing.assert_array_equal(values[~missing], hole[0][~missing])


@pytest.fixture
def outlines(tmp_path):
    frame = gpd.GeoDataFrame({"RGIId": ["a"]}, geometry=[shapely.box(0, 0, 100, 100)], crs="EPSG:32606")
    pyogrio.write_dataframe(frame, tmp_path / "o.gpkg")
    return tmp_path / "o.gpkg"


READERS = {
    "outlines": lambda path: read_outlines(path, OutlineSettings(path="x"), "EPSG:32606"),
    "grid": read_grid,
    "polygons": lambda path: read_polygons(path, "EPSG:32606"),
}
HOT = bytes.fromhex("d9d505f920a163d7") + bytes(504)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("log", "content"), [("-wal", b"\x37\x7f\x06\x82" + bytes(28)), ("-journal", HOT)])
@pytest.mark.parametrize("linked", [False, True])
def test_a_database_with_changes_beside_it_is_refused_and_left_alone(tmp_path, outlines, read, log, content, linked):
    (tmp_path / f"o.gpkg{log}").write_bytes(content)
    path = outlines
    if linked:
        path = tmp_path / "data.gpkg"
        path.symlink_to(outlines)
    state = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    with pytest.raises(InputError, match=f"has changes that are not yet in it: they are in o.gpkg{log}") as caught:
        read(path)

    assert caught.value.where == str(path)
    assert "close it in the GIS" in caught.value.fix
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == state


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("log", "content"), [("-wal", b""), ("-journal", b""), ("-journal", bytes(512))])
def test_an_empty_log_and_a_journal_that_is_done_with_do_no_harm(tmp_path, outlines, read, log, content):
    (tmp_path / f"o.gpkg{log}").write_bytes(content)

    assert read(outlines) is not None


@pytest.mark.parametrize("mode", ["wal", "persist", "truncate", "delete"])
def test_a_database_that_was_closed_properly_is_read_whatever_its_kind_of_log(outlines, mode):
    connection = sqlite3.connect(outlines)
    connection.execute(f"pragma journal_mode={mode}").fetchall()
    connection.execute("create table notes (x)")
    connection.execute("drop table notes")
    connection.commit()
    connection.close()

    assert len(READERS["grid"](outlines)) == 1


def test_a_log_beside_another_format_says_nothing(tmp_path, outlines):
    path = tmp_path / "o.geojson"
    path.write_text(json.dumps(json.loads(gpd.read_file(outlines).to_json())))
    (tmp_path / "o.geojson-wal").write_bytes(b"x")

    check_vector(path)


def test_a_vrt_below_another_that_is_changed_is_looked_at_again(tmp_path, part):
    vrt(tmp_path / "inner.vrt", part.name)
    top = vrt(tmp_path / "top.vrt", "inner.vrt")
    read_header(top)
    vrt(tmp_path / "inner.vrt", "/vsicurl/http://192.0.2.1/a.tif")

    with pytest.raises(InputError, match="not a file on this machine"):
        read_header(top)
