"""The whole graph on real input, against pixels put together by rasterio and numpy alone."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.merge import merge

from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import validate

YEARS = (1990, 2000, 2006, 2010, 2018)
OPTICAL = {
    "nbr": (-1000, 1000),
    "ndsi": (-1000, 1000),
    "ndvi": (-1000, 1000),
    "tcb": (-5000, 30000),
    "tcw": (-20000, 20000),
}
TOPO = {
    "north": ("north_temp", 1000),
    "south": ("south_temp", 1000),
    "curvature": ("curvature_temp", 100),
    "dem": ("dem_cubic_temp", 1),
}


def _merged(files, band, nodata):
    values, transform = merge(sorted(files), indexes=[band], nodata=nodata, method="first")
    return values[0], transform


@pytest.fixture(scope="session")
def mosaics(columbia):
    """Stored values of every image band by year, missing pixels marked, made without gcn_luigi."""
    topo, missing_topo = [], []
    for suffix, scale in TOPO.values():
        values, transform = _merged(columbia.glob(f"topo/*/*_{suffix}.tif"), 1, -9999)
        missing_topo.append(values == -9999)
        topo.append(np.rint(values.astype(np.float64) * scale))
    assert transform[:6] == (30.0, 0.0, 352800.0, 0.0, -30.0, 1268400.0)
    years = {}
    for number, year in enumerate(YEARS, 1):
        optical, missing = [], []
        for name, (low, high) in OPTICAL.items():
            values, _ = _merged(columbia.glob(f"optical/*/*_{name}.tif"), number, -32768)
            missing.append((values == -32768) | (values < low) | (values > high))
            optical.append(values)
        years[year] = np.array([*optical, *topo]), np.any(missing, axis=0), np.any(missing_topo, axis=0)
    with rasterio.open(columbia / "expected" / "label_uint8_nodata255.tif") as source:
        label = source.read(1)
    return years, label


def test_the_label_equals_the_expected_one_pixel_for_pixel(columbia, columbia_output):
    wanted = columbia / "expected" / "label_uint8_nodata255.tif"

    with rasterio.open(columbia_output / "label.tif") as made, rasterio.open(wanted) as expected:
        np.testing.assert_array_equal(made.read(1), expected.read(1))
        assert made.transform == expected.transform
        assert made.crs == expected.crs
        assert made.nodata == 255


def test_every_chip_equals_the_corrected_window_of_its_year(columbia_dataset: Dataset, mosaics):
    years, label = mosaics
    catalog = columbia_dataset.partition_table.set_index("partition")
    for split in ("train", "dev"):
        index = columbia_dataset.chip_table[columbia_dataset.chip_table["split"] == split]
        for chip, row in zip(columbia_dataset.chips(split), index.itertuples(), strict=True):
            stack, no_optical, no_topo = years[row.year]
            partition = catalog.loc[row.partition]
            y = np.arange(partition["row"] + row.row, partition["row"] + row.row + 128)
            x = np.arange(partition["col"] + row.col, partition["col"] + row.col + 128)
            inside = ((y >= 0) & (y < 640))[:, None] & ((x >= 0) & (x < 1000))[None, :]
            window = np.ix_(y.clip(0, 639), x.clip(0, 999))
            lost_optical, lost_topo = no_optical[window] | ~inside, no_topo[window] | ~inside
            expected_label = np.where(inside, label[window], 255)

            np.testing.assert_array_equal(chip["image"][:5], np.where(lost_optical, 0, stack[:5][:, *window]))
            np.testing.assert_array_equal(chip["image"][5:9], np.where(lost_topo, 0, stack[5:][:, *window]))
            np.testing.assert_array_equal(chip["label"], expected_label)
            flags = lost_optical * 1 + lost_topo * 2 + (expected_label == 255) * 4 + ~inside * (8 + 16)
            np.testing.assert_array_equal(chip["flags"], flags)


def test_chips_exported_by_hand_lie_on_the_lattice(columbia_output, tmp_path):
    with h5py.File(columbia_output / "shards" / "train-00000-of-00003.h5") as shard:
        transform = rasterio.Affine(*shard["transform"][0])
        chip = shard["image"][0]
        crs = shard["spatial_ref"].attrs["crs_wkt"].decode()
    path = tmp_path / "chip.tif"
    profile = {"driver": "GTiff", "height": 128, "width": 128, "count": len(chip), "dtype": "int16"}
    with rasterio.open(path, "w", **profile, crs=crs, transform=transform) as target:
        target.write(chip)

    with rasterio.open(path) as exported, rasterio.open(columbia_output / "label.tif") as lattice:
        assert exported.crs == lattice.crs
        row, col = (exported.transform.f - lattice.transform.f) / -30, (exported.transform.c - lattice.transform.c) / 30
        assert row == int(row)
        assert col == int(col)
        with rasterio.open(columbia_output / "stacks" / "2010.vrt") as stack:
            assert stack.transform == lattice.transform


def test_the_dataset_is_sound(columbia_output):
    assert list(validate(columbia_output)) == []


def test_statistics_equal_those_of_the_chips_own_pixels(columbia_dataset: Dataset):
    chips = list(columbia_dataset.chips("train"))
    image = np.stack([chip["image"] for chip in chips])
    flags = np.stack([chip["flags"] for chip in chips])
    label = np.stack([chip["label"] for chip in chips])
    bits = [1] * 5 + [2] * 4 + [16]
    sampled = columbia_dataset.statistics["as_sampled"]

    for number, (name, bit) in enumerate(zip([*OPTICAL, *TOPO, "distance"], bits, strict=True)):
        valid = image[:, number][(flags & bit) == 0].astype(np.float64)
        summary = sampled["bands"][name]
        assert summary["count"] == valid.size
        assert summary["min"] == valid.min()
        assert summary["max"] == valid.max()
        np.testing.assert_allclose([summary["mean"], summary["std"]], [valid.mean(), valid.std()], rtol=1e-10)
        assert summary["p1"] == np.percentile(valid, 1, method="inverted_cdf")
    counts = [int((label == value).sum()) for value in range(3)]
    assert list(sampled["classes"]["pixels"].values()) == counts


def test_each_pixel_counts_once_in_the_main_statistics(columbia_dataset: Dataset, mosaics):
    years, _ = mosaics
    catalog = columbia_dataset.partition_table.set_index("partition")
    index = columbia_dataset.chip_table[columbia_dataset.chip_table["split"] == "train"]
    values = []
    for name, chips in index.groupby("partition"):
        partition = catalog.loc[name]
        seen = np.zeros((640, 1000), bool)
        for chip in chips.itertuples():
            top, left = partition["row"] + chip.row, partition["col"] + chip.col
            seen[max(top, 0) : max(top + 128, 0), max(left, 0) : max(left + 128, 0)] = True
        stack, no_optical, _ = years[partition["year"]]
        values.append(stack[1][seen & ~no_optical])
    ndsi = np.concatenate(values)

    summary = columbia_dataset.statistics["bands"]["ndsi"]

    assert summary["count"] == ndsi.size
    np.testing.assert_allclose([summary["mean"], summary["std"]], [ndsi.mean(), ndsi.std()], rtol=1e-10)


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray_opens_a_shard_with_named_bands(columbia_output, engine):
    path = columbia_output / "shards" / "dev-00000-of-00001.h5"
    with xr.open_dataset(path, engine=engine) as shard, h5py.File(path) as plain:
        dem = shard.image.sel(band="dem").values

        np.testing.assert_array_equal(dem, plain["image"][:, 8])
        assert shard.label.dtype == np.uint8
        assert shard.attrs["Conventions"] == "CF-1.11"
        assert "Albers" in shard.spatial_ref.attrs["crs_wkt"]


def test_gdal_reads_the_stack_with_names_and_a_nodata_for_each_band(columbia_output):
    with rasterio.open(columbia_output / "stacks" / "2006.vrt") as stack:
        assert stack.descriptions == (*OPTICAL, *TOPO, "label", "distance")
        assert stack.nodatavals == (*[-32768.0] * 5, *[-9999.0] * 4, 255.0, -32768.0)


def test_the_seal_lists_every_file_but_itself_and_the_page_that_tells_times(columbia_output: Path):
    manifest = json.loads((columbia_output / "dataset.json").read_text())

    listed = {entry["path"] for entry in manifest["files"]}
    found = {
        path.relative_to(columbia_output).as_posix()
        for path in columbia_output.rglob("*")
        if path.is_file() and ".gcn" not in path.parts
    }

    assert found - listed == {"dataset.json", "report.html"}
    assert listed <= found
    assert str(columbia_output.parent) not in (columbia_output / "dataset.json").read_text()


def test_a_chip_id_names_region_split_partition_year_and_offset(columbia_dataset: Dataset):
    row = columbia_dataset.chip_table.iloc[0]

    assert row["chip_id"] == f"columbia_train_{row['partition']}_{row['year']}_r{row['row']:04d}_c{row['col']:04d}"
    assert columbia_dataset.chip_table["chip_id"].is_unique


def test_the_published_log_has_its_eight_lines(columbia_output):
    lines = (columbia_output / "metadata_log.txt").read_text().splitlines()

    assert [line.split(" : ")[0] for line in lines] == [
        "Generation time",
        "Partitions processed",
        "Chips processed",
        "Time for extraction",
        "njobs",
        "Partition size",
        "Chip size",
        "Step size",
    ]
    assert lines[-3:] == ["Partition size : 256", "Chip size : 128", "Step size : 32"]
