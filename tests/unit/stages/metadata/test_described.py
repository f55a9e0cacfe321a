"""Descriptions of made-up facts: a third split, empty shards, a CRS without a code, and what the build measured."""

import json

import pandas as pd
import pyproj
import pystac.validation
import pytest
import shapely

from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.metadata import words
from gcn_luigi.stages.metadata.croissant import croissant_text
from gcn_luigi.stages.metadata.datasheet import datasheet_text
from gcn_luigi.stages.metadata.facts import GAP, Facts, shard_footprints, whole_box
from gcn_luigi.stages.metadata.stac import collection_text, item_text

TABLES = ("catalog.parquet", "index.parquet", "statistics.json")
SHARDS = ("dev-00000-of-00001.h5", "test-00000-of-00001.h5", "train-00000-of-00002.h5", "train-00001-of-00002.h5")
AUDIT = {"n_unused": 3, "shared_glaciers": [], "shared_pixels": 0, "least_distance_m": 7680.0}


def settings(**changes):
    return RegionSettings.model_validate({
        "region": "alps",
        "data_root": "data",
        "years": [2000, 2004, 2008],
        "bands": [{"name": "red", "role": "optical"}],
        "outlines": {"path": "outlines.gpkg"},
        "label": {"source": "outlines"},
        **changes,
    })  # fmt: skip


def facts(crs="EPSG:3338", audit=(), years=(2000, 2004, 2008), gap=2, **changes):
    """Return facts about three chips, one of each split; the second shard of train is empty."""
    rows = [
        {
            "split": name.split("-")[0],
            "shard": name,
            "partition": f"p{place}",
            "year": year,
            "year_gap": gap,
            "left": 3840.0 * place,
            "bottom": 1_000_000.0,
            "right": 3840.0 * (place + 1),
            "top": 1_003_840.0,
        }
        for place, (name, year) in enumerate(zip(SHARDS[:3], years, strict=True))
    ]
    paths = [*TABLES, *(f"shards/{name}" for name in SHARDS)]
    return Facts(
        settings=settings(**changes),
        files={path: ManifestEntry(path, 10, "ab" * 32) for path in paths},
        crs=crs,
        pixel_size=30.0,
        chips=pd.DataFrame(rows),
        n_partitions=6,
        columns={
            "index.parquet": {"chip_id": "string", "split": "large_string", "fold": "int64", "geometry": "binary"},
            "catalog.parquet": {"partition": "string"},
        },
        statistics={"classes": {"pixels": {"none": 90, "debris": 0, "ice": 10}}},
        audit={**AUDIT, **dict(audit)},
    )


def item(known, name):
    return json.loads(item_text(known, f"shards/{name}", shard_footprints(known)))


def sheet(known):
    return datasheet_text(known, whole_box(shard_footprints(known)))


def croissant(known):
    return json.loads(croissant_text(known, whole_box(shard_footprints(known))))


def test_train_comes_first_and_test_last():
    known = facts()

    assert known.splits == ("train", "dev", "test")
    assert [path.removeprefix("shards/") for path in known.shards] == [SHARDS[2], SHARDS[3], SHARDS[0], SHARDS[1]]
    assert known.summary.startswith("1 train, 1 dev and 1 test chips of 128 x 128 pixels in 1 bands")


@pytest.mark.parametrize(("place", "split"), [(0, "validate"), (1, "test"), (2, "train")])
def test_each_split_has_the_words_of_stac_and_croissant(place, split):
    known = facts()

    assert item(known, SHARDS[place])["properties"]["ml-aoi:split"] == split
    collection = json.loads(collection_text(known, shard_footprints(known)))
    assert collection["summaries"]["ml-aoi:split"] == ["test", "train", "validate"]
    (splits,) = (one for one in croissant(known)["recordSet"] if one["@id"] == "splits")
    assert [row["splits/url"] for row in splits["data"]] == ["cr:TrainingSplit", "cr:ValidationSplit", "cr:TestSplit"]


def test_an_empty_shard_has_an_item_without_a_place():
    content = item(facts(), SHARDS[3])

    assert content["geometry"] is None
    assert "bbox" not in content
    assert content["properties"]["gcn:chips"] == 0
    # It may hold any of the years.
    assert content["properties"]["start_datetime"] == "2000-01-01T00:00:00Z"
    assert content["properties"]["end_datetime"] == "2008-12-31T23:59:59Z"
    pystac.validation.validate_dict(content | {"stac_extensions": []})


def test_a_crs_without_a_code_is_given_as_text():
    wkt = pyproj.CRS.from_proj4("+proj=laea +lat_0=60 +lon_0=-150 +units=m").to_wkt()
    known = facts(crs=wkt)

    properties = item(known, SHARDS[2])["properties"]
    assert properties["proj:code"] is None
    assert properties["proj:wkt2"] == wkt
    assert "proj:code" not in json.loads(collection_text(known, shard_footprints(known)))["summaries"]
    assert wkt not in known.summary


def test_a_column_that_may_be_missing_is_a_field_and_a_geometry_is_none():
    (chips,) = (one for one in croissant(facts())["recordSet"] if one["@id"] == "chips")

    assert {field["name"]: field["dataType"] for field in chips["field"]} == {
        "chip_id": "sc:Text",
        "split": "sc:Text",
        "fold": "cr:Int64",
    }


