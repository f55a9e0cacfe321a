"""Which partitions train and which are held back."""

import numpy as np
import pandas as pd
import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.split.blocks import BlockSearch, Groups, block_ids, group_blocks
from gcn_luigi.prepare.split.leakage import audit_split
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.settings import SplitSettings
from tests.reference.catalog import join, least_gap, make_catalog, pixels, square

NOTHING = join({})


def counts(catalog):
    return catalog["split"].value_counts().to_dict()


@pytest.fixture
def large():
    rng = np.random.default_rng(5)
    return make_catalog(square(40, 40), glacier=rng.beta(0.5, 0.8, 1600), debris=rng.beta(0.3, 3, 1600) * 0.2)


def test_blocks_go_whole_into_one_split_with_a_buffer_between(large):
    catalog, notes = assign_split(large, NOTHING, SplitSettings())

    in_use = catalog[catalog["used"]]
    assert len(in_use[["block", "split"]].drop_duplicates()) == in_use["block"].nunique()
    assert least_gap(catalog) == 256
    assert set(catalog.loc[~catalog["used"], "reason"]) == {"buffer"}
    assert (catalog.loc[~catalog["used"], "split"] == "").all()
    assert notes == []


def test_dev_has_the_wanted_share_and_the_same_cover(large):
    audit = audit_split(assign_split(large, NOTHING, SplitSettings(dev_share=0.2))[0], NOTHING)

    assert audit["dev_share"] == pytest.approx(0.2, abs=0.02)
    for name in ("glacier_share_mean", "debris_share_mean"):
        assert audit[name]["dev"] == pytest.approx(audit[name]["train"], rel=0.05)


def test_the_split_does_not_depend_on_the_order_of_rows(large):
    for method in ("blocks", "legacy"):
        settings = SplitSettings(method=method)
        plain, _ = assign_split(large, NOTHING, settings)
        mixed, _ = assign_split(large.sample(frac=1, random_state=1), NOTHING, settings)

        pd.testing.assert_frame_equal(pd.DataFrame(plain), pd.DataFrame(mixed))


def test_another_seed_is_another_split(large):
    one, other = (assign_split(large, NOTHING, SplitSettings(seed=seed))[0]["split"] for seed in (1, 2))

    assert not one.equals(other)


def test_the_input_is_not_modified(large):
    before = large.copy()

    assign_split(large, NOTHING, SplitSettings())

    pd.testing.assert_frame_equal(pd.DataFrame(large), pd.DataFrame(before))


def test_blocks_do_not_depend_on_the_extent():
    whole = make_catalog(square(12, 12))
    part = whole.iloc[37:90]

    assert block_ids(part, 4).tolist() == block_ids(whole, 4)[37:90].tolist()
    assert pd.Series(block_ids(whole, 4)).value_counts().tolist() == [16] * 9


@pytest.mark.parametrize(("rows", "cols"), [(2, 3), (1, 6), (3, 3), (2, 5), (3, 5), (4, 5), (1, 2), (2, 2)])
@pytest.mark.parametrize("giant", [False, True])
def test_a_small_region_still_has_both_splits_and_says_when_the_buffer_went(rows, cols, giant):
    catalog = make_catalog(square(rows, cols))
    joined = join({"giant": catalog["partition"]}) if giant else NOTHING

    split, notes = assign_split(catalog, joined, SplitSettings())

    assert counts(split).get("train", 0) >= counts(split).get("dev", 0) > 0
    told = any("a buffer of 0 are used" in note for note in notes)
    assert least_gap(split) == 0 if told else least_gap(split) >= 256
    assert any("giant" in note for note in notes) == giant


def test_one_partition_is_too_few_for_two_splits():
    catalog, notes = assign_split(make_catalog(square(1, 1)), NOTHING, SplitSettings())

    assert catalog["split"].tolist() == ["train"]
    assert "too few partitions for two splits" in notes
    assert "no partition is left for dev" in notes


@pytest.mark.parametrize("method", ["blocks", "legacy"])
def test_no_used_partition_gives_notes_and_no_error(method):
    unused = make_catalog(square(2, 2)).assign(used=False, reason="no outline")

    catalog, notes = assign_split(unused, NOTHING, SplitSettings(method=method))

    assert catalog["reason"].tolist() == ["no outline"] * 4
    assert {"no partition is left for train", "no partition is left for dev"} <= set(notes)
    assert audit_split(catalog, NOTHING)["least_distance_m"] is None


