"""The graph on other ground: legacy rules, other sensors, CRSs, sizes and grids."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

import gcn_luigi
from gcn_luigi.read.validate import validate
from gcn_luigi.synthetic import WorldSettings, make_world, write_world
from tests.integration.builds import build_inline, dataset, once_per_run, small_config
from tests.reference import chips as reference_chips
from tests.reference import nodata as reference_nodata


def _built(tmp_path, small_world, *replacements, region="small"):
    build_inline(
        dataset(region, tmp_path / "out", small_world, small_config(tmp_path / "config", region, *replacements))
    )
    assert list(validate(tmp_path / "out" / region)) == []
    return gcn_luigi.open_dataset(tmp_path / "out" / region)


@pytest.fixture(scope="session")
def ordinary(tmp_path_factory, small_world):
    """Return the small region as it is by default; tests must not change it."""
    root = once_per_run(tmp_path_factory, "ordinary", lambda root: _built(root, small_world))
    return gcn_luigi.open_dataset(root / "out/small")


@pytest.mark.parametrize("distance", [False, pytest.param(True, marks=pytest.mark.long)])
def test_legacy_chips_equal_the_published_rules_bit_for_bit(tmp_path, small_world, distance):
    made = _built(
        tmp_path,
        small_world,
        ('mode = "strict"', 'mode = "legacy"'),
        ('edge = "clamp"', 'edge = "legacy"'),
        ("step = 32", "step = 48"),
        ("enabled = true", f"enabled = {str(distance).lower()}"),
        ("min_valid_label_share = 0.5", "min_valid_label_share = 0.0\nmin_valid_optical_share = 0.0"),
        ("min_valid_topo_share = 0.5", "min_valid_topo_share = 0.0"),
        ('method = "blocks"', 'method = "legacy"'),
        ("max_gap_years = 5", "max_gap_years = 5\n"),
    )
    catalog = made.partition_table.set_index("partition")
    label_band = 9
    compared = 0
    for split in ("train", "dev"):
        index = made.chip_table[made.chip_table["split"] == split]
        for chip, row in zip(made.chips(split), index.itertuples(), strict=True):
            partition = catalog.loc[row.partition]
            with rasterio.open(made.paths.stack(row.year)) as source:
                window = Window(partition["col"], partition["row"], 128, 128)
                stack = source.read(window=window)
            stack[label_band][stack[label_band] == 255] = -32768
            published = reference_nodata.legacy_nodata(stack, alt_topo_band=-4)
            expected = reference_chips.cut_chip(published, row.row, row.col, 64, "legacy", 0)

            np.testing.assert_array_equal(chip["image"], np.delete(expected, label_band, axis=0))
            np.testing.assert_array_equal(chip["label"], expected[label_band])
            compared += 1
    assert compared == len(made.chip_table) > 50
    first = made.chip_table.iloc[0]
    assert first["published_name"] == f"grid_tile_0000_train_chip_row{first['row']}_col{first['col']}.tif"
    # 64 px every 48 px in 128 px: the third window hangs over the edge and is stretched.
    assert set(made.chip_table["row"]) == {0, 48, 96}


def test_chips_that_hang_over_the_edge_are_padded(tmp_path, small_world):
    """One policy from the settings to the chip; the rules of all of them are tried on arrays and on shards."""
    made = _built(tmp_path, small_world, ('edge = "clamp"', 'edge = "pad"'), ("step = 32", "step = 48"))

    assert set(made.chip_table["row"]) == {0, 48, 96}
    assert set(made.chip_table["col"]) == {0, 48, 96}
    hanging = made.chip_table[made.chip_table["row"] == 96].iloc[0]
    position = made.chip_table[made.chip_table["split"] == hanging["split"]].index.get_loc(hanging.name)
    chip = made.chips(hanging["split"])[position]
    assert (chip["flags"][32:] & 8 == 8).all()
    assert (chip["label"][32:] == 255).all()
    assert (chip["image"][:, 32:] == 0).all()


@pytest.mark.long
def test_a_world_in_utm_with_ten_metre_pixels_and_other_bands(tmp_path):
    settings = WorldSettings(seed=3, shape=(400, 420), crs="EPSG:32606", pixel_size=10.0, left=400000.0, top=6800000.0)
    write_world(make_world(settings), tmp_path / "input")
    text = (small_config(tmp_path / "config", "elsewhere") / "elsewhere.toml").read_text()
    years = ", ".join(map(str, settings.years))
    head, *tables = text.split("[[bands]]")
    kept = [table for table in tables if any(f'name = "{name}"' in table for name in ("ndvi", "ndsi", "dem", "rmse"))]
    text = "[[bands]]".join([head, *kept])
    for old, new in (
        ("years = [2000, 2004, 2008, 2012, 2016]", f"years = [{years}]"),
        ('crs = "EPSG:3338"', 'crs = "EPSG:32606"'),
        ("pixel_size = 30.0", "pixel_size = 10.0"),
        ("votes.tif", "votes.tif"),
    ):
        text = text.replace(old, new)
    (tmp_path / "config" / "elsewhere.toml").write_text(text)

    build_inline(dataset("elsewhere", tmp_path / "out", tmp_path / "input", tmp_path / "config"))

    made = gcn_luigi.open_dataset(tmp_path / "out" / "elsewhere")
    assert list(validate(tmp_path / "out" / "elsewhere")) == []
    assert made.chips("train")[0]["image"].shape == (4, 64, 64)
    assert list(made.statistics["bands"]) == ["ndsi", "ndvi", "dem", "distance"]
    assert made.chip_boxes.crs.to_epsg() == 32606
    widths = (made.chip_table["right"] - made.chip_table["left"]).unique()
    assert widths.tolist() == [640.0]


@pytest.mark.long
def test_rgi_7_outlines_give_the_same_label_and_years(tmp_path, small_world, ordinary):
    six = ordinary
    seven = _built(tmp_path, small_world, ('path = "rgi/outlines.gpkg"', 'path = "rgi/outlines_rgi7.gpkg"'))

    assert six.paths.label.read_bytes() == seven.paths.label.read_bytes()
    used = six.partition_table["used"] & seven.partition_table["used"]
    assert used.any()
    assert six.partition_table.loc[used, "year"].tolist() == seven.partition_table.loc[used, "year"].tolist()


@pytest.mark.long
def test_a_ready_made_label_stands_in_for_the_votes(tmp_path, small_world, ordinary):
    first = ordinary
    given = small_world.parent / "label.tif"
    given.write_bytes(first.paths.label.read_bytes())
    replaced = 'raster = "../label.tif"'

    second = _built(tmp_path, small_world, ('stem = "stem/stem_2008_debris_free_ice_votes.tif"', replaced))

    assert second.paths.label.read_bytes() == first.paths.label.read_bytes()
    assert second.statistics == first.statistics


@pytest.mark.long
def test_rejected_ids_and_excluded_ground_are_never_used(tmp_path, small_world, ordinary):
    cells = ordinary.partition_table
    used = cells[cells["used"]]
    rejected, excluded = used["partition"].iloc[0], used.iloc[[-1]]
    (small_world.parent / "rejects.txt").write_text(f"{rejected}\nno-such-cell\n")
    gpd.GeoDataFrame(geometry=excluded.geometry.buffer(-100.0), crs=used.crs).to_file(small_world.parent / "no.gpkg")
    keys = 'origin = "lattice"\nreject_ids = "../rejects.txt"\nexclude_polygons = "../no.gpkg"'

    second = _built(tmp_path, small_world, ('origin = "lattice"', keys))

    reasons = second.partition_table.set_index("partition")["reason"]
    assert reasons[rejected] == "rejected id"
    assert reasons[excluded["partition"].iloc[0]] == "exclusion polygon"
    assert rejected not in set(second.chip_table["partition"])
    notes = json.loads(second.paths.split_audit.read_text())["notes"]["grid"]
    assert notes == ["1 of 2 rejected ids name no cell: no-such-cell"]


@pytest.mark.long
def test_balanced_train_partitions_are_cut_twice_as_densely(tmp_path, small_world):
    made = _built(
        tmp_path,
        small_world,
        ("size = 64\nstep = 32", "size = 32\nstep = 16\ndensify = true"),
        ("size = 128", "size = 64"),
    )
    shares = made.partition_table.set_index("partition").eval("share_debris + share_ice")
    balanced = {
        name: 0.4 <= shares[name] <= 0.6 and split == "train"
        for name, split in made.chip_table.groupby("partition")["split"].first().items()
    }
    dense = {
        name: any(offset % 16 for offset in offsets)
        for name, offsets in made.chip_table.groupby("partition")["row"].unique().items()
    }

    assert any(balanced.values())
    assert dense == balanced


@pytest.mark.long
def test_class_filters_reject_and_count(tmp_path, small_world):
    made = _built(tmp_path, small_world, ('edge = "clamp"', 'edge = "clamp"\nmin_share = { ice = 0.1 }'))

    assert (made.chip_table["share_ice"] >= 0.1).all()
    assert made.statistics["chips"]["train"]["too-little-ice"] > 0


@pytest.mark.long
def test_the_default_split_shares_no_pixel_and_keeps_its_distance(ordinary):
    made = ordinary
    audit = json.loads(made.paths.split_audit.read_text())
    boxes = made.chip_boxes.geometry
    train, dev = (boxes[made.chip_table["split"] == split] for split in ("train", "dev"))

    assert audit["shared_pixels"] == 0
    assert train.union_all().distance(dev.union_all()) >= audit["least_distance_m"]
    assert train.union_all().intersection(dev.union_all()).area == 0
