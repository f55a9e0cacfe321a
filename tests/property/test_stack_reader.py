"""A stack read from its source files shows the pixels that GDAL shows of the VRT, and rasterio.merge of the tiles."""

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
from gcn_luigi.io.raster.stack import StackReader
from gcn_luigi.io.raster.vrt import Vrt, VrtBand, VrtSource, write_vrt
from gcn_luigi.io.raster.windows import read_window
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.stages.layers.mosaics import mosaic_band
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 37, 41)
IDS = st.sampled_from(["5", "40", "123", "1124", "b2", "a10"])
YEARS = (1990, 2000)
INT16_TAGS = [-32768, -9999, 0, 255, None, 70000, -(2**40)]
FLOAT_TAGS = [-9999, 0.1, float("nan"), float("inf"), -3.4028234663852886e38, None]
TAGS = {
    "int16": INT16_TAGS,
    "uint8": [0, 255, None],
    "uint16": [0, 65535, None],
    "int32": [-9999, 2**31 - 1, None],
    "float32": FLOAT_TAGS,
}


@st.composite
def windows(draw):
    return Window(
        draw(st.integers(-20, 45)), draw(st.integers(-20, 50)), draw(st.integers(1, 30)), draw(st.integers(1, 30))
    )


@st.composite
def stacks(draw, dtypes):
    """Draw the tiles of two bands of two years: (band, tile, (year, y, x), row, col, tag), and the bands."""
    bands, found = [], []
    for name in ("nbr", "dem"):
        dtype = draw(st.sampled_from(dtypes))
        bands.append(Band(name, Role.OPTICAL, nodata=draw(st.sampled_from([-32768, -9999, 0, 255]))))
        for tile in draw(st.lists(IDS, min_size=1, max_size=5, unique=True)):
            height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
            row, col = draw(st.integers(-9, 36)), draw(st.integers(-9, 40))
            tag = draw(st.sampled_from(TAGS[dtype]))
            rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
            low, high = (0, 256) if dtype == "uint8" else (-40000, 70000) if dtype == "int32" else (0, 100)
            if dtype == "float32":
                values = (rng.normal(0, 20000, (len(YEARS), height, width))).astype(dtype)
            elif dtype == "int16":
                values = rng.integers(-32768, 32768, (len(YEARS), height, width)).astype(dtype)
            else:
                values = rng.integers(low, high, (len(YEARS), height, width)).astype(dtype)
            for sentinel in (tag, bands[-1].nodata, 65535, 32767):
                fits = sentinel is not None and (dtype == "float32" or _holds(dtype, sentinel))
                if fits:
                    values[rng.random(values.shape) < 0.2] = sentinel
            found.append((name, tile, values, row, col, tag))
    return bands, found


def _holds(dtype, value):
    return float(value).is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def written(root, bands, tiles, precedence="lowest-id", *, layout=None):
    """Write tiles, mosaics and stacks as a build does; return the files by band and the stacks by year."""
    files = {band.name: [] for band in bands}
    for name, tile, values, row, col, tag in tiles:
        place = {"left": LATTICE.left + 10 * col, "top": LATTICE.top - 10 * row, "px": 10.0, **(layout or {})}
        # GDAL keeps no tag that a type does not hold; the VRT has it from the inventory all the same.
        kept = tag if tag is None or values.dtype.kind == "f" or _holds(values.dtype, tag) else None
        write_tif(root / "tiles" / f"{tile}_{name}.tif", values, nodata=kept, **place)
        window = Window(row, col, *values.shape[1:])
        files[name].append(
            SourceFile(tile, name, f"tiles/{tile}_{name}.tif", window, values.dtype.name, tag, len(values))
        )
    (root / "mosaics").mkdir()
    (root / "stacks").mkdir()
    made = {}
    for number, year in enumerate(YEARS, 1):
        layers = []
        for band in bands:
            path = root / "mosaics" / f"{band.name}_{year}.vrt"
            own = files[band.name]
            mosaic = mosaic_band(own, band, root, source_band=number, precedence=precedence)
            write_vrt(path, LATTICE, [mosaic])
            source = VrtSource(path, 1, LATTICE.window, band.nodata, mosaic)
            layers.append(VrtBand(band.name, "int16", band.nodata, (source,)))
        made[year] = Vrt(root / "stacks" / f"{year}.vrt", LATTICE, tuple(layers))
        write_vrt(made[year].path, LATTICE, layers)
    return files, made