def test_glaciers_that_reach_across_the_buffer_stay_in_one_split(large):
    names = large["partition"].to_numpy().reshape(40, 40)
    long = {f"long{i:02d}": names[i, j : j + 9] for i, j in zip(range(1, 40, 3), range(0, 31, 2), strict=False)}
    joined = join(long)

    apart, notes = assign_split(large, joined, SplitSettings())
    torn, _ = assign_split(large, joined, SplitSettings(by_glacier=False))

    assert audit_split(apart, joined)["shared_glaciers"] == []
    assert notes == []
    assert audit_split(torn, joined)["shared_glaciers"] != []


def test_a_glacier_that_the_buffer_parts_ties_no_blocks():
    catalog = make_catalog(square(4, 8))
    names = catalog["partition"].to_numpy().reshape(4, 8)
    blocks = block_ids(catalog, 4)
    short, long = join({"g": names[0, 3:5]}), join({"g": names[0, 2:6]})

    for joined, tied in ((short, False), (long, True)):
        groups = group_blocks(catalog, joined, blocks, buffer_px=256, dev_share=0.01)
        assert (len(set(groups.number.tolist())) == 1) == (tied and not groups.giants)
        assert bool(groups.giants) == tied


def test_a_giant_is_left_in_both_splits_and_named(large):
    joined = join({"giant": large["partition"]})

    catalog, notes = assign_split(large, joined, SplitSettings())

    assert counts(catalog)["dev"] / (counts(catalog)["dev"] + counts(catalog)["train"]) == pytest.approx(0.2, abs=0.02)
    assert notes == ["1 outline lies in both splits, because it could not be kept in one: giant"]


def test_every_giant_is_named_and_a_small_glacier_still_ties_its_blocks():
    catalog = make_catalog(square(1, 12))
    names = catalog["partition"].tolist()
    joined = join({"a": names, "b": names[1:], "c": [names[0], names[3]]})

    groups = group_blocks(catalog, joined, block_ids(catalog, 1), buffer_px=0, dev_share=0.2)

    assert groups.giants == ("b", "a")
    assert groups.number[0] == groups.number[3]
    assert len(set(groups.number.tolist())) == 11


def test_the_cost_of_a_choice_is_that_of_the_table():
    """Four cells in a row, two of them without glacier; the first two share a glacier, the third has another."""
    catalog = make_catalog(square(1, 4), glacier=[0.5, 0.25, 0.0, 0.75], debris=[0.2, 0.0, 0.0, 0.1])
    joined = join({"a": ["p0000", "p0001"], "b": ["p0003"]})
    search = BlockSearch(catalog, joined, Groups(np.arange(4), ()), buffer_px=0, dev_share=0.25)

    choice = search.evaluate(np.array([True, False, False, False]))

    share = 2 * abs(1 / 3 - 0.25) / 0.25
    glacier = abs(0.5 - (0.25 + 0.75) / 2) / 0.375
    debris = abs(0.2 - (0.0 + 0.1) / 2) / 0.075
    in_both = 2e6 / 3e6
    assert choice.cost == pytest.approx(share + glacier + debris + in_both)
    assert choice.is_dev.tolist() == [True, False, False, False]
    assert not choice.is_lost.any()
    # With a buffer the second cell is lost, and the glacier is in one split.
    apart = BlockSearch(catalog, joined, Groups(np.arange(4), ()), buffer_px=1, dev_share=0.25)
    choice = apart.evaluate(np.array([True, False, False, False]))
    share = 2 * abs(1 / 2 - 0.25) / 0.25
    assert choice.cost == pytest.approx(share + abs(0.5 - 0.75) / 0.375 + abs(0.2 - 0.1) / 0.075 + 1 / 4)
    assert choice.is_lost.tolist() == [False, True, False, False]
    # The share of a giant in both splits counts a quarter; all in dev is no choice.
    giant = BlockSearch(catalog, joined, Groups(np.arange(4), ("a",)), buffer_px=0, dev_share=0.25)
    assert search.evaluate(np.arange(4) == 0).cost - giant.evaluate(np.arange(4) == 0).cost == pytest.approx(0.5)
    assert search.evaluate(np.ones(4, bool)).cost == np.inf


def test_the_buffer_is_measured_in_pixels_for_cells_off_the_regular_grid():
    windows = [(0, 0, 256, 256), (0, 300, 256, 256), (0, 700, 256, 256), (0, 1000, 256, 256), (3, 1500, 256, 256)]

    catalog, _ = assign_split(make_catalog(windows), NOTHING, SplitSettings(block_partitions=1))

    assert least_gap(catalog) >= 256


