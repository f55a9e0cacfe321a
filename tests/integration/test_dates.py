"""Several dates of one place: every composite near the outlines gives chips, and splits stay as they are."""

import json
import pickle
import shutil
from pathlib import Path

import luigi
import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.windows import Window as RasterWindow

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.chips.duplicates import count_repeats, footprint_keys
from gcn_luigi.prepare.partitions.query import Selection
from gcn_luigi.prepare.split.leakage import measure_leakage
from gcn_luigi.read.checks.shards import index_problems
from gcn_luigi.read.export.export import Request, export
from gcn_luigi.read.reader import ChipReader
from gcn_luigi.read.validate import validate
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.stages.shards.partition_files import write_partition_files
from gcn_luigi.tasks import PartitionFiles
from tests.integration.builds import build_inline, dataset, once_per_run
from tests.integration.commands import make_tiny

YEARS = (2004, 2008)
ALL = ('rule = "nearest"', 'rule = "all"')
# Chips whose optical bands are mostly missing in a year are not kept in that year.
SEEN = ("min_valid_topo_share = 0.5", "min_valid_topo_share = 0.5\nmin_valid_optical_share = 0.5")
HOLE = (slice(0, 130), slice(0, 200))


def _build(output: Path, *replacements: tuple[str, str]) -> None:
    tiny = make_tiny(output.parent / f"{output.name}-sources", "tiny", *replacements)
    for path in (tiny.sources / "optical").rglob("*ndsi*.tif"):
        with rasterio.open(path, "r+") as raster:
            # Of the first composite, a corner of the region is missing.
            if raster.bounds.left == min(_lefts(tiny.sources)):
                plane = raster.read(1)
                plane[HOLE] = -32768
                raster.write(plane, 1)
    build_inline(dataset("tiny", output, tiny.sources, tiny.config))


def _lefts(sources: Path) -> list[float]:
    lefts = []
    for path in (sources / "optical").rglob("*ndsi*.tif"):
        with rasterio.open(path) as raster:
            lefts.append(raster.bounds.left)
    return lefts


def _sources(built: Path) -> Path:
    return built.parents[1] / f"{built.parent.name}-sources"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return once_per_run(tmp_path_factory, "dates", lambda place: _build(place, ALL, SEEN)) / "tiny"


@pytest.fixture(scope="module")
def one_date(tmp_path_factory):
    return once_per_run(tmp_path_factory, "one-date", lambda place: _build(place, SEEN)) / "tiny"


@pytest.fixture(scope="module")
def made(built):
    return gcn_luigi.open_dataset(built)


@pytest.fixture(scope="module")
def index(made):
    return made.chip_table


def test_each_chip_equals_what_rasterio_reads_from_the_source_of_its_year(built, made, index):
    assert set(index["year"]) == set(YEARS)
    names, rows = [band.name for band in made.bands], index.set_index("chip_id")
    n_read = 0
    for path in sorted((_sources(built) / "input" / "optical").rglob("*ndsi*.tif")):
        with rasterio.open(path) as tile:
            for chip in (chip for split in ("train", "dev") for chip in made.chips(split)):
                row, is_seen = rows.loc[chip["chip_id"]], (chip["flags"] & 1) == 0
                first = tile.index(row["left"] + 1, row["top"] - 1)
                last = tile.index(row["right"] - 1, row["bottom"] + 1)
                if min(first) < 0 or last[0] >= tile.height or last[1] >= tile.width:
                    continue
                # Band k of a tile is the composite of the k-th year.
                window = RasterWindow(first[1], first[0], *(chip["label"].shape[::-1]))
                source = tile.read(YEARS.index(row["year"]) + 1, window=window)
                np.testing.assert_array_equal(chip["image"][names.index("ndsi")][is_seen], source[is_seen])
                n_read += is_seen.any()
    assert n_read > 0.5 * len(index)


