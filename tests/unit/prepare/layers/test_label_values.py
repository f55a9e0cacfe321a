"""Classes that have no pixel, and how cells that cannot be used are told."""

import re
import tomllib

import numpy as np
import pytest
from pydantic import ValidationError

from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.layers.label_values import (
    class_table,
    count_values,
    fractional_votes,
    reclassify,
    refuse_absent,
    refuse_percentages,
)
from gcn_luigi.prepare.partitions.catalog import count_reasons, remedy
from gcn_luigi.settings import LabelSettings
from gcn_luigi.tasks.partitions import PartitionCatalog
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny
from tests.reference.tile_tree import region


def counts_of(values):
    array = np.array([values], np.float64)
    return count_values([(array, np.isnan(array))], "label.tif")


def test_values_are_counted_over_all_planes_and_missing_ones_left_out():
    planes = [(np.array([[1, 2, 9]]), np.array([[False, False, True]])), (np.array([[2]]), np.array([[False]]))]

    assert count_values(planes, "label.tif") == {1.0: 1, 2.0: 2}


def test_the_documented_coding_needs_no_map():
    table = class_table(counts_of([0, 1, 2, 255]), {}, (), "label.tif")

    label = reclassify(np.array([[2, 0, 255, 1, 77]]), np.array([[False, False, False, False, True]]), table)

    assert label.tolist() == [[2, 0, 255, 1, 255]]
    assert label.dtype == np.uint8


@pytest.mark.parametrize("value", [3, -1, 256])
def test_values_without_a_class_are_refused_with_their_number(value):
    with pytest.raises(InputError, match=rf"other than 0, 1, 2, 255: {value} \(2 pixels\)") as caught:
        class_table(counts_of([0, 1, 2, value, value]), {}, (), "label.tif")
    assert caught.value.where == "label.tif"


def test_a_value_that_the_map_lacks_is_refused_and_the_map_completed():
    with pytest.raises(InputError, match=r"other than 0, 1: 2 \(1 pixels\)") as caught:
        class_table(counts_of([0, 1, 2]), {"0": "none", "1": "ice"}, (), "label.tif")
    assert '"1" = "ice"' in caught.value.fix


def test_a_map_may_say_what_the_documented_values_say():
    identity = {"0": "none", "1": "debris", "2": "ice", "255": "ignore"}

    assert class_table(counts_of([0, 1]), identity, (), "label.tif").tolist() == [[0, 0], [1, 1], [2, 2], [255, 255]]


@pytest.mark.parametrize("key", ["01", "-0", "1.0", "+1", " 1", "\N{ARABIC-INDIC DIGIT ONE}", "x", ""])
def test_a_value_of_the_map_is_written_in_one_way(key):
    """Otherwise "1" and "01" could give one value two meanings."""
    with pytest.raises(ValidationError, match="classes"):
        LabelSettings(raster="label.tif", classes={key: "ice"})

    assert LabelSettings(raster="label.tif", classes={"-1": "ice", "0": "none", "10": "debris"}).classes["-1"] == "ice"


@pytest.mark.parametrize(("most", "min_votes"), [(7, 4), (15, 1), (50, 1), (100, 51), (100, 11), (39, 4)])
def test_votes_of_a_plausible_range_pass(most, min_votes):
    refuse_percentages(most, min_votes, "votes.tif")


@pytest.mark.parametrize(
    ("counts", "lacking"),
    [((10, 5, 0, 1), "ice"), ((10, 0, 5, 1), "debris"), ((0, 5, 5, 1), "none"), ((10, 0, 0, 1), "debris or ice")],
)
def test_a_class_without_a_pixel_is_refused_unless_it_may_be_absent(counts, lacking):
    array = np.array(counts, np.int64)
    with pytest.raises(ConfigError, match=f"has a pixel of class {lacking}") as caught:
        refuse_absent(array, (), source="votes", region="here")
    assert "allow_absent" in caught.value.fix

    refuse_absent(array, tuple(lacking.split(" or ")), source="votes", region="here")


def test_the_reason_that_takes_most_cells_decides_the_remedy():
    reasons = ["year gap 7", "year gap 9", "year gap 9", "outside the tiles", "outside the tiles", ""]

    assert count_reasons(reasons) == "3 x year gap, 2 x outside the tiles"
    assert remedy(reasons).startswith("raise [year] max_gap_years")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        # No pixel of the tiny world has so many votes.
        (("min_votes = 4", "min_votes = 91"), "has a pixel of class ice"),
        (("min_votes = 4", "min_votes = 0"), "has a pixel of class debris"),
    ],
)
def test_a_build_without_a_class_stops_at_its_catalog(tmp_path, change, told):
    tiny = make_tiny(tmp_path, "tiny", change)
    catalog = dataset(tiny.region, tmp_path / "out", tiny.sources, tiny.config).clone(PartitionCatalog)

    with pytest.raises(ConfigError, match=told):
        build_inline(catalog)

    assert not catalog.paths.catalog.exists()
    path = tiny.config / "tiny.toml"
    absent = 'allow_absent = ["ice"]' if "ice" in told else 'allow_absent = ["debris"]'
    path.write_text(path.read_text().replace("[label]", f"[label]\n{absent}"))
    assert load_region(path).settings.label.allow_absent
    build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, tiny.config).clone(PartitionCatalog))


@pytest.mark.parametrize(
    "values", [[0, 1], [0, 255], [0, 1, 255], [1, 2], [0, 2], [0, 2, 255], [1, 255], [255], [0], [0, 100], [3, 4, 5]]
)
def test_the_remedy_lists_every_value_and_guesses_no_meaning(values):
    """A map that can be copied without thought would be taken as it is."""
    with pytest.raises(InputError) as caught:
        class_table(counts_of(values), {}, (), "label.tif")

    (shown,) = re.findall(r"classes = (\{.*?\})", caught.value.fix)
    told = tomllib.loads(f"classes = {shown}")["classes"]
    assert told == {str(value): "..." for value in values}
    with pytest.raises(ValidationError):
        region(label={"raster": "label.tif", "classes": told})


def test_a_value_that_cannot_be_a_key_is_no_class():
    with pytest.raises(InputError, match="1e\\+300") as caught:
        class_table(counts_of([0, 1, 2, 1e300]), {}, (), "label.tif")
    assert "nodata" in caught.value.fix


@pytest.mark.parametrize(("most", "is_share"), [(1.0, True), (np.float32(1) + np.float32(1e-6), True), (1.25, False)])
def test_fractions_up_to_one_look_like_shares_and_no_others_do(most, is_share):
    whole, broken = np.array([[0.0, 1.0]]), np.array([[0.25, most]])
    planes = [(values, np.isnan(values)) for values in (whole, broken)]
    error = fractional_votes(planes, 4, "votes.tif")
    # The first plane has none, so the example is of the second.
    assert "of 4 pixels, for example 0.25" in str(error)
    assert ("like probabilities or shares" in str(error)) is is_share
