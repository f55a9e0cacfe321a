"""Missing pixels reach the chips as missing, however the files say so, and a build stops where they say nothing."""

import shutil
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from gcn_luigi.errors import InputError
from gcn_luigi.operate.forecast import tasks_to_prepare
from gcn_luigi.tasks.inventory import TileQuality
from gcn_luigi.tasks.shards import ChipShard
from tests.integration.builds import build_inline, dataset
from tests.integration.changes import write_config
from tests.integration.commands import Tiny, make_tiny

BLOCK = 16


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("world"))


@pytest.fixture
def copied(world, tmp_path):
    """Return the tiny region with sources of its own."""
    shutil.copytree(world.sources, tmp_path / "input")
    return Tiny(tmp_path / "input", world.config)


def chips(directory):
    """Return image, label and flags of each chip by its id, read by h5py alone."""
    found = {}
    for path in sorted((directory / "shards").glob("*.h5")):
        with h5py.File(path) as shard:
            for row, name in enumerate(shard["chip_id"].asstr()[:]):
                found[name] = tuple(shard[key][row] for key in ("image", "label", "flags"))
    return found


def rewrite(path, tags):
    """Write a tile without the blocks that hold nothing, each band with a nodata of its own; return how many."""
    with rasterio.open(path) as file:
        values, old, names = file.read(), file.nodata, file.descriptions
        profile = {**file.profile, "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "sparse_ok": True}
    del profile["nodata"]
    left_out = 0
    with rasterio.open(path, "w", **{**profile, "interleave": "band"}) as file:
        file.descriptions = names
        for (band, tag), row, col in product(
            enumerate(tags), range(0, file.height, BLOCK), range(0, file.width, BLOCK)
        ):
            block = values[band, row : row + BLOCK, col : col + BLOCK]
            if (block == old).all():
                left_out += 1
            else:
                place = Window(col, row, block.shape[1], block.shape[0])
                file.write(np.where(block == old, np.array(tag, block.dtype), block), band + 1, window=place)
    rows = (
        f'<PAMRasterBand band="{band}"><NoDataValue>{tag}</NoDataValue></PAMRasterBand>'
        for band, tag in enumerate(tags, 1)
    )
    Path(f"{path}.aux.xml").write_text(f"<PAMDataset>{''.join(rows)}</PAMDataset>", encoding="utf-8")
    return left_out


def test_tags_of_each_band_and_blocks_left_out_give_the_same_chips(world, copied, tmp_path):
    for tiny in (world, copied):
        # A hole as large as some blocks, in one year.
        for path in (tiny.sources / "optical").rglob("*_ndsi.tif"):
            with rasterio.open(path, "r+") as file:
                file.write(np.full((64, 64), -32768, np.int16), 2, window=Window(16, 32, 64, 64))
    left_out = sum(rewrite(path, (7777, -9999)) for path in (copied.sources / "optical").rglob("*_ndsi.tif"))
    left_out += sum(rewrite(path, (-5000,)) for path in (copied.sources / "topo").rglob("*_dem_cubic_temp.tif"))
    assert left_out >= 16

    for name, tiny in (("plain", world), ("rewritten", copied)):
        build_inline(dataset(tiny.region, tmp_path / name, tiny.sources, tiny.config))

    expected, found = chips(tmp_path / "plain/tiny"), chips(tmp_path / "rewritten/tiny")
    assert found.keys() == expected.keys()
    for chip, parts in expected.items():
        for one, other in zip(parts, found[chip], strict=True):
            np.testing.assert_array_equal(one, other, err_msg=chip)
    flagged = [flags & 1 for _, _, flags in found.values()]
    assert 0 < np.mean(flagged) < 1


def test_a_build_and_a_plan_stop_where_zero_seems_to_mean_missing(copied, tmp_path):
    config = write_config(tmp_path / "config", copied, {"bands.0.nodata": None})
    for path in (copied.sources / "optical").rglob("*_ndsi.tif"):
        with rasterio.open(path) as file:
            values, profile = file.read(), {**file.profile, "nodata": None}
        values[:, :, :40] = -32768
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.where(values == -32768, 0, values))
    root = dataset(copied.region, tmp_path / "out", copied.sources, config)

    assert root.clone(TileQuality, band="ndsi") in tasks_to_prepare(root, is_exact=True)
    with pytest.raises(InputError, match="2 of 2 files of band ndsi hold one value so often"):
        build_inline(root)

    assert not root.output().exists()
    # Luigi asks for it first.
    assert (
        root.clone(TileQuality, band="ndsi").priority > root.clone(ChipShard, split="dev", number=0, total=1).priority
    )
    accepting = write_config(tmp_path / "config", copied, {"bands.0.nodata": None, "tiles.on_suspect_nodata": "accept"})
    quality = dataset(copied.region, tmp_path / "out", copied.sources, accepting).clone(TileQuality, band="ndsi")
    quality.run()
    assert '"is_error": true' in quality.output().path.read_text(encoding="utf-8")
