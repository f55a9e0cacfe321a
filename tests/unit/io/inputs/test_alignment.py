"""Which lattice a region with alignment has, and how the inventory says what is warped."""

import json
from dataclasses import replace

import pytest

from gcn_luigi.errors import LatticeError
from gcn_luigi.io.inputs.alignment import region_lattice
from gcn_luigi.io.inputs.inventory import Inventory, SourceFile
from gcn_luigi.io.raster.header import read_header
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.settings import LatticeSettings
from tests.reference.tile_tree import write_tif
from tests.unit.io.raster.test_windows import ramp

FILE = SourceFile("1", "nbr", "optical/1/x_nbr.tif", Window(0, 0, 4, 4), "int16", -32768.0, 2)
INVENTORY = Inventory(Lattice("EPSG:3338", 0.0, 0.0, 30.0, 8, 8), (FILE,))


@pytest.fixture
def headers(tmp_path):
    """Return headers: two of UTM zone 6, one of zone 7, one of another pixel size, one in degrees."""
    kinds = [
        ("EPSG:32606", 600_010.0, 7_000_000.0, 30.0),
        ("EPSG:32606", 630_010.0, 7_000_000.0, 30.0),
        ("EPSG:32607", 400_000.0, 7_000_000.0, 30.0),
        ("EPSG:32606", 600_000.0, 7_000_000.0, 10.0),
        ("EPSG:4326", -147.0, 63.0, 0.001),
    ]
    found = []
    for number, (crs, left, top, size) in enumerate(kinds):
        path = write_tif(tmp_path / f"{number}.tif", ramp(), crs=crs, left=left, top=top, px=size)
        found.append(read_header(path, is_lattice=False))
    return found


@pytest.mark.parametrize(
    ("configured", "wanted"),
    [
        ({}, ("EPSG:32606", 30.0, 10.0, 10.0)),
        ({"crs": "EPSG:32607"}, ("EPSG:32607", 30.0, 10.0, 10.0)),
        ({"pixel_size": 10}, ("EPSG:32606", 10.0, 0.0, 0.0)),
        ({"crs": "EPSG:32607", "pixel_size": 20}, ("EPSG:32607", 20.0, 0.0, 0.0)),
        # Bounds between the pixels of all files make a lattice of their own if CRS and pixel size are given.
        (
            {"crs": "EPSG:32606", "pixel_size": 30, "bounds": (600_007, 6_999_007, 600_307, 7_000_207)},
            ("EPSG:32606", 30.0, 7.0, 7.0),
        ),
        (
            {"crs": "EPSG:32606", "pixel_size": 30, "bounds": (600_010, 6_999_700, 600_310, 7_000_000)},
            ("EPSG:32606", 30.0, 10.0, 10.0),
        ),
    ],
)
def test_the_lattice_is_that_of_most_files_that_fit_what_is_configured(headers, configured, wanted):
    found = region_lattice(headers, LatticeSettings(**configured))

    edges = found.left % found.pixel_size, found.top % found.pixel_size
    assert (found.crs, found.pixel_size, *edges) == pytest.approx(wanted)


@pytest.mark.parametrize("configured", [{}, {"crs": "EPSG:3338"}, {"pixel_size": 30}])
def test_files_in_degrees_alone_make_no_lattice(headers, configured):
    with pytest.raises(LatticeError, match=r"no optical file") as refused:
        region_lattice(headers[-1:], LatticeSettings(**configured))

    assert "lattice.crs and lattice.pixel_size" in refused.value.fix


def test_a_lattice_in_degrees_is_refused(headers):
    with pytest.raises(LatticeError, match="needs a projected system"):
        region_lattice(headers, LatticeSettings(crs="EPSG:4326", pixel_size=1))


def test_an_inventory_says_what_is_warped_and_nothing_else_changes():
    warped = replace(FILE, resampling="average")
    whole = replace(INVENTORY, files=(warped,), layers=(replace(warped, tile="", band="label"),))

    assert Inventory.from_json(whole.to_json()) == whole
    assert whole.of_band("label") == whole.layers
    assert whole.tiles == ("1",)
    plain = json.loads(INVENTORY.to_json())
    assert "layers" not in plain
    assert "resampling" not in plain["tiles"][0]["files"][0]
    assert "layers" not in repr(INVENTORY)
    assert "resampling" not in repr(INVENTORY)
