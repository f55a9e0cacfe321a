"""VRTs made elsewhere: those that only copy are read from their files, and all show what GDAL shows."""

import re

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from gcn_luigi.io.raster.copied import copied_sources
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.lattice import Lattice, Window

LATTICE = Lattice("EPSG:3338", left=300.0, top=9000.0, pixel_size=30.0, height=40, width=60)
NODATA = -99
# Row and column of the corner of each file in the VRT, which is 30 rows and 50 columns. All are 20 x 30.
PLACES = {"a": (0, 0), "b": (10, 20), "c": (0, 20)}


def one_source(kind, name, extra="", place=None, band=1, rectangle="0 0 30 20"):
    row, col = place or PLACES[name]
    left, top, width, height = rectangle.split()
    return f"""<{kind}><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>{band}</SourceBand>
    <SrcRect xOff="{left}" yOff="{top}" xSize="{width}" ySize="{height}"/>
    <DstRect xOff="{col}" yOff="{row}" xSize="{width}" ySize="{height}"/>{extra}</{kind}>"""


def one_band(*sources, dtype="Int16", nodata=f"<NoDataValue>{NODATA}</NoDataValue>", attributes=""):
    return f'<VRTRasterBand dataType="{dtype}" band="1" {attributes}>{nodata}{"".join(sources)}</VRTRasterBand>'


HIDING = f"<NODATA>{NODATA}</NODATA>"
A, B = one_source("ComplexSource", "a", HIDING), one_source("ComplexSource", "b", HIDING)
# Read from the files.
COPIES = {
    "as gdalbuildvrt writes it": one_band(A, B),
    "the other order": one_band(B, A),
    "opaque files side by side": one_band(
        one_source("SimpleSource", "a", place=(0, 0)),
        one_source("SimpleSource", "c", place=(0, 30), rectangle="0 0 20 20"),
    ),
    "the second band of a file": one_band(one_source("ComplexSource", "a", HIDING, band=2)),
}
# Left to GDAL.
OTHERS = {
    "an opaque file above another": one_band(A, one_source("SimpleSource", "b")),
    "a file that hides another value": one_band(A, one_source("ComplexSource", "b", "<NODATA>5</NODATA>")),
    "no nodata value": one_band(A, B, nodata=""),
    "another nodata value": one_band(A, B, nodata="<NoDataValue>-98</NoDataValue>"),
    "scaled": one_band(one_source("ComplexSource", "a", f"<ScaleRatio>2</ScaleRatio>{HIDING}"), B),
    "a type that clips": one_band(A, B, dtype="Byte"),
    "a part of a file": one_band(one_source("ComplexSource", "a", HIDING, rectangle="3 4 20 10"), B),
    "a class of its own": one_band(A, B, attributes='subClass="VRTSourcedRasterBand"'),
    "beyond the VRT": one_band(one_source("ComplexSource", "a", HIDING, place=(20, 30)), B),
    "stretched": one_band(re.sub('(DstRect.*?xSize=)"30"', r'\1"15"', A), B),
    "a table of values": one_band(one_source("ComplexSource", "a", f"<LUT>0:5,9:7</LUT>{HIDING}"), B),
}


@pytest.fixture
def directory(tmp_path):
    rng = np.random.default_rng(3)
    for name in PLACES:
        values = rng.integers(0, 9, (2, 20, 30)).astype(np.int16)
        values[rng.random(values.shape) < 0.3] = NODATA
        place = Affine(30.0, 0.0, 0.0, 0.0, -30.0, 0.0)
        profile = {"driver": "GTiff", "dtype": "int16", "count": 2, "height": 20, "width": 30, "crs": "EPSG:3338"}
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile, transform=place, nodata=NODATA) as file:
            file.write(values)
    return tmp_path


def a_stack(directory, band):
    """Write a VRT of 30 rows and 50 columns and a stack that shows it from row 4, column 6; return its source too."""
    made = directory / "made.vrt"
    place = "<SRS>EPSG:3338</SRS><GeoTransform>480, 30, 0, 8880, 0, -30</GeoTransform>"
    made.write_text(f'<VRTDataset rasterXSize="50" rasterYSize="30">{place}{band}</VRTDataset>')
    source = VrtSource(made, 1, Window(4, 6, 30, 50), float(NODATA))
    stack = Vrt(directory / "stack.vrt", LATTICE, (VrtBand("x", "int16", float(NODATA), (source,)),))
    write_vrt(stack.path, LATTICE, stack.bands)
    return stack, source


@pytest.mark.parametrize("kind", [*COPIES, *OTHERS])
def test_every_vrt_shows_what_gdal_shows(directory, kind):
    stack, source = a_stack(directory, {**COPIES, **OTHERS}[kind])

    assert (copied_sources(source) is not None) == (kind in COPIES)
    with rasterio.open(stack.path) as dataset, StackReader({2004: stack}) as reader:
        for window in (Window(5, 20, 9, 31), LATTICE.window):
            expected = dataset.read(window=window.ranges)
            np.testing.assert_array_equal(reader.read(2004, window), expected)
    assert len(np.unique(expected)) > 3


def test_a_vrt_that_only_copies_is_not_opened(directory, monkeypatch):
    stack, _ = a_stack(directory, COPIES["as gdalbuildvrt writes it"])
    opened = []

    def open_and_record(path):
        opened.append(path.name)
        return open_local(path)

    monkeypatch.setattr("gcn_luigi.io.raster.compositor.open_local", open_and_record)
    with StackReader({2004: stack}) as reader:
        reader.read(2004, LATTICE.window)

    assert opened == ["a.tif", "b.tif"]


@pytest.mark.parametrize("text", ["", "<VRTDataset>", "<VRTDataset/>", "<!DOCTYPE x><VRTDataset/>"])
def test_a_text_that_is_no_vrt_is_left_to_gdal(tmp_path, text):
    path = tmp_path / "odd.vrt"
    path.write_text(text)

    assert copied_sources(VrtSource(path, 1, Window(0, 0, 5, 5), 0.0)) is None


def test_a_vrt_that_is_gone_is_left_to_gdal(tmp_path):
    assert copied_sources(VrtSource(tmp_path / "gone.vrt", 1, Window(0, 0, 5, 5), 0.0)) is None
