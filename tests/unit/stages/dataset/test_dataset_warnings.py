"""What a person should know before training is told: once, in plain sentences, and only where it is so."""

import json
import shutil

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.prepare.outlines.overlaps import note_overlaps
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.settings import RegionSettings, SplitSettings
from gcn_luigi.stages.dataset.warnings import dataset_warnings
from tests.integration.commands import make_tiny


@pytest.fixture(scope="module")
def settings(small_output):
    made_with = json.loads((small_output / "dataset.json").read_text(encoding="utf-8"))["configuration"]
    return RegionSettings.model_validate({**made_with, "data_root": "."})


@pytest.fixture
def paths(small_output, tmp_path):
    """Return a copy of the files that warnings are gathered from."""
    copy = DatasetPaths(tmp_path / "copy")
    copy.root.mkdir()
    for name in ("split.json", "catalog.parquet", "inventory.json"):
        shutil.copyfile(small_output / name, copy.root / name)
    shutil.copytree(small_output / "tile_quality", copy.root / "tile_quality")
    return copy


def change_json(path, change):
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def change_catalog(paths, **columns):
    catalog = gpd.read_parquet(paths.catalog)
    for name, value in columns.items():
        catalog[name] = value(catalog) if callable(value) else value
    catalog.to_parquet(paths.catalog)


def test_a_sound_dataset_gives_none(settings, paths):
    assert dataset_warnings(settings, paths) == []


def test_files_that_are_not_there_say_nothing(settings, tmp_path):
    assert dataset_warnings(settings, DatasetPaths(tmp_path)) == []


def test_smaller_blocks_and_no_buffer_are_told_in_the_words_of_the_split(settings, paths):
    catalog = gpd.read_parquet(paths.catalog)
    # More than a region of this size can hold: the split itself says what it took instead.
    _, notes = assign_split(
        catalog,
        pd.DataFrame({"cell": [], "outline": [], "area_m2": []}),
        SplitSettings(block_partitions=64, buffer_partitions=9),
    )
    (note,) = [note for note in notes if "blocks of 64" in note]
    change_json(paths.split_audit, lambda audit: audit["notes"].update(split=notes))

    assert note in dataset_warnings(settings, paths)


@pytest.mark.parametrize(("gap", "told"), [(0, "touch"), (31, "less than one chip"), (32, ""), (None, "")])
def test_train_beside_dev_is_told_below_one_chip(settings, paths, gap, told):
    assert settings.chips.size == 32
    metres = None if gap is None else gap * 30.0
    change_json(paths.split_audit, lambda audit: audit.update(least_distance_px=gap, least_distance_m=metres))

    warnings = dataset_warnings(settings, paths)

    assert len(warnings) == bool(told)
    assert all("train and dev" in warning and told in warning for warning in warnings)


@pytest.mark.parametrize(("share", "is_told"), [(0.11, True), (0.009, False)])
def test_a_band_of_which_much_is_out_of_range_is_told_with_its_share(settings, paths, share, is_told):
    def spoil(quality):
        n_pixels = quality["totals"]["valid"] + quality["totals"]["out_of_range"]
        wild = round(n_pixels * share)
        quality["totals"].update(valid=n_pixels - wild, out_of_range=wild)

    change_json(paths.tile_quality("ndsi"), spoil)

    warnings = dataset_warnings(settings, paths)

    assert len(warnings) == is_told
    assert all("band ndsi: 11.0%" in warning and "valid_max" in warning for warning in warnings)


def test_outlines_that_lie_elsewhere_are_told(settings, paths):
    change_catalog(paths, n_outlines=0)

    (warning,) = dataset_warnings(settings, paths)

    assert "no outline lies on any partition" in warning


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_split_without_a_class_is_told(settings, paths, split):
    change_catalog(paths, share_debris=lambda table: table["share_debris"].where(table["split"] != split, 0.0))

    assert dataset_warnings(settings, paths) == [f"{split} has no pixel of class debris"]


def test_pixels_that_look_missing_are_told_once_a_band(settings, paths):
    said = {"reason": "0 forms the border", "is_error": True, "is_tag": False}
    suspect = [{"path": f"optical/{n}/x_ndsi.tif", **said} for n in range(300)]
    change_json(paths.tile_quality("ndsi"), lambda quality: quality.update(suspect=suspect))

    (warning,) = dataset_warnings(settings, paths)

    assert "300" in warning
    assert "optical/0/x_ndsi.tif: 0 forms the border" in warning


def test_flat_water_in_a_tile_with_a_tag_is_left_to_the_page(settings, paths):
    suspect = [{"path": "a.tif", "reason": "25.5% of its pixels hold 0", "is_error": False, "is_tag": False}]
    change_json(paths.tile_quality("ndsi"), lambda quality: quality.update(suspect=suspect))

    assert dataset_warnings(settings, paths) == []


def test_a_tag_that_is_a_legal_value_is_told(settings, paths):
    reason = "its nodata tag 0 lies within the band's valid range"
    suspect = [{"path": "a.tif", "reason": reason, "is_error": False, "is_tag": True}]
    change_json(paths.tile_quality("ndsi"), lambda quality: quality.update(suspect=suspect))

    (warning,) = dataset_warnings(settings, paths)

    assert warning.endswith(f"a.tif: {reason}")


def test_extents_of_two_years_are_told_without_the_list_of_names(settings, paths):
    two = gpd.GeoDataFrame(
        {"outline": ["a", "b"], "glacier": ["a", "b"], "year": pd.array([1999, 2013], dtype="Int64")},
        geometry=[shapely.box(0, 0, 9, 9), shapely.box(0, 0, 8, 8)],
    )
    (note,) = note_overlaps(two)
    assert note.endswith(": b on a")
    change_json(paths.split_audit, lambda audit: audit["notes"].update(outlines=[note]))

    (told,) = dataset_warnings(settings, paths)

    assert told == note.removesuffix(": b on a")


@pytest.mark.long
def test_a_plan_and_a_run_tell_the_same_warnings(tmp_path, gcn):
    tiny = make_tiny(
        tmp_path,
        "tiny",
        ("block_partitions = 2", "block_partitions = 1"),
        ("buffer_partitions = 1", "buffer_partitions = 0"),
    )
    places = ("--config-dir", tiny.config, "--data-root", tiny.sources, "--output", tmp_path / "out")

    code, out, _ = gcn("plan", "tiny", *places, "--quick", "--json")

    assert code == 0
    warnings = json.loads(out)["warnings"]
    assert [line for line in warnings if line.startswith("train and dev")]
    code, _, err = gcn("run", "tiny", *places, "--local-scheduler", "--workers", "1")
    assert code == 0
    assert set(warnings) <= {line.removeprefix("warning: ") for line in err.splitlines()}


@pytest.mark.parametrize(
    ("folds", "told"),
    [([0, 1, 2, None], []), ([0, 2, 2, None], ["fold 1 holds out no chip"]), ([0], ["folds 1, 2 hold out no chip"])],
)
def test_folds_without_a_chip_are_named(settings, paths, folds, told):
    pd.DataFrame({"fold": pd.array(folds, dtype="Int64")}).to_parquet(paths.index)
    folded = settings.model_copy(update={"split": settings.split.model_copy(update={"folds": 3})})

    found = [one.partition(":")[0] for one in dataset_warnings(folded, paths) if "fold" in one]

    assert found == told
