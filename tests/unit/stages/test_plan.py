"""A plan says what a build then makes."""

import dataclasses
import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from gcn_luigi.config import Region
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.plan import Plan, SplitPlan, build_trial, label_decides, plan_dataset, spread_over
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard


@pytest.fixture(scope="module")
def paths(small_output):
    return DatasetPaths(small_output)


@pytest.fixture(scope="module")
def settings(paths):
    made_with = json.loads(paths.dataset.read_text(encoding="utf-8"))["configuration"]
    return RegionSettings.model_validate({**made_with, "data_root": "."})


def changed(settings, *, shards=None, nodata=None, **chips):
    changes = {"chips": settings.chips.model_copy(update=chips)}
    if nodata:
        changes["nodata"] = settings.nodata.model_copy(update=nodata)
    if shards:
        changes["shards"] = settings.shards.model_copy(update=shards)
    return settings.model_copy(update=changes)


def region_of(settings, paths):
    return Region(settings, paths.root.parents[1] / "input")


def silent(_line, _share):
    pass


def planned(settings, paths, *, is_exact=True):
    return plan_dataset(region_of(settings, paths), paths, is_exact=is_exact, say=silent)


def built(settings, paths, directory):
    """Build all shards into `directory`; return chips by split, bytes, and rejected chips by split and reason."""
    chips, size, rejected = dict.fromkeys(SPLITS, 0), 0, {split: {} for split in SPLITS}
    for split, total in (("train", settings.shards.n_train), ("dev", settings.shards.n_dev)):
        for number in range(total):
            path = directory / f"{split}-{number}.h5"
            build_shard(ShardRequest(region_of(settings, paths), paths, split, number, total), path, silent)
            size += path.stat().st_size
            with ShardReader(path) as shard:
                chips[split] += len(shard)
                table = shard.table("partitions")
            for reason, count in zip(table["reasons"], table["verdicts"].sum(axis=0), strict=True):
                if count and reason != b"kept":
                    rejected[split][reason.decode()] = rejected[split].get(reason.decode(), 0) + int(count)
    return chips, size, rejected


