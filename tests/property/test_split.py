"""No method ever lets two splits share a pixel, nor a fold train on what it holds out."""

import itertools

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.split.folds import HELD_OUT, LEFT_OUT, TRAIN, FoldRequest, assign_folds, audit_folds
from gcn_luigi.prepare.split.leakage import audit_split
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.settings import SplitSettings
from tests.reference.catalog import join, least_gap, make_catalog, pixels

windows = st.lists(st.tuples(st.integers(-30, 60), st.integers(-30, 60)), min_size=1, max_size=14, unique=True)


@settings(max_examples=25, deadline=None)
@given(
    windows,
    st.sampled_from(["blocks", "legacy"]),
    st.integers(0, 2),
    st.integers(1, 4),
    st.integers(0, 99),
)
@example([(0, 0), (0, 1)], "legacy", 0, 1, 0)
def test_train_and_dev_share_no_pixel_and_the_audit_agrees(corners, method, buffer, block, seed):
    rng = np.random.default_rng(seed)
    catalog = make_catalog([(r, c, 8, 8) for r, c in corners], glacier=rng.random(len(corners)))
    joined = join({f"g{i}": rng.choice(catalog["partition"], 3) for i in range(3)}).drop_duplicates()

    result, notes = assign_split(
        catalog,
        joined,
        SplitSettings(method=method, buffer_partitions=buffer, block_partitions=block, seed=seed, dev_share=0.3),
    )

    audit = audit_split(result, joined)
    train, dev = (result[result["split"] == name] for name in ("train", "dev"))
    assert not pixels(result, "train") & pixels(result, "dev")
    assert audit["shared_pixels"] == 0
    assert len(train) + len(dev) == result["used"].sum()
    # By the published rule chance decides: of a few cells that overlap, train may keep none.
    assert len(train) > 0 or method == "legacy"
    assert (result["reason"] == "").equals(result["used"])
    if method == "blocks" and len(dev) and not any("too small" in note for note in notes):
        assert least_gap(result) >= buffer * 8
    shared = set(joined[joined["cell"].isin(train["partition"])]["outline"]) & set(
        joined[joined["cell"].isin(dev["partition"])]["outline"]
    )
    assert audit["shared_glaciers"] == sorted(shared)


def _world(corners, seed):
    rng = np.random.default_rng(seed)
    catalog = make_catalog([(r, c, 8, 8) for r, c in corners], glacier=rng.random(len(corners)))
    joined = join({f"g{i}": rng.choice(catalog["partition"], 3) for i in range(3)}).drop_duplicates()
    return catalog, joined


@settings(max_examples=25, deadline=None)
@given(windows, st.sampled_from(["blocks", "legacy"]), st.integers(0, 2), st.integers(1, 4), st.integers(0, 99))
def test_no_pixel_is_in_two_of_three_splits(corners, method, buffer, block, seed):
    catalog, joined = _world(corners, seed)
    splits = ("train", "dev", "test")
    asked = SplitSettings(
        method=method, buffer_partitions=buffer, block_partitions=block, seed=seed, dev_share=0.3, test_share=0.2
    )

    result, notes = assign_split(catalog, joined, asked, splits=splits)
    mixed, _ = assign_split(catalog.sample(frac=1, random_state=seed), joined, asked, splits=splits)

    audit = audit_split(result, joined, splits=splits)
    for (one, other), pair in zip(itertools.combinations(splits, 2), audit["pairs"], strict=True):
        assert not pixels(result, one) & pixels(result, other)
        assert pair["shared_pixels"] == 0
        if method == "blocks" and not any("too small" in note for note in notes):
            gap = least_gap(result, one, other)
            assert gap is None or gap >= buffer * 8
    assert audit["n_train"] + audit["n_dev"] + audit["n_test"] == result["used"].sum()
    pd.testing.assert_frame_equal(pd.DataFrame(result), pd.DataFrame(mixed))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=4, max_size=24, unique=True),
    st.integers(2, 4),
    st.integers(0, 2),
    st.sampled_from(["blocks", "glacier"]),
    st.integers(0, 99),
)
def test_what_a_fold_holds_out_is_the_buffer_away_from_what_it_trains_on(corners, count, buffer, unit, seed):
    catalog, joined = _world(corners, seed)
    catalog, _ = assign_split(
        catalog, joined, SplitSettings(test_share=0.2, buffer_partitions=0), splits=("train", "dev", "test")
    )
    request = FoldRequest(count, buffer * 8, unit=unit, block=2, seed=seed)

    try:
        plan = assign_folds(catalog, joined, request)
    except ConfigError:
        # The messages have tests of their own.
        return
    mixed = catalog.sample(frac=1, random_state=seed)
    again = assign_folds(mixed.sort_values("partition", ignore_index=True), joined, request)

    usable = catalog["split"].isin(["train", "dev"]).to_numpy()
    assert (plan.fold[usable] >= 0).all()
    assert (plan.fold[~usable] == -1).all()
    measured = audit_folds(catalog, joined, plan.table)
    for fold, rows in plan.table.groupby("fold"):
        role = rows.set_index("partition")["role"]
        assert set(role.index) == set(catalog["partition"][usable])
        assert set(role.index[role == HELD_OUT]) == set(catalog["partition"][plan.fold == fold])
        cells = catalog.assign(split=catalog["partition"].map(role).fillna("")).astype({"split": "str"})
        gap = least_gap(cells, TRAIN, HELD_OUT)
        assert gap is not None
        assert gap >= buffer * 8
        assert not pixels(cells, TRAIN) & pixels(cells, HELD_OUT)
        # Only what is too near is left out.
        for name in role.index[role == LEFT_OUT]:
            alone = cells[(cells["split"] == HELD_OUT) | (cells["partition"] == name)]
            near = least_gap(alone, LEFT_OUT, HELD_OUT)
            assert near < max(buffer * 8, 1)
        assert measured[fold]["shared_pixels"] == 0
    pd.testing.assert_frame_equal(plan.table, again.table)