def test_each_chip_equals_the_stack_of_its_year(built, made, index):
    names, rows = [band.name for band in made.bands], index.set_index("chip_id")
    cells = made.partition_table.set_index("partition")
    stacks = {year: rasterio.open(built / "stacks" / f"{year}.vrt") for year in YEARS}
    for chip in (chip for split in ("train", "dev") for chip in made.chips(split)):
        row, is_seen, size = rows.loc[chip["chip_id"]], chip["flags"] == 0, chip["label"].shape[0]
        cell, stack = cells.loc[row["partition"]], stacks[row["year"]]
        window = RasterWindow(cell["col"] + row["col"], cell["row"] + row["row"], size, size)
        for name, plane in [*zip(names, chip["image"], strict=True), ("label", chip["label"])]:
            source = stack.read(stack.descriptions.index(name) + 1, window=window)
            np.testing.assert_array_equal(plane[is_seen], source[is_seen])
    for stack in stacks.values():
        stack.close()


def test_pixels_of_two_years_differ_and_their_labels_do_not(made, index):
    place = index[index.duplicated("place", keep=False)]["place"].iloc[0]
    split = index[index["place"] == place]["split"].iloc[0]

    series = made.chips(split).series(place)

    assert series.years.tolist() == [2004, 2008]
    assert (series.image[0, 0] != series.image[1, 0]).mean() > 0.5
    np.testing.assert_array_equal(series.label[0], series.label[1])


def test_the_year_gap_of_a_chip_is_that_of_its_own_composite(made, index):
    outline = made.partition_table.set_index("partition")["outline_year"]

    gaps = (index["year"].astype("int64") - index["partition"].map(outline).astype("int64")).abs()

    assert gaps.tolist() == index["year_gap"].tolist()
    assert gaps.max() <= 5


def test_the_catalog_has_one_row_per_partition_and_lists_every_composite_within_the_gap(made, one_date):
    catalog = made.partition_table
    single = gcn_luigi.open_dataset(one_date).partition_table

    assert catalog["partition"].is_unique
    pd.testing.assert_frame_equal(pd.DataFrame(catalog.drop(columns="years")), pd.DataFrame(single))
    for row in catalog.itertuples():
        near = [year for year in YEARS if not pd.isna(row.outline_year) and abs(year - row.outline_year) <= 5]
        expected = near if row.used or row.reason == "buffer" else None
        assert expected is None or row.years == ";".join(map(str, near)), row
        assert not row.used or str(row.year) in row.years.split(";")


def test_splits_never_part_the_dates_of_a_place_and_count_its_ground_once(made, index):
    for column in ("place", "partition"):
        assert len(index[[column, "split"]].drop_duplicates()) == len(set(index[column]))
    leaks = measure_leakage(made.chip_boxes, made.partition_table, made.lattice)
    assert leaks.shared_pixels == 0

    # Put the chips of one dev partition into train too, once and once for each year: the same pixels are shared.
    boxes = made.chip_boxes
    moved = boxes[
        (boxes["split"] == "dev") & (boxes["partition"] == boxes[boxes["split"] == "dev"]["partition"].iloc[0])
    ]
    shared = []
    for years in ((2008,), YEARS):
        copies = moved[moved["year"].isin(years)].assign(split="train")
        copies["chip_id"] = copies["chip_id"] + "_copy"
        both = pd.concat([boxes, copies], ignore_index=True)
        shared.append(measure_leakage(both, made.partition_table, made.lattice).shared_pixels)
    assert shared[0] == shared[1] > 0


def test_chips_of_one_place_and_several_years_are_no_duplicates(made, index):
    keys = footprint_keys(made.chip_boxes, made.lattice)

    assert index["place"].duplicated().any()
    assert count_repeats(keys, index["split"].tolist(), index["chip_id"].tolist()).n_sets == 0


def test_chips_of_the_nearest_year_are_those_of_a_dataset_with_one_date(made, one_date):
    single = gcn_luigi.open_dataset(one_date)
    for split in ("train", "dev"):
        chips = {chip["chip_id"]: chip for chip in made.chips(split)}
        assert len(single.chips(split)) < len(chips)
        for chip in single.chips(split):
            for name in ("image", "label", "flags"):
                np.testing.assert_array_equal(chip[name], chips[chip["chip_id"]][name])
    assert "place" not in single.chip_table.columns
    assert "years" not in single.partition_table.columns


