"""A changed source is noticed; a moved one is not a changed one."""

import os
import shutil

import pytest

from gcn_luigi.io.inputs.source_states import signature


def write(path, content=b"x", mtime_ns=1_000_000_000_000_000_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "data" / "tiles" / "0123" / "a_nbr.tif", b"12345")
    write(tmp_path / "data" / "tiles" / "0124" / "a_nbr.tif", b"1234567")
    write(tmp_path / "data" / "votes.tif", b"123")
    return tmp_path / "data"


def seen(root):
    return signature([root / "votes.tif", root / "tiles"], root)


def test_files_are_listed_with_size_and_time_below_the_root_and_in_order(root):
    stamp = 1_000_000_000_000_000_000

    assert seen(root) == {
        "tiles": {"tiles/0123/a_nbr.tif": [5, stamp], "tiles/0124/a_nbr.tif": [7, stamp]},
        "votes.tif": [3, stamp],
    }
    assert list(seen(root)) == sorted(seen(root))
    assert list(seen(root)["tiles"]) == sorted(seen(root)["tiles"])


def test_moving_everything_changes_nothing(root, tmp_path):
    before = seen(root)
    shutil.copytree(root, tmp_path / "elsewhere")

    assert seen(tmp_path / "elsewhere") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: write(root / "votes.tif", b"1234"),
        lambda root: os.utime(root / "votes.tif", ns=(0, 1_000_000_000_000_000_001)),
        lambda root: write(root / "tiles" / "0123" / "a_ndsi.tif"),
        lambda root: write(root / "tiles" / "0125" / "deep" / "a_nbr.tif"),
        lambda root: (root / "tiles" / "0123" / "a_nbr.tif").unlink(),
        lambda root: (root / "tiles" / "0123").rename(root / "tiles" / "0999"),
        lambda root: (root / "votes.tif").unlink(),
        lambda root: shutil.rmtree(root / "tiles"),
    ],
    ids=["size", "a nanosecond", "added", "added below", "removed", "renamed", "a file gone", "all gone"],
)
def test_every_change_is_noticed(root, change):
    before = seen(root)

    change(root)

    assert seen(root) != before


def test_a_path_that_is_not_there_is_listed_as_such(root):
    (root / "empty").mkdir()

    assert signature([root / "none.tif", root / "empty"], root) == {"empty": None, "none.tif": None}


def test_a_source_beyond_the_root_is_named_in_full(root, tmp_path):
    outside = write(tmp_path / "other" / "outlines.gpkg")

    assert list(signature([outside], root)) == [outside.as_posix()]


@pytest.mark.parametrize("stem", ["outlines", "outlines[1]", "out?ines*", "a.b"])
def test_a_shapefile_stands_for_all_its_parts_and_for_nothing_else(root, stem):
    parts = [f"rgi/{stem}{suffix}" for suffix in (".shp", ".dbf", ".shx", ".prj", ".shp.xml")]
    for name in (*parts, f"rgi/{stem}_old.dbf", "rgi/outlines1.dbf", "rgi/a.c.dbf", "rgi/x.dbf"):
        write(root / name)

    before = signature([root / "rgi" / f"{stem}.shp"], root)

    assert sorted(before[parts[0]]) == sorted(parts)
    write(root / "rgi" / f"{stem}.dbf", b"longer")
    assert signature([root / "rgi" / f"{stem}.shp"], root) != before


def test_a_shapefile_in_capitals_is_one_too(root):
    for suffix in ("SHP", "DBF"):
        write(root / f"OUTLINES.{suffix}")

    assert list(signature([root / "OUTLINES.SHP"], root)["OUTLINES.SHP"]) == ["OUTLINES.DBF", "OUTLINES.SHP"]


def test_a_shapefile_whose_main_part_is_lost_differs_from_a_whole_one(root):
    write(root / "o.shp")
    write(root / "o.dbf")
    before = signature([root / "o.shp"], root)

    (root / "o.shp").unlink()

    assert signature([root / "o.shp"], root) != before


def test_linked_directories_are_followed(root, tmp_path):
    write(tmp_path / "store" / "0200" / "a_nbr.tif", b"123456789")
    (root / "tiles" / "0200").symlink_to(tmp_path / "store" / "0200")

    assert seen(root)["tiles"]["tiles/0200/a_nbr.tif"][0] == 9


def test_a_dangling_link_is_no_file(root):
    (root / "tiles" / "gone.tif").symlink_to(root / "nowhere.tif")

    assert "tiles/gone.tif" not in seen(root)["tiles"]
