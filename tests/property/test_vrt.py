"""A mosaic VRT shows the pixels that two independent mosaics show."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.merge import merge

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.io.raster.vrt import write_vrt
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.stages.layers.mosaics import mosaic_band
from tests.reference.mosaic import mosaic
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 12, 14)
BAND = Band("dem", Role.TOPO, "dem", nodata=-9999)
IDS = st.sampled_from(["5", "40", "123", "1124", "b2", "a10"])


@st.composite
def tiles(draw, sentinels, dtype):
    """Draw up to five tiles of the lattice: (id, array, row, col, tag)."""
    found = []
    for tile in draw(st.lists(IDS, min_size=1, max_size=5, unique=True)):
        height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        row, col = draw(st.integers(-3, 11)), draw(st.integers(-3, 13))
        tag = draw(st.sampled_from(sentinels))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        values = rng.integers(1, 100, (height, width)).astype(dtype)
        values[rng.random(values.shape) < 0.4] = BAND.nodata if tag is None else tag
        found.append((tile, values, row, col, tag))
    return found


def written(root, drawn):
    files = []
    for tile, values, row, col, tag in drawn:
        place = {"left": LATTICE.left + 10 * col, "top": LATTICE.top - 10 * row, "px": 10.0}
        write_tif(root / f"{tile}.tif", values, nodata=tag, **place)
        window = Window(row, col, *values.shape)
        files.append(SourceFile(tile, "dem", f"{tile}.tif", window, values.dtype.name, tag, 1))
    return files


def shown(root, files, precedence="lowest-id"):
    path = root / "mosaic.vrt"
    write_vrt(path, LATTICE, [mosaic_band(files, BAND, root, source_band=1, precedence=precedence)])
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def by_precedence(items, tile_of, precedence):
    order = {"5": 0, "40": 1, "123": 2, "1124": 3, "a10": 4, "b2": 5}
    return sorted(items, key=lambda item: order[tile_of(item)], reverse=precedence == "highest-id")


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
@settings(max_examples=25, deadline=None)
@given(drawn=tiles([-9999], "int16"), precedence=st.sampled_from(["lowest-id", "highest-id"]))
def test_a_mosaic_equals_rasterio_merge_with_the_tiles_in_order_of_precedence(drawn, precedence):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files = written(root, drawn)

        actual = shown(root, files, precedence)

        ordered = by_precedence(files, lambda file: file.tile, precedence)
        within = [file for file in ordered if not file.window.intersection(LATTICE.window).is_empty]
        if within:
            paths = [root / file.path for file in within]
            expected, _ = merge(paths, bounds=LATTICE.bounds, res=10.0, nodata=-9999, method="first")
            np.testing.assert_array_equal(actual, expected[0])
        else:
            assert (actual == -9999).all()


@settings(max_examples=40, deadline=None)
@given(
    drawn=st.one_of(
        tiles([-9999, -1.0, float("nan"), None, -3.4028234663852886e38, 0.1], "float32"),
        tiles([-9999, -32768, 0, None], "int16"),
        tiles([-9999, 2**31 - 1, None], "int32"),
        tiles([-9999, 1e300, float("nan")], "float64"),
    )
)
def test_a_mosaic_masks_every_file_through_its_own_tag(drawn):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files = written(root, drawn)

        actual = shown(root, files)

    ordered = by_precedence(drawn, lambda item: item[0], "lowest-id")
    own = [
        (values, row, col, values.dtype.type(BAND.nodata if tag is None else tag))
        for _, values, row, col, tag in ordered
    ]
    np.testing.assert_array_equal(actual, mosaic(own, LATTICE.shape, BAND.nodata, actual.dtype))
    assert actual.dtype == drawn[0][1].dtype
