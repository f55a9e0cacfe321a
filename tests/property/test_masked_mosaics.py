"""Pixels that a mask or an alpha band hides are transparent, as nodata is: over other tiles, and beneath them."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.io.raster.composed import MaskedMosaic
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.io.raster.masks import MASK, mask_of
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.stages.layers.mosaics import mosaic_band
from tests.reference.mosaic import mosaic
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 12, 14)
BAND = Band("dem", Role.TOPO, "dem", nodata=-9999)
HOW = ("nothing", "alpha", "inside", "beside")


def write_masked(path, values, hidden, how, **profile):
    """Write one band, with a mask or an alpha band that hides pixels."""
    if how == "alpha":
        write_tif(path, np.stack([values, np.where(hidden, 0, 100).astype(values.dtype)]), **profile)
        with rasterio.open(path, "r+") as file:
            file.colorinterp = (ColorInterp.undefined, ColorInterp.alpha)
        return
    write_tif(path, values, **profile)
    if how != "nothing":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=how == "inside"), rasterio.open(path, "r+") as file:
            file.write_mask(~hidden)


@st.composite
def tiles(draw, dtype, sentinels):
    """Draw up to four tiles: id, pixels, which are hidden, how, row and column, and tag."""
    found = []
    for tile in draw(st.lists(st.sampled_from("1234"), min_size=1, max_size=4, unique=True)):
        shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        tag, how = draw(st.sampled_from(sentinels)), draw(st.sampled_from(HOW))
        values = rng.integers(1, 100, shape).astype(dtype)
        values[rng.random(shape) < 0.2] = BAND.nodata if tag is None else tag
        hidden = (rng.random(shape) < 0.4) & (how != "nothing")
        found.append((tile, values, hidden, how, draw(st.integers(-3, 11)), draw(st.integers(-3, 13)), tag))
    return sorted(found, key=lambda one: one[0])


def written(root, drawn):
    """Write the tiles; return their mosaic, and what it shows by the reference."""
    files, below = [], []
    for tile, values, hidden, how, row, col, tag in drawn:
        path = root / f"{tile}.tif"
        place = {"left": LATTICE.left + 10 * col, "top": LATTICE.top - 10 * row, "px": 10.0}
        write_masked(path, values, hidden, how, nodata=tag, **place)
        header = read_header(path)
        assert (header.count, header.has_mask) == (1, how != "nothing")
        window = Window(row, col, *values.shape)
        files.append(SourceFile(tile, "dem", path.name, window, values.dtype.name, tag, 1, mask=header.mask))
        sentinel = values.dtype.type(BAND.nodata if tag is None else tag)
        below.append((np.where(hidden, sentinel, values), row, col, sentinel))
    made = mosaic_band(files, BAND, root)
    return made, mosaic(below, LATTICE.shape, BAND.nodata, made.dtype)


@settings(max_examples=40, deadline=None)
@given(
    drawn=st.one_of(
        tiles("int16", [-9999, -32768, 7, None]),
        tiles("float32", [-9999, float("nan"), 0.1, None]),
        tiles("uint16", [65535]),
        tiles("float64", [1e300, float("nan")]),
    )
)
def test_a_mosaic_shows_what_no_mask_hides(drawn):
    with tempfile.TemporaryDirectory() as name:
        made, expected = written(Path(name), drawn)

        with MaskedMosaic(made) as reader:
            for window in (LATTICE.window, Window(2, 3, 5, 4)):
                rows, cols = (slice(*ends) for ends in window.ranges)
                np.testing.assert_array_equal(reader.read(window)[0], expected[rows, cols])


@pytest.mark.parametrize(
    ("how", "expected"), [("nothing", 0), ("alpha", 2), ("inside", MASK), ("beside", MASK)], ids=HOW
)
def test_what_hides_pixels_is_known_from_the_header(tmp_path, how, expected):
    values = np.arange(12, dtype=np.int16).reshape(3, 4)
    write_masked(tmp_path / "a.tif", values, values == 5, how)

    with rasterio.open(tmp_path / "a.tif") as file:
        assert mask_of(file) == expected
    header = read_header(tmp_path / "a.tif")
    assert header.count == len(header.names) == len(header.dtypes) == len(header.nodata) == 1


def test_alpha_counts_in_a_file_of_any_number_of_bands(tmp_path):
    write_tif(tmp_path / "a.tif", np.ones((3, 4, 4), np.int16))
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.colorinterp = (ColorInterp.undefined, ColorInterp.undefined, ColorInterp.alpha)

    assert (read_header(tmp_path / "a.tif").mask, read_header(tmp_path / "a.tif").count) == (3, 2)


def test_a_single_band_is_no_mask_of_itself_nor_one_before_the_last(tmp_path):
    for n_bands in (1, 3):
        write_tif(tmp_path / f"{n_bands}.tif", np.ones((n_bands, 4, 4), np.int16))
        with rasterio.open(tmp_path / f"{n_bands}.tif", "r+") as file:
            file.colorinterp = (ColorInterp.alpha, *[ColorInterp.undefined] * (n_bands - 1))

        header = read_header(tmp_path / f"{n_bands}.tif")
        assert (header.mask, header.count) == (0, n_bands)


def test_a_damaged_file_of_a_masked_mosaic_is_named(tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (30, 30)).astype(np.int16)
    write_masked(tmp_path / "1.tif", values, values < 9, "inside")
    file = SourceFile("1", "dem", "1.tif", Window(0, 0, 30, 30), "int16", None, 1, mask=MASK)
    made = mosaic_band([file], BAND, tmp_path)
    (tmp_path / "1.tif").unlink()

    with MaskedMosaic(made) as reader, pytest.raises(InputError, match="is gone") as refused:
        reader.read(Window(0, 0, 9, 9))
    assert refused.value.where.endswith("1.tif")
