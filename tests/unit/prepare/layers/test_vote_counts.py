"""Ice of the votes outside all outlines is counted, and told if the label loses much of it."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.windows import from_bounds

from gcn_luigi.config import load_region
from gcn_luigi.prepare.layers.vote_counts import VoteCounts, share_outside, vote_warnings
from gcn_luigi.settings import LabelSettings


def label(**keys):
    return LabelSettings(stem="votes.tif", **keys)


def test_pixels_are_counted_by_hand_and_missing_votes_do_not_count():
    counts = VoteCounts()
    inside = np.array([[True, True, False], [False, False, False]])
    is_ice = np.array([[True, False, True], [True, True, False]])
    missing = np.array([[False, False, False], [True, False, False]])

    counts.add(inside, is_ice, missing)
    counts.add(inside[:1], is_ice[:1], missing[:1])

    assert counts.as_dict() == {"ice_pixels_inside": 2, "ice_pixels_outside": 3, "notes": []}


@pytest.mark.parametrize(("outside", "is_told"), [(5, False), (6, True), (100, True), (0, False)])
def test_more_than_a_twentieth_outside_is_told_with_the_key(outside, is_told):
    notes = {"ice_pixels_inside": 100 - outside, "ice_pixels_outside": outside, "notes": []}

    told = list(vote_warnings(notes, label(min_votes=3)))

    assert len(told) == is_told
    assert all(f"{outside}% of the pixels with 3 votes" in one and "[label] ice_outside" in one for one in told)


@pytest.mark.parametrize("choice", ["none", "ignore", "ice"])
def test_who_chose_what_becomes_of_this_ice_is_not_warned(choice):
    notes = {"ice_pixels_inside": 1, "ice_pixels_outside": 1}

    assert list(vote_warnings(notes, label(ice_outside=choice))) == []


@pytest.mark.parametrize("notes", [{}, {"debris_pixels_outside": 9, "notes": []}])
def test_a_label_without_votes_has_no_share(notes):
    assert share_outside(notes) is None
    assert list(vote_warnings(notes, label())) == []


def test_the_build_counts_what_its_label_shows(tiny_root, small_output):
    told = json.loads((small_output / "label.json").read_text(encoding="utf-8"))
    region = load_region(tiny_root / "config/tiny.toml", tiny_root / "input")
    settings = region.settings.label
    with rasterio.open(small_output / "label.tif") as made:
        values, bounds = made.read(1), made.bounds
    with rasterio.open(region.root / settings.stem) as votes:
        window = from_bounds(*bounds, votes.transform)
        given = votes.read(1, window=window, boundless=True, fill_value=votes.nodata)
        is_ice = (given >= settings.min_votes) & (given != votes.nodata)

    assert told["ice_pixels_inside"] == int((values == 2).sum()) > 0
    assert told["ice_pixels_outside"] == int((is_ice & (values == 0)).sum()) > 0
