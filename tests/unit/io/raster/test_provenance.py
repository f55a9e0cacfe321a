"""A damaged source is named by the path that its owner knows, whatever mosaic it is read through."""

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy

from gcn_luigi.io.raster.windows import damaged_source, sources_within
from gcn_luigi.lattice import Window
from tests.reference.tile_tree import write_tif

WHOLE = Window(0, 0, 8, 8)


def mosaic_of(tile, place):
    """Write a VRT whose relative name of the tile begins with a way up, as ours do; return its path."""
    place.mkdir(parents=True)
    vrt = place / "mosaic.vrt"
    copy(tile, vrt, driver="VRT")
    text = vrt.read_text()
    start, stop = text.index("<SourceFilename"), text.index("</SourceFilename>")
    up = "/".join([".."] * len(place.resolve().parts[1:]))
    name = f'<SourceFilename relativeToVRT="1">{up}{tile}'
    vrt.write_text(text[:start] + name + text[stop:])
    return vrt


@pytest.fixture
def tile(tmp_path):
    return write_tif(tmp_path / "input/tile.tif", np.arange(64, dtype=np.int16).reshape(8, 8))


def test_the_way_up_and_down_again_is_left_out(tile, tmp_path):
    vrt = mosaic_of(tile, tmp_path / "scratch/output/mosaics")
    with rasterio.open(vrt) as dataset:
        assert ".." in dataset.files[1]

    assert [path for path, _ in sources_within(vrt, WHOLE)] == [tile]

    tile.write_bytes(tile.read_bytes()[:200])
    assert damaged_source(vrt, WHOLE) == tile


def test_a_link_on_the_way_leads_to_the_same_file(tile, tmp_path):
    far = tmp_path / "far/away/mosaics"
    vrt = mosaic_of(tile, far)
    (tmp_path / "output").symlink_to(tmp_path / "far/away")

    ((path, _),) = sources_within(tmp_path / "output/mosaics" / vrt.name, WHOLE)

    assert path.samefile(tile)
    assert ".." not in path.parts