CHOICES = {
    "as configured": {},
    "overlapping": {"step": 8},
    "each pixel of every chip valid": {"min_valid_optical_share": 1.0, "min_valid_topo_share": 1.0},
    "glacier only": {"min_glacier_share": 0.3, "min_share": {"debris": 0.02}},
    "denser where balanced": {"densify": True},
    "padded": {"edge": "pad", "step": 24},
    "label only": {"min_valid_optical_share": 0.0, "min_valid_topo_share": 0.0, "min_valid_label_share": 0.9},
    "windows": {"shards": {"layout": "windows"}, "step": 16},
    "as published": {"nodata": {"mode": "legacy", "fill": -32768}, "edge": "legacy", "step": 24},
    "not compressed": {"shards": {"codec": "none"}},
    "more shards than partitions": {"shards": {"train": 40, "dev": 9}},
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_chips_and_reasons_are_those_of_the_build_and_bytes_within_fifteen_per_cent(paths, settings, tmp_path, choice):
    wanted = changed(settings, **choice)

    plan = planned(wanted, paths)
    trial = build_trial(region_of(wanted, paths), paths, plan, tmp_path, silent)

    chips, size, rejected = built(wanted, paths, tmp_path)
    assert {split: plan.splits[split].chips for split in SPLITS} == chips
    assert {split: plan.splits[split].rejected for split in SPLITS} == rejected
    assert trial.shard_bytes == pytest.approx(size, rel=0.15)
    assert plan.is_exact
    assert not (tmp_path / "trial.h5").exists()


def test_a_fraction_of_the_partitions_is_enough_for_the_bytes(paths, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("gcn_luigi.stages.plan._MOST_PARTITIONS", 5)
    plan = planned(settings, paths)
    trial = build_trial(region_of(settings, paths), paths, plan, tmp_path, silent)

    _, size, _ = built(settings, paths, tmp_path)

    assert trial.n_partitions <= 6 < sum(len(split.with_chips) for split in plan.splits.values())
    assert trial.shard_bytes == pytest.approx(size, rel=0.15)


def test_a_trial_of_nothing_says_nothing(paths, settings, tmp_path):
    none = changed(settings, min_share={"debris": 1.0})

    plan = planned(none, paths)

    assert plan.chips == 0
    assert build_trial(region_of(none, paths), paths, plan, tmp_path, silent).shard_bytes == 0


def test_each_shard_is_expected_to_take_time_by_its_share(paths, settings, tmp_path):
    trial = build_trial(region_of(settings, paths), paths, planned(settings, paths), tmp_path, silent)

    assert [len(trial.shard_seconds[split]) for split in SPLITS] == [settings.shards.n_train, settings.shards.n_dev]
    assert all(seconds > 0 for split in SPLITS for seconds in trial.shard_seconds[split])


def test_the_label_alone_gives_an_upper_bound(paths, settings):
    strict = changed(settings, min_valid_optical_share=1.0)

    exact, most = (planned(strict, paths, is_exact=is_exact) for is_exact in (True, False))

    assert (exact.is_exact, most.is_exact) == (True, False)
    for split in SPLITS:
        assert exact.splits[split].candidates == most.splits[split].candidates
        assert exact.splits[split].chips < most.splits[split].chips


def test_other_bands_are_not_read_where_they_decide_nothing(paths, settings):
    only_label = changed(settings, **CHOICES["label only"])

    assert not label_decides(settings)
    assert label_decides(only_label)
    assert planned(only_label, paths).is_exact
    assert planned(only_label, paths).seconds_read == 0


def test_partitions_are_those_that_the_catalog_uses(paths, settings):
    catalog = gpd.read_parquet(paths.catalog)

    for split, plan in planned(settings, paths).splits.items():
        assert plan.partitions == int((catalog["used"] & (catalog["split"] == split)).sum())


def test_class_shares_are_those_of_the_label_in_the_used_partitions(paths, settings):
    catalog = gpd.read_parquet(paths.catalog)
    with rasterio.open(paths.label) as dataset:
        label = dataset.read(1)

    for split, plan in planned(settings, paths, is_exact=False).splits.items():
        cells = catalog[catalog["used"] & (catalog["split"] == split)]
        pixels = np.concatenate(
            [label[c.row : c.row + c.height, c.col : c.col + c.width].ravel() for c in cells.itertuples()]
        )
        expected = {name: (pixels == value).mean() for name, value in (("none", 0), ("debris", 1), ("ice", 2))}
        expected["missing"] = (pixels == 255).mean()
        assert plan.classes == pytest.approx(expected)
        assert min(expected["debris"], expected["ice"]) > 0


def test_the_weight_of_either_layout_is_that_of_its_pixels(paths, settings):
    plan = planned(settings, paths)

    # Three bands of two bytes, label and flags.
    pixel = 3 * 2 + 2
    assert plan.chips_bytes == plan.chips * 32 * 32 * pixel
    n_windows = plan.windows_bytes / (64 * 64 * pixel)
    assert n_windows == sum(len(split.with_chips) for split in plan.splits.values())


def test_a_smaller_step_makes_more_chips_of_the_same_partitions(paths, settings):
    coarse, fine = (planned(changed(settings, step=step), paths) for step in (32, 8))

    assert fine.chips_bytes > 5 * coarse.chips_bytes
    assert fine.windows_bytes >= coarse.windows_bytes
    assert (coarse.advised, fine.advised) == ("chips", "windows")


@pytest.mark.parametrize(
    ("chips", "windows", "advised"), [(0, 0, "chips"), (10, 10, "chips"), (19, 10, "chips"), (20, 10, "windows")]
)
def test_partitions_are_advised_where_they_halve_the_bytes(chips, windows, advised):
    plan = Plan({"train": SplitPlan(1, 1, 1, {}, ())}, is_exact=True, chips_bytes=chips, windows_bytes=windows)

    assert plan.advised == advised


def test_the_trial_takes_partitions_of_both_splits_from_everywhere():
    places = [dataclasses.make_dataclass("Place", ["name"], frozen=True)(f"{i}") for i in range(100)]

    chosen = spread_over({"train": tuple(places[:90]), "dev": tuple(places[90:])}, 20)

    numbers = np.array([int(place.name) for place in chosen])
    assert {0, 89, 90, 99} <= set(numbers)
    assert len(numbers) == len(set(numbers)) == 20
    assert np.diff(numbers[:-1]).max() <= 6