class TestSeries:
    def test_a_partition_is_joined_from_its_chips_year_by_year(self, made, index):
        rows = index[index["split"] == "train"]
        counts = rows.groupby("partition")["year"].nunique()
        partition = counts[counts == 2].index[0]
        chips = made.chips("train")

        series = chips.series(partition)

        assert series.years.tolist() == sorted(series.years.tolist()) == [2004, 2008]
        assert series.image.ndim == 4
        assert series.image.shape[:2] == (2, len(made.bands))
        mine = rows[rows["partition"] == partition]
        top, left = mine["row"].min(), mine["col"].min()
        assert (series.left, series.top) == (mine["left"].min(), mine["top"].max())
        covered = np.zeros(series.label.shape, bool)
        for chip in (chips[int(np.flatnonzero(rows["chip_id"] == name)[0])] for name in mine["chip_id"]):
            row = mine[mine["chip_id"] == chip["chip_id"]].iloc[0]
            size = chip["label"].shape[0]
            year = series.years.tolist().index(row["year"])
            at = (slice(row["row"] - top, row["row"] - top + size), slice(row["col"] - left, row["col"] - left + size))
            np.testing.assert_array_equal(series.image[(year, slice(None), *at)], chip["image"])
            np.testing.assert_array_equal(series.label[(year, *at)], chip["label"])
            np.testing.assert_array_equal(series.flags[(year, *at)], chip["flags"])
            covered[(year, *at)] = True
        assert (series.label[~covered] == 255).all()
        assert (series.flags[~covered] & 8).all()

    def test_a_year_without_a_kept_chip_is_left_out(self, made, index):
        counts = index.groupby("partition")["year"].nunique()
        missing = counts[counts == 1]
        assert len(missing), "the hole in the first composite left no chip out"
        partition = missing.index[0]
        rows = index[index["partition"] == partition]
        listed = made.partition_table.set_index("partition").loc[partition, "years"]

        series = made.chips(rows["split"].iloc[0]).series(partition)

        assert listed == "2004;2008"
        assert series.years.tolist() == sorted(set(rows["year"])) == [2008]
        assert series.image.shape[0] == 1

    def test_a_dataset_with_one_date_gives_a_series_of_one(self, one_date):
        single = gcn_luigi.open_dataset(one_date)
        partition = single.chip_table[single.chip_table["split"] == "dev"]["partition"].iloc[0]

        assert len(single.chips("dev").series(partition).years) == 1

    def test_only_the_chosen_chips_are_shown(self, made, index):
        place = index[(index["split"] == "train") & index.duplicated("place", keep=False)]["place"].iloc[0]

        assert made.chips("train", years=2008).series(place).years.tolist() == [2008]

    def test_a_place_that_no_chip_shows_is_refused_with_the_nearest_name(self, made, index):
        partition = index[index["split"] == "dev"]["partition"].iloc[0]

        with pytest.raises(ConfigError, match=r"no chip shows .*-of"):
            made.chips("dev").series(f"{partition}-of")
        with pytest.raises(ConfigError, match="no chip shows"):
            made.chips("train").series(partition)


def test_the_dataset_is_sound_and_other_layouts_hold_the_same(built, made, index, tmp_path):
    for is_deep in (False, True):
        assert list(validate(built, deep=is_deep)) == []

    convert_dataset(built, tmp_path / "windows", "windows", None, lambda *_: None)
    convert_dataset(tmp_path / "windows", tmp_path / "back", "chips", None, lambda *_: None)

    windows = gcn_luigi.open_dataset(tmp_path / "windows")
    assert list(validate(tmp_path / "windows")) == []
    for split in ("train", "dev"):
        for one, other in zip(made.chips(split), windows.chips(split), strict=True):
            for name in ("image", "label", "flags"):
                np.testing.assert_array_equal(one[name], other[name])
        partition = index[index["split"] == split]["partition"].iloc[0]
        series = [one.chips(split).series(partition) for one in (made, windows)]
        np.testing.assert_array_equal(series[0].image, series[1].image)
        np.testing.assert_array_equal(series[0].flags, series[1].flags)
    for path in (built / "shards").iterdir():
        assert (tmp_path / "back" / "shards" / path.name).read_bytes() == path.read_bytes()


