"""Files that are not what they claim: GDAL must not be led to other files or the network."""

import http.server
import json
import zipfile

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.errors import RasterioIOError
from rasterio.shutil import copy as copy_raster

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_grid, read_outlines, read_polygons
from gcn_luigi.io.raster.compositor import DatasetCache
from gcn_luigi.io.raster.drivers import check_vector, open_local, raster_driver, read_xml
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.raster.windows import damaged_source, read_window
from gcn_luigi.lattice import Window
from gcn_luigi.settings import OutlineSettings
from tests.reference.servers import served
from tests.reference.tile_tree import write_tif

WHOLE = Window(0, 0, 32, 32)
VRT = """<VRTDataset rasterXSize="32" rasterYSize="32"><SRS>EPSG:32606</SRS>
<GeoTransform>600000, 10, 0, 7000000, 0, -10</GeoTransform><VRTRasterBand dataType="Int16" band="1">{before}
<SimpleSource><SourceFilename{relative}>{source}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
</VRTRasterBand></VRTDataset>"""
WMS = """<GDAL_WMS><Service name="WMS"><Version>1.1.1</Version><ServerUrl>{source}?</ServerUrl></Service><DataWindow>
<UpperLeftX>0</UpperLeftX><UpperLeftY>10</UpperLeftY><LowerRightX>10</LowerRightX><LowerRightY>0</LowerRightY>
<SizeX>32</SizeX><SizeY>32</SizeY></DataWindow><Projection>EPSG:32606</Projection><BandsCount>1</BandsCount></GDAL_WMS>"""


@pytest.fixture
def tile(tmp_path):
    return write_tif(tmp_path / "real.tif", np.ones((1, 32, 32), np.int16))