def same_as_gdal(stacks, bands, requests, *, expected):
    with StackReader(stacks, block_bytes=1_000_000, ahead_bytes=3000) as reader:
        reader.expect([request for request, is_expected in zip(requests, expected, strict=True) if is_expected])
        for year, window in requests:
            actual = reader.read(year, window)
            fill = [band.nodata for band in bands]
            np.testing.assert_array_equal(actual, read_window(stacks[year].path, window, fill=fill))


@pytest.mark.parametrize("dtypes", [["int16"], ["int16", "uint8"], ["int16", "uint8", "uint16", "int32", "float32"]])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_windows_equal_gdals_reading_of_the_vrt(dtypes, data):
    bands, tiles = data.draw(stacks(dtypes))
    requests = data.draw(st.lists(st.tuples(st.sampled_from(YEARS), windows()), min_size=1, max_size=6))
    expected = data.draw(st.lists(st.booleans(), min_size=len(requests), max_size=len(requests)))
    layout = data.draw(
        st.sampled_from([{}, {"interleave": "band"}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
    )
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        precedence = data.draw(st.sampled_from(["lowest-id", "highest-id"]))
        _, made = written(root, bands, tiles, precedence, layout=layout)

        same_as_gdal(made, bands, requests, expected=expected)


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
@settings(max_examples=25, deadline=None)
@given(drawn=stacks(["int16"]), window=windows())
def test_windows_equal_a_merge_of_the_tiles(drawn, window):
    bands, tiles = drawn
    # merge masks by one value alone: every file carries its band's nodata.
    tagged = [(*tile[:-1], next(band.nodata for band in bands if band.name == tile[0])) for tile in tiles]
    order = {"5": 0, "40": 1, "123": 2, "1124": 3, "a10": 4, "b2": 5}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files, made = written(root, bands, tagged)
        with StackReader(made) as reader:
            actual = reader.read(1990, window).copy()

        bounds = LATTICE.crop(window).bounds
        seen = window.intersection(LATTICE.window)
        for plane, band in zip(actual, bands, strict=True):
            expected = np.full((window.height, window.width), band.nodata, np.int16)
            paths = [
                root / file.path
                for file in sorted(files[band.name], key=lambda file: order[file.tile])
                if not file.window.intersection(window).is_empty
            ]
            if paths and not seen.is_empty:
                merged, _ = merge(paths, bounds=bounds, res=10.0, nodata=band.nodata, method="first", indexes=[1])
                at = (
                    slice(seen.row - window.row, seen.row - window.row + seen.height),
                    slice(seen.col - window.col, seen.col - window.col + seen.width),
                )
                expected[at] = merged[0][at]
            np.testing.assert_array_equal(plane, expected)


def test_the_property_would_see_a_wrong_pixel(tmp_path):
    band = Band("nbr", Role.OPTICAL, nodata=-32768)
    tiles = [("nbr", "5", np.arange(50, dtype=np.int16).reshape(2, 5, 5), 0, 0, -32768)]
    _, made = written(tmp_path, [band], tiles)
    with rasterio.open(tmp_path / "tiles/5_nbr.tif", "r+") as dataset:
        dataset.write(np.full((1, 1), 99, np.int16), 1, window=((2, 3), (2, 3)))

    with StackReader(made) as reader:
        assert reader.read(1990, Window(0, 0, 5, 5))[0, 2, 2] == 99
        assert reader.read(2000, Window(0, 0, 5, 5))[0, 2, 2] == 37
