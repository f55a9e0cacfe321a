import numpy as np
import pytest

from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.raster.header import read_header, window_on
from gcn_luigi.io.raster.vrt import VrtBand, VrtSource, write_vrt
from gcn_luigi.io.raster.windows import read_window
from gcn_luigi.lattice import Lattice, Window
from tests.reference.tile_tree import write_tif

LATTICE = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 5, 7)


def ramp(count=2, height=5, width=7):
    return np.arange(count * height * width).reshape(count, height, width).astype(np.int16)


@pytest.fixture
def path(tmp_path):
    return write_tif(tmp_path / "a.tif", ramp())


@pytest.mark.parametrize("row", [-9, -2, 0, 2, 4, 5, 90])
@pytest.mark.parametrize("col", [-9, -1, 0, 3, 6, 7])
def test_a_window_beyond_the_raster_is_filled_and_never_stretched(path, row, col):
    values = read_window(path, Window(row, col, 4, 5), fill=[-1, -2])

    padded = np.full((2, 200, 200), np.array([-1, -2]).reshape(2, 1, 1), np.int16)
    padded[:, 50:55, 50:57] = ramp()
    np.testing.assert_array_equal(values, padded[:, 50 + row : 54 + row, 50 + col : 55 + col])
    assert values.dtype == np.int16


def test_bands_are_read_in_the_order_asked_for(path):
    np.testing.assert_array_equal(read_window(path, LATTICE.window, bands=[2, 1, 2], fill=0), ramp()[[1, 0, 1]])


@pytest.mark.parametrize("fill", [40000, 0.5, float("nan"), [-1, 1e300]])
def test_a_fill_that_the_type_does_not_hold_is_refused(path, fill):
    with pytest.raises(InputError, match="does not fit int16"):
        read_window(path, LATTICE.window, fill=fill)


def test_nan_fills_floats(tmp_path):
    path = write_tif(tmp_path / "a.tif", np.ones((2, 2), np.float32))

    assert np.isnan(read_window(path, Window(0, 2, 2, 2), fill=float("nan"))).all()


def test_bands_of_different_types_are_read_as_the_type_that_holds_both(tmp_path):
    path = tmp_path / "a.vrt"
    source = write_tif(tmp_path / "a.tif", ramp())
    low = VrtBand("a", "int16", -32768, (VrtSource(source, 1, LATTICE.window, None),))
    write_vrt(path, LATTICE, [low, VrtBand("label", "uint8", 255, ())])

    values = read_window(path, LATTICE.window, fill=[-32768, 255])

    assert values.dtype == np.int16
    np.testing.assert_array_equal(values[0], ramp()[0])
    assert (values[1] == 255).all()


def test_a_source_that_is_gone_is_named_through_a_vrt_of_a_vrt(tmp_path, capfd):
    for tile in ("1", "2"):
        write_tif(tmp_path / f"{tile}.tif", ramp(1))
    parts = tuple(
        VrtSource(tmp_path / f"{tile}.tif", 1, Window(0, col, 5, 7), -32768) for tile, col in (("1", 0), ("2", 7))
    )
    lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 5, 14)
    write_vrt(tmp_path / "mosaic.vrt", lattice, [VrtBand("a", "int16", -32768, parts)])
    write_tif(tmp_path / "2.tif", ramp(1), left=600070.0)
    whole = VrtSource(tmp_path / "mosaic.vrt", 1, lattice.window, -32768)
    write_vrt(tmp_path / "stack.vrt", lattice, [VrtBand("a", "int16", -32768, (whole,))])
    (tmp_path / "2.tif").unlink()

    west = read_window(tmp_path / "stack.vrt", Window(0, 0, 5, 7), fill=0)
    with pytest.raises(InputError, match="is gone") as caught:
        read_window(tmp_path / "stack.vrt", Window(0, 5, 5, 7), fill=0)

    np.testing.assert_array_equal(west, ramp(1))
    assert caught.value.where == str(tmp_path / "2.tif")
    assert capfd.readouterr() == ("", "")


def test_a_damaged_source_is_named_by_its_own_path_and_not_by_the_way_through_a_mosaic(tmp_path):
    data, made = tmp_path / "data", tmp_path / "made/below"
    data.mkdir()
    made.mkdir(parents=True)
    write_tif(data / "a.tif", np.random.default_rng(1).integers(0, 99, (64, 64)).astype(np.int16), compress="lzw")
    content = bytearray((data / "a.tif").read_bytes())
    content[-2000:-1000] = bytes(1000)
    source = VrtSource(data / "a.tif", 1, Window(0, 0, 64, 64), None)
    lattice = Lattice("EPSG:32606", 600000.0, 7000000.0, 10.0, 64, 64)
    write_vrt(made / "m.vrt", lattice, [VrtBand("a", "int16", -32768, (source,))])
    (data / "a.tif").write_bytes(content)

    with pytest.raises(InputError) as caught:
        read_window(made / "m.vrt", Window(0, 0, 64, 64), fill=0)

    assert caught.value.where == str(data / "a.tif")


def test_a_raster_is_placed_by_its_coordinates(tmp_path):
    path = write_tif(tmp_path / "a.tif", ramp(), left=599970.0, top=7000020.0)

    assert window_on(read_header(path).lattice, LATTICE, where="") == Window(-2, -3, 5, 7)


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        ({"left": 600003.0}, LatticeError, r"\+0.300"),
        ({"px": 30.0}, LatticeError, "30 m"),
        ({"crs": "EPSG:32607"}, InputError, "EPSG:32607"),
    ],
)
def test_a_raster_off_the_lattice_is_refused(tmp_path, place, error, said):
    path = write_tif(tmp_path / "a.tif", ramp(), **place)

    with pytest.raises(error, match=said) as caught:
        window_on(read_header(path).lattice, LATTICE, where=str(path))

    assert caught.value.where == str(path)
