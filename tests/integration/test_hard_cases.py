"""Input that looks right and is not, through the whole graph."""

import json
import os
import shutil

import numpy as np
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset, small_config


@pytest.fixture
def world(small_world, tmp_path):
    return shutil.copytree(small_world, tmp_path / "input")


def _build(tmp_path, world, *replacements):
    config = small_config(tmp_path / "config", "small", *replacements)
    ran = build_inline(dataset("small", tmp_path / "out", world, config))
    assert list(validate(tmp_path / "out" / "small")) == []
    return gcn_luigi.open_dataset(tmp_path / "out" / "small"), {name.split("(")[0] for name in ran}


def _rewrite(path, change, **tags):
    with rasterio.open(path) as source:
        profile, values = source.profile, source.read()
    with rasterio.open(path, "w", **{**profile, **tags}) as target:
        target.write(change(values))


def test_ground_without_a_tile_is_outside_the_mosaic_in_every_role(tmp_path, world):
    tile = min((world / "optical").iterdir())
    number = tile.name.lstrip("0")
    shutil.rmtree(tile)
    for directory in (world / "topo").iterdir():
        if directory.name.lstrip("0") == number:
            shutil.rmtree(directory)
    keys = 'origin = "lattice"\nmax_outside_share = 0.9'

    made, _ = _build(
        tmp_path,
        world,
        ('origin = "lattice"', keys),
        ("min_valid_label_share = 0.5", "min_valid_label_share = 0.0\nmin_valid_optical_share = 0.0"),
        ("min_valid_topo_share = 0.5", "min_valid_topo_share = 0.0"),
    )

    holes = 0
    inventory = json.loads(made.paths.inventory.read_text())
    lattice = inventory["lattice"]
    covered = np.zeros((lattice["height"], lattice["width"]), bool)
    for entry in inventory["tiles"]:
        for file in entry["files"]:
            row, col, height, width = file["window"]
            covered[row : row + height, col : col + width] = True
    for split in ("train", "dev"):
        rows = made.chip_table[made.chip_table["split"] == split]
        for chip, place in zip(made.chips(split), rows.itertuples(), strict=True):
            row = round((lattice["top"] - place.top) / 30)
            col = round((place.left - lattice["left"]) / 30)
            hole = ~covered[row : row + 64, col : col + 64]
            np.testing.assert_array_equal((chip["flags"] & 8) == 8, hole)
            assert (chip["flags"][hole] == 31).all()
            assert (chip["label"][hole] == 255).all()
            assert (chip["image"][:, hole] == 0).all()
            holes += int(hole.sum())
    assert holes > 0


def test_sources_that_moved_are_read_where_they_are_now(tmp_path, world):
    _build(tmp_path, world)
    moved = tmp_path / "moved"
    shutil.copytree(world, moved)
    for path in world.rglob("*_nbr.tif"):
        _rewrite(path, lambda values: np.where(values == -32768, values, 35).astype(values.dtype))

    made, ran = _build(tmp_path, moved)

    # The same sources elsewhere: what names them is made again, and no pixel.
    assert ran == {"gcn.OpticalMosaic", "gcn.TopoMosaic", "gcn.Dataset"}
    shutil.rmtree(made.paths.shards)
    made, ran = _build(tmp_path, moved)
    assert ran == {"gcn.ChipShard"}
    assert made.statistics["bands"]["nbr"]["std"] > 0
    assert np.ptp(made.chips("train")[0]["image"][0]) > 0
    mosaic = made.paths.root / "mosaics" / "optical_nbr_2008.vrt"
    assert os.path.relpath(moved, mosaic.parent) in mosaic.read_text()


def test_votes_that_cannot_be_votes_are_refused(tmp_path, world):
    stem = next((world / "stem").glob("*.tif"))
    _rewrite(stem, lambda values: np.where(values == -32768, 255, values).astype("uint8"), dtype="uint8", nodata=None)

    with pytest.raises(InputError, match="holds 255 among the votes"):
        _build(tmp_path, world)


@pytest.mark.parametrize("tag", ["scales", "offsets"])
def test_a_scale_tag_on_the_votes_is_refused(tmp_path, world, tag):
    stem = next((world / "stem").glob("*.tif"))
    with rasterio.open(stem, "r+") as target:
        setattr(target, tag, (0.5,))

    with pytest.raises(InputError, match="scale or offset"):
        _build(tmp_path, world)


def test_a_mask_of_its_own_on_the_votes_is_refused(tmp_path, world):
    path = next((world / "stem").glob("*.tif"))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as target:
        target.write_mask(np.zeros(target.shape, bool))

    with pytest.raises(InputError, match="mask of its own"):
        _build(tmp_path, world)


def test_a_region_with_nothing_to_hold_back_is_refused_by_the_catalog(tmp_path, world):
    with pytest.raises(ConfigError, match="no partition is left for dev") as refusal:
        _build(tmp_path, world, ("size = 128", "size = 500"), ("dev_share = 0.2", "dev_share = 0.1"))

    assert "[grid] size" in refusal.value.fix
    assert not (tmp_path / "out" / "small" / "shards").exists()
