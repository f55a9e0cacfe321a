"""Every file of a dataset has one place of its own below the root."""

from pathlib import Path

import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.publish.paths import SPLITS, Below, DatasetPaths

LAYOUT = DatasetPaths(Path("/out/alps"))
RED = Band("red", Role.OPTICAL, "red")
DEM = Band("dem", Role.TOPO, "dem")


def all_paths():
    properties = {name for name, value in vars(DatasetPaths).items() if isinstance(value, Below)} - {"shards"}
    named = [getattr(LAYOUT, name) for name in sorted(properties)]
    made = [
        LAYOUT.tile_quality("red"),
        LAYOUT.tile_quality("dem"),
        LAYOUT.mosaic(RED, 2000),
        LAYOUT.mosaic(RED, 2004),
        LAYOUT.mosaic(DEM),
        LAYOUT.source_mosaic(DEM),
        LAYOUT.stack(2000),
        *(LAYOUT.shard(split, number, 2) for split in SPLITS for number in (0, 1)),
        LAYOUT.shard("train", 0, 1),
        LAYOUT.partition("r0001_c0002", 2000),
        LAYOUT.partition("r0001_c0002", 2004),
    ]
    return named + made


def test_no_two_things_share_a_path():
    paths = all_paths()

    assert len(set(paths)) == len(paths) > 25
    assert all(path.is_relative_to(LAYOUT.root) and ".." not in path.parts for path in paths)


def test_every_file_has_its_own_sidecar_out_of_sight():
    sidecars = [LAYOUT.sidecar(path) for path in all_paths()]

    assert len(set(sidecars)) == len(sidecars)
    assert all(path.is_relative_to(LAYOUT.root / ".gcn") for path in sidecars)
    assert LAYOUT.sidecar(LAYOUT.shard("dev", 3, 16)) == LAYOUT.root / ".gcn/shards/dev-00003-of-00016.h5.json"
    assert not set(sidecars) & set(all_paths())


def test_a_file_beyond_the_root_has_no_sidecar():
    with pytest.raises(ValueError, match="subpath"):
        LAYOUT.sidecar(Path("/out/andes/index.parquet"))


def test_names_say_what_a_file_holds():
    assert LAYOUT.shard("train", 3, 16).name == "train-00003-of-00016.h5"
    assert LAYOUT.mosaic(RED, 2004).name == "optical_red_2004.vrt"
    assert LAYOUT.mosaic(DEM).name == "topo_dem.tif"
    assert LAYOUT.source_mosaic(DEM).name == "topo_dem_source.vrt"
    assert LAYOUT.partition("17", 2004).name == "train_pt_id_17_partition_year_2004_grid_corrected.tif"


def test_shards_sort_by_number():
    names = [LAYOUT.shard("train", number, 12_000).name for number in (0, 9, 10, 99, 11_999)]

    assert names == sorted(names)