@pytest.fixture
def network():
    """Yield the address of a server of this machine, and the requests that it got."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815  the name that the server asks for

        def log_message(self, *_):
            pass

    with served(Handler) as port:
        yield f"http://127.0.0.1:{port}", asked


def vrt(path, source, before="", relative=""):
    path.write_text(VRT.format(source=source, before=before, relative=relative))
    return path


READERS = {
    "header": read_header,
    "window": lambda path: read_window(path, WHOLE, fill=0),
    "blame": lambda path: damaged_source(path, WHOLE),
}


def tried(read, path):
    """Read a file; only a clear refusal may come of it."""
    with pytest.raises(InputError) as failure:
        read(path)
    assert failure.value.where == str(path)
    assert failure.value.fix
    return failure.value.what


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    ("name", "content"), [("a.tif", VRT), ("a.tiff", VRT), ("a.tif", "\n " + VRT), ("a.tif", WMS), ("a.img", WMS)]
)
def test_a_description_in_place_of_pixels_is_refused_and_the_network_is_not_asked(
    tmp_path, network, read, name, content
):
    address, asked = network
    source = address if content == WMS else f"/vsicurl/{address}/a.tif"
    path = tmp_path / name
    path.write_text(content.format(source=source, before="", relative=""))

    assert "describes a raster that is elsewhere" in tried(read, path)
    assert asked == []


def test_the_same_file_would_have_gdal_ask_the_network(tmp_path, network):
    """What the tests above are worth: GDAL by itself does it."""
    address, asked = network
    path = vrt(tmp_path / "a.tif", f"/vsicurl/{address}/a.tif")

    with pytest.raises(RasterioIOError), rasterio.open(path) as dataset:
        dataset.read()
    assert asked


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("suffix", ["tif", "png", "vrt"])
def test_a_description_of_another_local_file_is_refused_unless_it_is_called_one(tmp_path, tile, read, suffix):
    path = vrt(tmp_path / f"a.{suffix}", tile)

    if suffix == "vrt":
        read(path)
    else:
        assert "describes a raster that is elsewhere" in tried(read, path)


@pytest.mark.parametrize(
    "source",
    [
        "/vsicurl/{address}/a.tif", "/vsizip/a.zip/a.tif", "/vsis3/bucket/a.tif", "{address}/a.tif", "WMS:{address}/",
        "NETCDF:a.nc:x", "&lt;VRTDataset/&gt;", "GTIFF_RAW:real.tif", '{{"type": "gdal_streamed_alg"}}', "/vsistdin/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("relative", ["", ' relativeToVRT="1"'])
def test_a_vrt_that_names_anything_else_than_files_is_refused(tmp_path, network, source, relative):
    address, asked = network
    path = vrt(tmp_path / "a.vrt", source.format(address=address), relative=relative)

    for read in READERS.values():
        assert "which is not a file on this machine" in tried(read, path)
    assert asked == []


def test_a_vrt_is_followed_down_to_files_of_pixels(tmp_path, tile, network):
    address, asked = network
    vrt(tmp_path / "good.vrt", tile)
    vrt(tmp_path / "stack.vrt", "good.vrt", relative=' relativeToVRT="1"')
    assert read_window(tmp_path / "stack.vrt", WHOLE, fill=0).sum() == 32 * 32
    # Below it, a file that only claims to be an image.
    vrt(tmp_path / "evil.tif", f"/vsicurl/{address}/a.tif")
    vrt(tmp_path / "middle.vrt", "evil.tif", relative=' relativeToVRT="1"')
    path = vrt(tmp_path / "top.vrt", "middle.vrt", relative=' relativeToVRT="1"')

    with pytest.raises(InputError) as failure:
        read_header(path)

    assert failure.value.where == str(tmp_path / "evil.tif")
    assert asked == []


def test_a_vrt_of_raw_bytes_does_not_show_what_is_no_raster(tmp_path):
    (tmp_path / "secret").write_text("a secret of 32 and more characters")
    path = tmp_path / "a.vrt"
    path.write_text(VRT.replace("SimpleSource>", "X>").format(source=tmp_path / "secret", before="", relative=""))

    with pytest.raises(InputError, match="raster format that is not supported"):
        read_header(path)


def test_a_vrt_that_is_changed_is_looked_at_again(tmp_path, tile):
    path = vrt(tmp_path / "a.vrt", tile)
    read_header(path)
    vrt(path, "/vsicurl/http://192.0.2.1/a.tif")

    assert "not a file on this machine" in tried(read_header, path)


def test_vrts_without_end_are_refused(tmp_path):
    path = vrt(tmp_path / "a.vrt", "a.vrt", relative=' relativeToVRT="1"')

    assert "levels of VRTs" in tried(read_header, path)


BOMB = "<!DOCTYPE bomb [" + "".join(
    f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 10}">' for n in range(9)
) + "]>"  # fmt: skip
EXTERNAL = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("doctype", [BOMB, EXTERNAL, '<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd">'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("read", [read_header, read_xml])
def test_a_vrt_with_entities_is_refused_before_they_are_known(tmp_path, doctype, encoding, read):
    path = tmp_path / "a.vrt"
    path.write_bytes((doctype + VRT.format(source="&e8;", before="", relative="")).encode(encoding))

    assert "declares a document type" in tried(read, path)


def test_a_vrt_beyond_any_size_is_refused_unread(tmp_path):
    path = tmp_path / "a.vrt"
    with path.open("wb") as file:
        file.truncate((1 << 28) + 1)

    assert "larger than 256 MB" in tried(read_xml, path)


def test_a_tile_that_turns_into_a_description_after_the_scan_is_refused(tmp_path, network):
    address, asked = network
    path = vrt(tmp_path / "a.tif", f"/vsicurl/{address}/a.tif")

    with DatasetCache() as datasets, pytest.raises(InputError, match="is elsewhere"):
        datasets.get(str(path), WHOLE, "stack")
    assert asked == []


@pytest.mark.parametrize(
    ("driver", "suffix", "expected"),
    [("GTiff", "tif", "GTiff"), ("HFA", "img", "HFA"), ("AAIGrid", "asc", "AAIGrid"), ("GTiff", "image", "GTiff")],
)
def test_formats_of_pixels_are_opened_by_their_first_bytes(tmp_path, tile, driver, suffix, expected):
    path = tmp_path / f"copy.{suffix}"
    with rasterio.open(tile) as source:
        copy_raster(source, path, driver=driver)

    assert raster_driver(path) == expected
    with open_local(path) as dataset:
        assert dataset.read().sum() == 32 * 32


def test_big_and_turned_round_geotiffs_are_geotiffs(tmp_path, tile):
    for name, options in (("big", {"BIGTIFF": "YES"}), ("turned", {"ENDIANNESS": "BIG"})):
        with rasterio.open(tile) as source:
            copy_raster(source, tmp_path / f"{name}.tif", driver="GTiff", **options)
        assert read_window(tmp_path / f"{name}.tif", WHOLE, fill=0).sum() == 32 * 32


@pytest.mark.parametrize("name", ["a.png", "a.nc", "a.bin"])
def test_another_format_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))

    assert "raster format that is not supported" in tried(read_header, tmp_path / name)


@pytest.fixture
def shapes(tmp_path):
    """Write real.gpkg; return what is in it."""
    frame = gpd.GeoDataFrame({"RGIId": ["a"]}, geometry=[shapely.box(0, 0, 100, 100)], crs="EPSG:32606")
    pyogrio.write_dataframe(frame, tmp_path / "real.gpkg")
    return frame


VECTOR_READERS = {
    "outlines": lambda path: read_outlines(path, OutlineSettings(path="x"), "EPSG:32606"),
    "grid": read_grid,
    "polygons": lambda path: read_polygons(path, "EPSG:32606"),
}


@pytest.mark.usefixtures("shapes")
@pytest.mark.parametrize("read", VECTOR_READERS.values(), ids=VECTOR_READERS)
@pytest.mark.parametrize("name", ["a.shp", "a.gpkg", "a.geojson", "a.vrt", "a.xml"])
def test_a_description_in_place_of_shapes_is_refused_and_the_network_is_not_asked(tmp_path, network, read, name):
    address, asked = network
    path = tmp_path / name
    virtual = f'<OGRVRTLayer name="real"><SrcDataSource>{tmp_path}/real.gpkg</SrcDataSource></OGRVRTLayer>'
    for content in (
        f"<OGRVRTDataSource>{virtual}</OGRVRTDataSource>",
        f"<OGRWFSDataSource><URL>{address}/wfs</URL></OGRWFSDataSource>",
        json.dumps({"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read {tmp_path}/real.gpkg"}),
    ):
        path.write_text(content)
        assert "not a readable vector file: its format" in tried(read, path)
    assert asked == []


@pytest.mark.usefixtures("shapes")
@pytest.mark.parametrize("read", VECTOR_READERS.values(), ids=VECTOR_READERS)
@pytest.mark.parametrize("name", ["outlines.zip", "outlines.shz", "outlines.gpkg"])
def test_an_archive_is_refused_with_the_advice_to_unpack_it(tmp_path, read, name):
    path = tmp_path / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "real.gpkg", "real.gpkg")

    with pytest.raises(InputError) as failure:
        read(path)

    assert failure.value.what == "is an archive"
    assert failure.value.where == str(path)
    assert "unpack it" in failure.value.fix


@pytest.mark.usefixtures("shapes")
def test_a_directory_is_refused_with_the_advice_to_name_a_file(tmp_path):
    assert tried(read_grid, tmp_path) == "is a directory"


@pytest.mark.parametrize(
    ("driver", "name"),
    [("GPKG", "a.gpkg"), ("ESRI Shapefile", "a.shp"), ("GeoJSON", "a.geojson"), ("FlatGeobuf", "a.fgb"),
     ("OpenFileGDB", "a.gdb"), ("SQLite", "a.sqlite"), ("GeoJSON", "a.json"), ("parquet", "a.parquet")],
)  # fmt: skip
def test_formats_of_shapes_are_read(tmp_path, shapes, driver, name):
    path = tmp_path / name
    if driver == "parquet":
        shapes.to_parquet(path)
    else:
        pyogrio.write_dataframe(shapes, path, driver=driver)
        check_vector(path)

    assert VECTOR_READERS["outlines"](path).table["outline"].tolist() == ["a"]
