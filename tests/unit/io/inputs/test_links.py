"""Links in a tree of tiles: each directory is listed once, whatever leads to it."""

import numpy as np
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.scan import scan_tiles
from tests.reference.tile_tree import region, write_tile


@pytest.fixture
def two(tmp_path):
    """Return the root of two tiles side by side: 0007 and 0012."""
    write_tile(tmp_path, "0007")
    write_tile(tmp_path, "0012", col=4)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (".", "a link to the directory it is in"),
        ("..", "a link to a directory around it"),
        ("../optical", "a link to the directory it is in"),
        ("0007", "a link to 0007"),
    ],
)
def test_a_directory_that_is_listed_already_is_not_entered_again_and_the_link_is_named(two, target, said):
    plain = scan_tiles(two, region())
    (two / "optical/latest").symlink_to(target)
    (two / "optical/current").symlink_to(target)

    inventory = scan_tiles(two, region())

    assert inventory.files == plain.files
    assert [note.path for note in inventory.linked] == ["optical/current", "optical/latest"]
    assert all(note.reason == f"{said}, which is listed already; it is not followed" for note in inventory.linked)


def test_the_same_holds_where_the_tiles_lie_in_the_data_root_itself(tmp_path):
    write_tile(tmp_path / "x", "0007")
    (tmp_path / "x/optical/here").symlink_to(".")
    tables = [{"name": "a", "role": "optical"}]

    inventory = scan_tiles(tmp_path / "x/optical", region(bands=tables, tiles={"optical": "."}))

    assert inventory.tiles == ("7",)
    assert [note.path for note in inventory.linked] == ["here"]


def test_two_links_to_one_directory_elsewhere_are_one_tile(two, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "0012"
    (two / "optical/0012").rename(elsewhere)
    (two / "optical/0012").symlink_to(elsewhere)
    (two / "optical/0013").symlink_to(elsewhere)

    inventory = scan_tiles(two, region())

    assert inventory.tiles == ("7", "12")
    assert [(note.path, note.reason.partition(";")[0]) for note in inventory.linked] == [
        ("optical/0013", "a link to 0012, which is listed already"),
        ("optical/0012", "a link to outside the data root"),
    ]


def test_a_link_to_a_directory_that_is_left_out_by_its_name_is_followed(two):
    (two / "optical/0012").rename(two / "optical/negate-0012")
    (two / "optical/0012").symlink_to("negate-0012")

    inventory = scan_tiles(two, region())

    assert inventory.tiles == ("7", "12")
    assert inventory.linked == ()


@pytest.mark.parametrize("target", ["gone", "0099"])
def test_a_tile_directory_that_is_a_link_to_nothing_or_to_itself_is_a_problem(two, target):
    (two / "optical/0099").symlink_to(target)

    with pytest.raises(InputError, match="a link that leads nowhere, or to itself") as caught:
        scan_tiles(two, region())

    assert "optical/0099" in caught.value.where
    assert "tiles.exclude" in caught.value.fix
    assert np.array_equal(scan_tiles(two, region(tiles={"exclude": ("0099",)})).lattice.shape, (4, 8))


def test_a_tile_that_is_a_link_to_itself_is_a_problem(two):
    target = two / "optical/0012/x_0012_a.tif"
    target.unlink()
    target.symlink_to(target.name)

    with pytest.raises(InputError, match=r"optical/0012/x_0012_a\.tif"):
        scan_tiles(two, region())