@pytest.mark.parametrize("method", ["blocks", "legacy", "column"])
def test_overlapping_cells_share_no_pixel_across_splits_even_without_buffer(method):
    windows = [(r, c, 16, 16) for r in range(0, 80, 8) for c in range(0, 80, 8)]
    words = ["dev" if i % 7 == 0 else "train" for i in range(100)]

    settings = SplitSettings(method=method, buffer_partitions=0, block_partitions=2)
    catalog, _ = assign_split(make_catalog(windows, split=words), NOTHING, settings)

    assert not pixels(catalog, "train") & pixels(catalog, "dev")
    assert set(catalog.loc[~catalog["used"], "reason"]) == {"overlaps dev"}
    assert counts(catalog)["dev"] > 0


def test_legacy_draws_the_wanted_number_of_cells():
    catalog, notes = assign_split(make_catalog(square(10, 10)), NOTHING, SplitSettings(method="legacy"))

    assert counts(catalog) == {"train": 80, "dev": 20}
    assert "neighbouring partitions" in notes[0]


def test_the_column_of_an_imported_grid_is_kept():
    words = ["train", "val", "validate", "dev", ""]

    catalog, notes = assign_split(make_catalog(square(1, 5), split=words), NOTHING, SplitSettings(method="column"))

    assert catalog["split"].tolist() == ["train", "dev", "dev", "dev", ""]
    assert catalog["reason"].tolist()[-1] == "no split in the grid"
    assert any("the grid's val, validate is dev here" in note for note in notes)


def test_a_grid_that_holds_back_test_alone_has_it_as_dev():
    catalog, _ = assign_split(
        make_catalog(square(1, 2), split=["train", "test"]), NOTHING, SplitSettings(method="column")
    )

    assert catalog["split"].tolist() == ["train", "dev"]


@pytest.mark.parametrize("words", [["train", "val", "test", "val"], ["train", "dev", "testing"], ["valid", "test"]])
def test_a_third_split_is_refused_with_the_cells_of_each(words):
    catalog = make_catalog(square(1, len(words)), split=words)
    # A cell that is not used is part of the grid's split nevertheless.
    catalog.loc[len(words) - 1, ["used", "reason"]] = [False, "no glacier"]

    with pytest.raises(InputError) as refused:
        assign_split(catalog, NOTHING, SplitSettings(method="column"))

    for word in words:
        assert f"{word} ({words.count(word)})" in refused.value.what
    assert refused.value.where == "split.method = column"


def test_a_third_split_is_of_no_matter_where_the_column_is_not_asked():
    catalog = make_catalog(square(4, 4), split=["train", "val", "test", ""] * 4)

    assert set(assign_split(catalog, NOTHING, SplitSettings(method="legacy"))[0]["split"]) == {"train", "dev"}


@pytest.mark.parametrize(("words", "message"), [(["a", "train"], "holds a"), (["", ""], "gives no partition a split")])
def test_a_column_that_names_no_split_is_refused(words, message):
    with pytest.raises(InputError, match=message):
        assign_split(make_catalog(square(1, 2), split=words), NOTHING, SplitSettings(method="column"))


def test_the_audit_measures_what_is_there():
    catalog = make_catalog(
        [(0, 0, 10, 10), (0, 5, 10, 10), (0, 8, 10, 10), (40, 0, 10, 10)], split=["train", "dev", "dev", "train"]
    )
    joined = join({"a": ["p0000", "p0001"], "b": ["p0003"], "c": ["p0001", "p0002"]})

    audit = audit_split(catalog, joined)

    assert audit["shared_pixels"] == len(pixels(catalog, "train") & pixels(catalog, "dev")) == 50
    assert audit["shared_glaciers"] == ["a"]
    assert (audit["least_distance_px"], audit["least_distance_m"]) == (0.0, 0.0)
    assert (audit["n_train"], audit["n_dev"], audit["n_unused"], audit["dev_share"]) == (2, 2, 0, 0.5)


def test_the_audit_measures_distance_along_the_diagonal():
    catalog = make_catalog([(0, 0, 10, 10), (13, 14, 10, 10)], split=["train", "dev"])

    audit = audit_split(catalog, NOTHING)

    assert (audit["least_distance_px"], audit["least_distance_m"]) == (5.0, 150.0)


def test_unused_partitions_do_not_count_in_the_audit():
    catalog = make_catalog(square(1, 3), split=["train", "dev", ""])
    catalog.loc[2, ["used", "reason"]] = [False, "buffer"]

    assert audit_split(catalog, NOTHING)["unused"] == {"buffer": 1}
