"""A VRT of votes shows its sources pixel by pixel, and hides none of their legal values without a word."""

import numpy as np
import pytest
import rasterio
import shapely
from geopandas import GeoDataFrame
from rasterio.shutil import copy
from rasterio.vrt import WarpedVRT

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.lattice import Lattice
from gcn_luigi.stages.layers.aligned_raster import AlignedRaster
from gcn_luigi.stages.layers.label import write_label
from tests.reference.tile_tree import region, write_tif

LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 20, 30)
VOTES = np.random.default_rng(5).integers(0, 8, LATTICE.shape).astype(np.uint8)


def write_vrt(path, *sources, nodata=255):
    path.write_text(
        f"""<VRTDataset rasterXSize="30" rasterYSize="20"><SRS>EPSG:32606</SRS>
        <GeoTransform>600000, 10, 0, 7000000, 0, -10</GeoTransform>
        <VRTRasterBand dataType="Byte" band="1"><NoDataValue>{nodata}</NoDataValue>{"".join(sources)}
        </VRTRasterBand></VRTDataset>""",
        encoding="utf-8",
    )
    return path


def shown(name, left, width, *, hidden=None, of=None, start=0, how=""):
    kind = "SimpleSource" if hidden is None else "ComplexSource"
    return (
        f'<{kind}{how}><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="{start}" yOff="0" xSize="{of or width}" ySize="20"/>'
        f'<DstRect xOff="{left}" yOff="0" xSize="{width}" ySize="20"/>'
        + (f"<NODATA>{hidden}</NODATA>" if hidden is not None else "")
        + f"</{kind}>"
    )


@pytest.fixture
def tiles(tmp_path):
    write_tif(tmp_path / "a.tif", VOTES[:, :15], nodata=None)
    write_tif(tmp_path / "b.tif", VOTES[:, 15:], left=600_150.0, nodata=None)
    shape = shapely.box(600_050, 6_999_850, 600_200, 6_999_950)
    GeoDataFrame({"RGIId": ["a"]}, geometry=[shape], crs=LATTICE.crs).to_file(tmp_path / "rgi.gpkg")
    return tmp_path


def label(root, name, **changes):
    paths, out = DatasetPaths(root / "out"), root / "made.tif"
    paths.root.mkdir(exist_ok=True)
    paths.inventory.write_text(Inventory(LATTICE, ()).to_json(), encoding="utf-8")
    write_label(Region(region(label={"stem": name}, **changes), root), paths, out, lambda _line, _share: None)
    with rasterio.open(out) as dataset:
        return dataset.read(1)


@pytest.mark.parametrize("is_nested", [False, True])
def test_zero_votes_that_a_vrt_hides_are_not_missing_without_a_word(tiles, is_nested):
    write_vrt(tiles / "votes.vrt", shown("a.tif", 0, 15, hidden=0), shown("b.tif", 15, 15, hidden=0))
    name = "votes.vrt"
    if is_nested:
        name = write_vrt(tiles / "outer.vrt", shown("votes.vrt", 0, 30)).name

    with pytest.raises(InputError, match="hides 0 of its sources, a legal value of the votes") as caught:
        label(tiles, name)

    assert caught.value.where.endswith(name)
    assert "gdalbuildvrt -srcnodata" in caught.value.fix
    accepted = label(tiles, name, tiles={"on_suspect_nodata": "accept"})
    assert ((accepted == 255) == (VOTES == 0)).all()


def test_nor_are_those_that_a_warped_vrt_hides(tiles):
    write_tif(tiles / "all.tif", VOTES, nodata=0)
    with (
        rasterio.open(tiles / "all.tif") as source,
        WarpedVRT(source, crs=LATTICE.crs, src_nodata=0, nodata=255) as warped,
    ):
        copy(warped, tiles / "votes.vrt", driver="VRT")

    with pytest.raises(InputError, match="hides 0 of its sources"):
        label(tiles, "votes.vrt")

    accepted = label(tiles, "votes.vrt", tiles={"on_suspect_nodata": "accept"})
    assert ((accepted == 255) == (VOTES == 0)).all()


def test_the_remedy_for_hidden_votes_is_one(tiles):
    write_vrt(tiles / "votes.vrt", shown("a.tif", 0, 15, hidden=255), shown("b.tif", 15, 15, hidden=255))

    assert not (label(tiles, "votes.vrt") == 255).any()


@pytest.mark.parametrize(
    "second",
    [shown("b.tif", 14.5, 15), shown("b.tif", 15, 14.985, of=15), shown("b.tif", 15, 14, start=0.4)],
    ids=["half a pixel off", "pixels of another size", "begun between pixels"],
)
def test_a_source_between_the_pixels_of_a_vrt_is_not_shifted_without_a_word(tiles, second):
    path = write_vrt(tiles / "votes.vrt", shown("a.tif", 0, 15), second)

    with pytest.raises(InputError, match=r"shows b\.tif between its own pixels") as caught:
        AlignedRaster.open(path, LATTICE)

    assert "resampling" in caught.value.fix


@pytest.mark.parametrize(
    "second",
    [
        shown("b.tif", 15.0000001, 14.9999999, of=15),
        shown("b.tif", 14.5, 15, how=' resampling="bilinear"'),
        shown("b.tif", 15, 14, of=7),
    ],
    ids=["rounding", "resampling that is stated", "whole pixels of another size"],
)
def test_rounding_and_what_somebody_asked_for_pass(tiles, second):
    path = write_vrt(tiles / "votes.vrt", shown("a.tif", 0, 15), second)

    values, _ = AlignedRaster.open(path, LATTICE).read(LATTICE.window)

    np.testing.assert_array_equal(values[:, :14], VOTES[:, :14])
