"""Files are listed by kind, and nothing is listed that cannot be a source."""

import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.survey.files import list_files


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_files_are_listed_by_kind(tmp_path):
    touch(tmp_path, "b.tif", "a/c.TIFF", "a/d.vrt", "x.gpkg", "y.shp", "y.dbf", "z.nc", "old.zip", "notes.txt")
    touch(
        tmp_path, ".hidden.tif", ".git/e.tif", "x_negate_y.tif", "b.tif.aux.xml", "cube.zarr/.zgroup", "cube.zarr/v/0.0"
    )
    touch(tmp_path, "made/dataset.json", "made/label.tif", "names.gdb/a00000001.gdbtable")

    found = list_files(tmp_path)

    assert found.rasters == ["b.tif", "a/c.TIFF", "a/d.vrt"]
    assert found.vectors == ["names.gdb", "x.gpkg", "y.shp"]
    assert found.cubes == ["cube.zarr", "z.nc"]
    assert found.datasets == ["made"]
    assert found.others == ["old.zip"]


def test_a_link_back_to_a_directory_is_followed_once(tmp_path):
    touch(tmp_path, "tiles/a.tif")
    (tmp_path / "tiles/again").symlink_to(tmp_path / "tiles")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "gone")

    assert list_files(tmp_path).rasters == ["tiles/a.tif"]


def test_a_file_is_no_directory(tmp_path):
    touch(tmp_path, "a.tif")

    with pytest.raises(InputError, match="no such directory"):
        list_files(tmp_path / "a.tif")
