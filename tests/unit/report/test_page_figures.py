"""What the figures and tables of the quality page say, against plain counting."""

import json

import numpy as np
import pytest

from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.prepare.statistics.float_counts import bin_values
from gcn_luigi.report.drawing import drawing_style
from gcn_luigi.report.quality.data import read_report_data
from gcn_luigi.report.quality.figures import histogram_median, share_figure, share_table, year_figure
from gcn_luigi.report.quality.maps import read_relief, reason_map, share_map
from gcn_luigi.report.quality.missing import cause_figure, cause_table
from gcn_luigi.settings import RegionSettings


@pytest.fixture(scope="module")
def paths(small_output):
    return DatasetPaths(small_output)


@pytest.fixture(scope="module")
def data(paths):
    made_with = json.loads(paths.dataset.read_text(encoding="utf-8"))["configuration"]
    return read_report_data(RegionSettings.model_validate({**made_with, "data_root": "."}), paths)


@pytest.fixture(autouse=True)
def _style():
    with drawing_style():
        yield


def test_shares_of_classes_are_those_of_the_index(data):
    index = data.index
    rows = {row[0]: row[1:] for row in share_table(data).rows}

    train = index.loc[index["split"] == "train", "share_debris"]
    dev = index.loc[index["split"] == "dev", "share_debris"]
    assert rows["Debris, chips"][:4] == tuple(
        f"{value:.2%}" for value in (train.mean(), train.median(), dev.mean(), dev.median())
    )
    assert len(rows) == 6


def test_the_distance_stands_on_the_figure_and_in_the_table(data):
    (row,) = [row for row in share_table(data).rows if row[0] == "Debris, chips"]

    assert f"debris: KS {row[-1]}" in share_figure(data).alt


def test_missing_pixels_are_counted_by_band_and_cause(data):
    table = cause_table(data)
    rows = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}

    assert set(rows) == {band.name for band in data.bands}
    totals = data.tile_quality["ndsi"]["totals"]
    assert rows["ndsi"]["#tiles: nodata"] == f"{totals['missing']:,}"
    pixels = sum(flags.pixels for flags in data.flags.values())
    values = np.arange(256)
    own = pixels[(values & Flag.OPTICAL > 0) & (values & Flag.OUTSIDE == 0)].sum() / pixels.sum()
    assert rows["ndsi"]["#chips: role missing"] == f"{own:.2%}"
    assert rows["ndsi"]["#chips: outside"] == f"{pixels[values & Flag.OUTSIDE > 0].sum() / pixels.sum():.2%}"
    assert all(f"{band.name} " in cause_figure(data).alt for band in data.bands)


def test_years_between_outline_and_image_are_those_of_the_chips(data):
    said = year_figure(data).alt

    for split in SPLITS:
        gaps = data.index.loc[(data.index["split"] == split) & (data.index["year_gap"] >= 0), "year_gap"]
        assert f"{split} {gaps.mean():.1f}" in said


def test_every_reason_is_on_the_map_with_its_count(data, paths):
    unused = data.catalog[~data.catalog["used"]]
    drawing = reason_map(data, read_relief(data, paths))

    counts = unused["reason"].value_counts()
    assert len(counts) >= 1
    for reason, count in counts.items():
        assert f"{reason} {count}" in drawing.alt
        assert f"{reason}: {count}" in drawing.svg


def test_the_map_of_shares_has_a_panel_each_for_glacier_debris_and_ice(data, paths):
    drawing = share_map(data, read_relief(data, paths))

    for title in ("Glacier (outlines)", "Debris (label)", "Ice (label)"):
        assert title in drawing.svg
    assert f"{data.catalog['share_debris'].mean():.1%}" in drawing.alt


@pytest.mark.parametrize("values", [[5], [1, 2], [-32768, 0, 32767], [7] * 9 + [100]])
def test_the_median_of_a_histogram_is_the_lower_one(values):
    counts = np.bincount(np.array(values) + 32768, minlength=65536)

    assert histogram_median(counts, bin_values("int16")) == sorted(values)[(len(values) - 1) // 2]
