"""A nodata tag that is also a value of the layer is refused: nobody can tell such pixels from missing ones."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.lattice import Lattice
from gcn_luigi.stages.layers.label import write_distance, write_label
from tests.reference.tile_tree import region, write_tif

LATTICE = Lattice("EPSG:32606", 600_000.0, 7_000_000.0, 10.0, 20, 30)
VALUES = np.random.default_rng(5).integers(0, 3, LATTICE.shape).astype(np.int16)
GIVEN = {
    "votes": {"label": {"stem": "given.tif"}},
    # Where 0 means missing, class none does not occur.
    "label": {"label": {"raster": "given.tif", "allow_absent": ["none"]}},
    "distance": {"distance": {"enabled": True, "raster": "given.tif"}},
}


@pytest.fixture
def make(tmp_path):
    """Return a function that makes the raster of a layer from a file with some tag, and returns its pixels."""

    def make(layer, tag, dtype="int16", **changes):
        shape = shapely.box(600_050, 6_999_850, 600_200, 6_999_950)
        gpd.GeoDataFrame({"RGIId": ["a"]}, geometry=[shape], crs=LATTICE.crs).to_file(tmp_path / "rgi.gpkg")
        write_tif(tmp_path / "given.tif", VALUES.astype(dtype), nodata=tag)
        paths, out = DatasetPaths(tmp_path / "out"), tmp_path / "made.tif"
        paths.root.mkdir()
        paths.inventory.write_text(Inventory(LATTICE, ()).to_json(), encoding="utf-8")
        write = write_distance if layer == "distance" else write_label
        write(Region(region(**(GIVEN[layer] | changes)), tmp_path), paths, out, lambda _line, _share: None)
        with rasterio.open(out) as dataset:
            return dataset.read(1)

    return make


@pytest.mark.parametrize(
    ("layer", "tag"),
    [
        ("votes", 0),
        ("votes", 4),
        ("votes", 100),
        ("label", 0),
        ("label", 1),
        ("label", 2),
        ("distance", 0),
        ("distance", 30),
    ],
)
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_such_a_tag_is_refused(make, layer, tag, dtype):
    with pytest.raises(InputError, match=f"nodata tag {tag}, a legal value of the {layer}") as caught:
        make(layer, tag, dtype)

    assert caught.value.where.endswith("given.tif")
    assert "tiles.on_suspect_nodata = 'accept'" in caught.value.fix


@pytest.mark.parametrize(
    ("layer", "tag"),
    [
        ("votes", -1),
        ("votes", 255),
        ("votes", None),
        ("label", 255),
        ("label", 3),
        ("distance", -1),
        ("distance", 32767),
    ],
)
def test_any_other_passes(make, layer, tag):
    assert make(layer, tag).shape == LATTICE.shape


@pytest.mark.parametrize(("layer", "missing"), [("votes", 255), ("label", 255), ("distance", -32768)])
def test_it_can_be_accepted_and_then_means_missing(make, layer, missing):
    made = make(layer, 0, tiles={"on_suspect_nodata": "accept"})

    np.testing.assert_array_equal(made == missing, VALUES == 0)


def test_fewer_votes_make_room_for_a_tag(make):
    with pytest.raises(InputError, match="nodata tag 99"):
        make("votes", 99)


def test_a_tag_above_the_largest_number_of_votes_is_none_of_them(make):
    made = make("votes", 99, label={"stem": "given.tif", "max_votes": 7})

    assert not (made == 255).any()
