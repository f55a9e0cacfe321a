"""NetCDF, Zarr and other formats in the place of GeoTIFF tiles: told by name, with a way out."""

import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.scan import scan_tiles
from gcn_luigi.io.raster.drivers import other_format, raster_driver
from tests.reference.tile_tree import region, write_tile


@pytest.mark.parametrize(("name", "kind"), [("cube.nc", "NetCDF"), ("cube.h5", "HDF"), ("tiles.zip", "an archive")])
def test_a_file_in_the_place_of_the_tile_directories_is_told_by_its_format(tmp_path, name, kind):
    write_tile(tmp_path, "0007")
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n")

    with pytest.raises(InputError, match=f"this is {kind}") as caught:
        scan_tiles(tmp_path, region(tiles={"optical": name}))

    assert caught.value.where == str(tmp_path / name)
    assert "GeoTIFF" in caught.value.fix
    assert "rio convert" in caught.value.fix


@pytest.mark.parametrize("name", ["optical.zarr", "optical"])
@pytest.mark.parametrize("mark", [".zgroup", "zarr.json"])
def test_a_zarr_store_is_told_as_such_whatever_its_name(tmp_path, name, mark):
    for part in ("x", "y", "nbr"):
        (tmp_path / name / part).mkdir(parents=True)
    (tmp_path / name / mark).write_text("{}", encoding="utf-8")

    with pytest.raises(InputError, match="this is Zarr"):
        scan_tiles(tmp_path, region(tiles={"optical": name}))


@pytest.mark.parametrize(("name", "kind"), [("x_0012_a.nc", "NetCDF"), ("x_0012_a.vrt", "a VRT"), ("a.zarr", "Zarr")])
@pytest.mark.parametrize("on_missing", ["error", "gap"])
def test_a_tile_of_another_format_is_a_problem_and_no_gap(tmp_path, name, kind, on_missing):
    write_tile(tmp_path, "0007")
    write_tile(tmp_path, "0012", col=4)
    (tmp_path / "optical/0012/x_0012_a.tif").unlink()
    if name.endswith(".zarr"):
        (tmp_path / "optical/0012" / name).mkdir()
    else:
        (tmp_path / "optical/0012" / name).touch()

    with pytest.raises(InputError, match=f"is {kind}, and tiles are read from GeoTIFF") as caught:
        scan_tiles(tmp_path, region(tiles={"on_missing": on_missing}))

    assert f"optical/0012/{name}" in caught.value.where


def test_a_copy_in_another_format_beside_the_geotiff_is_noted(tmp_path):
    write_tile(tmp_path, "0007")
    (tmp_path / "optical/0007/x_0007_a.nc").touch()

    inventory = scan_tiles(tmp_path, region())

    assert [(note.path, note.reason) for note in inventory.unmatched] == [
        ("optical/0007/x_0007_a.nc", "is NetCDF; the GeoTIFF is read")
    ]


def test_files_beside_a_geotiff_that_belong_to_it_are_of_no_other_format(tmp_path):
    for name in ("x_a.tfw", "x_a.prj", "x_a.tif.aux.xml", "x_a.tif.msk", "x_a.qml", "x_a.txt", "x_a.TIF"):
        assert other_format(tmp_path / name) is None


def test_a_store_in_the_place_of_one_raster_is_told(tmp_path):
    (tmp_path / "votes.zarr").mkdir()

    with pytest.raises(InputError, match="is Zarr, but a raster file is needed"):
        raster_driver(tmp_path / "votes.zarr")
