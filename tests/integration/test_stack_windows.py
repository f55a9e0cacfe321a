"""What a shard reads of its sources."""

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from gcn_luigi.config import load_region
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.raster.compositor import Layer, Plane, parts_of
from gcn_luigi.stages.layers.mosaics import read_inventory, stack_of
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard, used_partitions
from tests.integration.builds import CONFIG


def bytes_read() -> int:
    """Return the bytes that this process has asked the system for."""
    return int(Path("/proc/self/io").read_text().split("rchar:")[1].split()[0])


def needed_bytes(parts) -> int:
    """Return the compressed bytes of all blocks that hold a pixel of `parts`: each once."""
    blocks = {}
    for part in parts:
        with rasterio.open(part.path) as dataset:
            blocks |= _blocks(dataset, part)
    return sum(blocks.values())


def _blocks(dataset, part):
    height, width = dataset.block_shapes[part.source.band - 1]
    found = {}
    for down in range(part.own.row // height, (part.own.row + part.own.height - 1) // height + 1):
        for along in range(part.own.col // width, (part.own.col + part.own.width - 1) // width + 1):
            at, size = (
                dataset.get_tag_item(f"BLOCK_{item}_{along}_{down}", "TIFF", bidx=part.source.band)
                for item in ("OFFSET", "SIZE")
            )
            found[part.path, at] = int(size)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counts bytes by /proc")
@pytest.mark.parametrize("split", SPLITS)
def test_a_shard_reads_each_block_of_its_sources_once(columbia, columbia_output, tmp_path, split):
    paths = DatasetPaths(columbia_output)
    region = load_region(CONFIG / "columbia.toml", data_root=columbia)
    places = used_partitions(paths.catalog, read_inventory(paths).lattice, split)
    parts = _parts(region, paths, places)
    small = [paths.catalog, paths.inventory, *paths.root.glob("stacks/*.vrt"), *paths.root.glob("mosaics/*.vrt")]
    least = needed_bytes(parts)

    before = bytes_read()
    build_shard(ShardRequest(region, paths, split, 0, 1), tmp_path / "shard.h5", lambda _said, _share: None)
    spent = bytes_read() - before

    # Beside the blocks there are tables and VRTs, the header of each file, and what is read back of the shard. The
    # system hands out whole pages, which adds some hundredths to blocks of this size.
    n_files = len({part.path for part in parts})
    aside = sum(path.stat().st_size for path in small) + 16384 * (n_files + 1)
    assert least <= spent <= 1.1 * least + aside


def _parts(region, paths, places):
    stacks = {place.year: stack_of(region, paths, read_inventory(paths), place.year) for place in places}
    layers = {year: [Layer.of(band, stack.lattice) for band in stack.bands] for year, stack in stacks.items()}
    nowhere = np.empty((0, 0), np.int16)
    planes = [
        Plane(stacks[place.year].path, number, layer, place.window, nowhere)
        for place in places
        for number, layer in enumerate(layers[place.year])
    ]
    return [part for plane in planes for part in parts_of(plane)]