@pytest.mark.parametrize(("years", "step"), [((2000, 2004, 2008), 4), ((2000, 2004, 2010), None), ((2000,) * 3, None)])
def test_only_years_at_equal_distances_have_a_resolution(years, step):
    content = croissant(facts(years=years))

    assert content.get("geocr:temporalResolution", {}).get("value") == step


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gap": -1}, "No outline has a date"),
        ({"gap": 2}, "up to 2 years apart"),
        ({"gap": 1}, "up to 1 year apart"),
        ({"audit": {"shared_glaciers": ["a"]}}, "1 glacier lies in more than one split"),
        ({"audit": {"shared_glaciers": ["a", "b"]}}, "2 glaciers lie in more than one split"),
        ({"audit": {"shared_pixels": 5}}, "The splits share 5 pixels."),
        ({}, "none 90.0%, debris 0.0%, ice 10.0%"),
    ],
)
def test_limits_are_what_the_build_measured(changes, said):
    assert said in " ".join(words.known_limits(facts(**changes)))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("nearest", "takes the composite whose year is closest"),
        ("all", "is cut from every composite that is close enough"),
    ],
)
def test_the_rule_of_the_years_is_told_as_it_is(rule, said):
    known = facts(year={"rule": rule})

    assert said in words.collection(known)
    times = "once for each year" if rule == "all" else "each once"
    assert f"Labelled pixels of the train split, {times}:" in sheet(known)


def test_a_dataset_without_topography_was_not_made_from_it():
    assert words.collection(facts()).startswith("The sources existed before: optical composites and glacier outlines.")


@pytest.mark.parametrize(
    ("mode", "fill", "edge", "label"),
    [
        ("strict", 0, "clamp", "255"),
        ("legacy", 0, "clamp", "0"),
        ("legacy", 0, "pad", "0 (255 beyond the edge of a partition)"),
        ("legacy", -1, "pad", "255"),
    ],
)
def test_what_stands_for_a_missing_label_depends_on_the_mode(mode, fill, edge, label):
    told = words.missing(settings(nodata={"mode": mode, "fill": fill}, chips={"edge": edge}))

    assert told.startswith(f"Missing pixels hold {fill} in the images and {label} in the label,")


def test_the_datasheet_tells_of_folds_and_of_what_goes_whole_into_a_split():
    split = {"folds": 5, "regions": "ranges.gpkg", "region_column": "name"}

    assert "made by the method `blocks`, which keeps regions whole" in sheet(facts(split=split))
    assert "5 folds of train and dev are for cross-validation; folds.csv lists them." in sheet(facts(split=split))
    assert "folds" not in sheet(facts())


def test_uncertain_labels_are_a_limit_that_the_build_measured():
    label = {"source": "outlines", "confidence": ["edge"], "min_confidence": 70}
    known = facts(label=label)
    found = {
        "none": {"pixels": 90, "uncertain": 9},
        "debris": {"pixels": 0, "uncertain": 0},
        "ice": {"pixels": 10, "uncertain": 5},
    }
    known.statistics["confidence"] = {"train": found}

    told = "Labels below 70% confidence are uncertain: of the labelled pixels of train, none 10.0%, debris 0.0%, ice 50"
    assert told in " ".join(words.known_limits(known))
    assert words.annotation(known.settings).endswith("says how sure it is, by the distance to outlines.")


def test_footprints_turn_counter_clockwise_as_geojson_asks():
    ring = shapely.geometry.shape(item(facts(), SHARDS[2])["geometry"]).exterior

    assert shapely.is_ccw(ring)


def test_what_is_sound_is_no_limit():
    said = " ".join(words.known_limits(facts(gap=0)))

    assert "apart" not in said
    assert "more than one split" not in said
    assert "share" not in said


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"stem": "votes.tif", "min_votes": 6}, "at least 6 votes is debris-free ice"),
        ({"raster": "label.tif"}, "The label is a raster that was given"),
        ({"source": "outlines"}, "from the outlines alone."),
        ({"source": "outlines", "debris_raster": "debris.tif"}, "from the outlines alone and a map of debris."),
    ],
)
def test_the_label_is_described_as_it_was_made(label, said):
    assert said in words.annotation(settings(label=label))


def test_the_datasheet_counts_its_gaps_and_names_each_source_that_is_read():
    known = facts(sources={"outlines": {"title": "RGI | 7", "doi": "10.5067/f6jmovy5navz"}, "label": {"title": "None"}})
    text = datasheet_text(known, [-150.0, 60.0, -149.0, 61.0])

    assert f"{text.count(GAP) - 1} answers are missing" in text
    assert r"| the glacier outlines | RGI \| 7 | " in text
    assert "`[sources.outlines] licence`" in text
    assert "https://doi.org/10.5067/f6jmovy5navz" in text
    # The label is made from outlines, so no other source of it is read.
    assert "| None |" not in text
    assert "between two of them is 7,680 m" in text


def test_answers_of_people_reach_croissant():
    said = {"uses": "Mapping.", "biases": "Few ponds.", "personal": "None.", "impact": "Low.", "maintenance": "Yearly."}
    content = croissant(facts(datasheet=said))

    assert content["rai:dataUseCases"] == ["Mapping."]
    assert content["rai:dataBiases"] == ["Few ponds."]
    assert content["rai:personalSensitiveInformation"] == ["None."]
    assert (content["rai:dataSocialImpact"], content["rai:dataReleaseMaintenancePlan"]) == ("Low.", "Yearly.")
    assert not {"rai:dataUseCases", "rai:dataBiases"} & croissant(facts()).keys()


def test_a_confidence_is_named_where_there_is_one():
    with_it = facts(label={"source": "outlines", "confidence": ["edge"]})

    for known, is_there in ((with_it, True), (facts(), False)):
        (chips,) = (one for one in croissant(known)["recordSet"] if one["@id"] == "chips")
        for text in (chips["description"], item(known, SHARDS[2])["assets"]["chips"]["description"]):
            assert ("The array confidence" in text) is is_there
