"""A plan says what a build then makes."""

import json

import geopandas as gpd
import numpy as np
import pytest

from gcn_luigi.io.layout import Layout
from gcn_luigi.io.shard_reader import ShardReader
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.plan import Plan, SplitPlan, plan_dataset


@pytest.fixture(scope="module")
def layout(small_output):
    return Layout(small_output)


@pytest.fixture(scope="module")
def settings(layout):
    made_with = json.loads(layout.dataset.read_text(encoding="utf-8"))["configuration"]
    return RegionSettings.model_validate({**made_with, "data_root": "."})


def changed(settings, **chips):
    return settings.model_copy(update={"chips": settings.chips.model_copy(update=chips)})


def judged(layout, split):
    """Return how many chips the shards of a split have seen and kept."""
    seen = kept = 0
    for path in sorted(layout.shards.glob(f"{split}-*.h5")):
        with ShardReader(path) as shard:
            seen += int(shard.table("partitions")["verdicts"].sum())
            kept += len(shard)
    return seen, kept


@pytest.mark.parametrize("split", ["train", "dev"])
def test_chips_cut_are_those_of_the_build_and_no_more_are_kept_than_said(layout, settings, split):
    seen, kept = judged(layout, split)
    catalog = gpd.read_parquet(layout.catalog)

    planned = plan_dataset(settings, layout).splits[split]

    assert planned.candidates == seen
    assert kept <= planned.chips <= seen
    assert planned.partitions == int((catalog["used"] & (catalog["split"] == split)).sum())


def test_where_only_the_label_decides_the_plan_is_exact(layout, settings):
    only_label = changed(settings, min_valid_label_share=0.9, max_topo_nodata_share=1.0, min_valid_optical_share=0.0)
    label_missing = []
    for path in sorted(layout.shards.glob("*.h5")):
        with ShardReader(path) as shard:
            label_missing.append(shard.column("valid_label"))

    planned = plan_dataset(only_label, layout)

    # The dataset keeps all chips with half their label; those with nine tenths are a part of them.
    kept = int((np.concatenate(label_missing) >= np.float32(0.9)).sum())
    lost = sum(judged(layout, split)[0] - judged(layout, split)[1] for split in ("train", "dev"))
    assert kept <= sum(split.chips for split in planned.splits.values()) <= kept + lost


def test_the_weight_of_either_layout_is_that_of_its_pixels(layout, settings):
    planned = plan_dataset(settings, layout)

    # Three bands of two bytes, label and flags.
    pixel = 3 * 2 + 2
    assert planned.chips_bytes == sum(split.chips for split in planned.splits.values()) * 32 * 32 * pixel
    n_windows = planned.windows_bytes / (64 * 64 * pixel)
    assert n_windows == int(n_windows)
    assert 0 < n_windows <= sum(split.partitions for split in planned.splits.values())


def test_a_smaller_step_makes_more_chips_of_the_same_partitions(layout, settings):
    coarse, fine = (plan_dataset(changed(settings, step=step), layout) for step in (32, 8))

    assert fine.chips_bytes > 5 * coarse.chips_bytes
    assert fine.windows_bytes >= coarse.windows_bytes
    assert (coarse.advised, fine.advised) == ("chips", "windows")


@pytest.mark.parametrize(
    ("chips", "windows", "advised"), [(0, 0, "chips"), (10, 10, "chips"), (19, 10, "chips"), (20, 10, "windows")]
)
def test_partitions_are_advised_where_they_halve_the_bytes(chips, windows, advised):
    assert Plan({"train": SplitPlan(1, 1, 1)}, chips, windows).advised == advised