def test_a_chip_of_a_composite_beyond_the_gap_is_found_by_validation(built):
    made = gcn_luigi.open_dataset(built)
    made.chip_boxes.loc[3, "year"] = 1999

    assert any("does not agree with its partition" in problem for problem in index_problems(made, []))


def test_partitions_are_exported_once_for_each_year_and_mosaics_show_one(made, index, tmp_path):
    partition = index[index.duplicated("place", keep=False)]["partition"].iloc[0]

    export(made, tmp_path / "one", Request(Selection(partitions=(partition,)), "partitions"), lambda *_: None)
    export(made, tmp_path / "all", Request(Selection(partitions=(partition,)), "mosaic"), lambda *_: None)

    split = index[index["partition"] == partition]["split"].iloc[0]
    series = made.chips(split).series(partition)
    for number, year in enumerate((2004, 2008)):
        for path in (tmp_path / "one" / f"tiny_{partition}_{year}.tif", tmp_path / "all" / f"tiny_{year}.tif"):
            with rasterio.open(path) as raster:
                row, col = raster.index(series.left + 1, series.top - 1)
                height, width = series.label.shape[1:]
                np.testing.assert_array_equal(
                    raster.read(window=RasterWindow(col, row, width, height)), series.image[number]
                )


def test_partition_files_hold_every_year(built, tmp_path):
    place = tmp_path / "dates"
    shutil.copytree(built.parent, place)
    sources = _sources(built)
    luigi.task_register.Register.clear_instance_cache()
    root = dataset("tiny", place, sources / "input", sources / "config")
    task = root.clone(PartitionFiles)
    with task.output().atomic_write() as temporary:
        write_partition_files(task.configured, task.paths, temporary, lambda *_: None)

    table = pd.read_csv(place / "tiny" / "partitions" / "partitions.csv")
    used = gcn_luigi.open_dataset(built).partition_table.query("used")
    expected = sorted((row.partition, int(year)) for row in used.itertuples() for year in row.years.split(";"))
    assert sorted(zip(table["partition"], table["year"], strict=True)) == expected
    assert table["file"].is_unique


def test_xarray_carries_the_place(made, index):
    pytest.importorskip("xarray")
    ids = index["chip_id"][:4].tolist()

    assert made.to_xarray(ids)["place"].to_numpy().tolist() == index["place"][:4].tolist()


def test_the_audit_of_the_split_is_that_of_one_date(built, one_date):
    assert json.loads((built / "split.json").read_text()) == json.loads((one_date / "split.json").read_text())


def test_a_reader_goes_through_pickle_with_its_series(made, index):
    chips = pickle.loads(pickle.dumps(made.chips("train")))  # noqa: S301  our own bytes
    assert isinstance(chips, ChipReader)
    partition = index[index["split"] == "train"]["partition"].iloc[0]
    assert chips.series(partition).place == partition


def test_an_epoch_with_mixed_years_shows_each_place_once_on_the_device(made):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from gcn_luigi.read.torch import DeviceChips  # noqa: PLC0415  it imports torch

    chips = DeviceChips(made, "train", device="cpu")
    table = made.chips("train").placed
    places = list(zip(table["partition"], table["row"], table["col"], strict=True))
    years = table["year"].to_numpy()

    def epochs():
        batches = chips.batches(16, seed=3, mix_years=True)
        return [torch.cat([batch["position"] for batch in batches]).tolist() for _ in range(6)], len(batches)

    found, n_batches = epochs()

    assert epochs()[0] == found
    assert len({*places}) < len(places)
    assert n_batches == -(-len({*places}) // 16)
    for positions in found:
        assert sorted(places[position] for position in positions) == sorted({*places})
    # Each chip has its turn within a few epochs.
    assert {*years[found[0]]} == {*YEARS}
    assert found[0] != found[1]
    assert len({position for positions in found for position in positions}) > 0.9 * len(places)
