"""What is told about a dataset before anyone trains on it."""

import json
import shutil

import geopandas as gpd
import pytest

from gcn_luigi.io.index import read_geoparquet, write_geoparquet
from gcn_luigi.io.layout import Layout
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.warnings import dataset_warnings


@pytest.fixture
def found(small_output, tmp_path):
    """Return the settings and the files of a sound dataset from which warnings are made; these may be changed."""
    layout = Layout(tmp_path / small_output.name)
    shutil.copytree(small_output, layout.root)
    made_with = json.loads(layout.dataset.read_text(encoding="utf-8"))["configuration"]
    return RegionSettings.model_validate({**made_with, "data_root": "."}), layout


def edit(path, change):
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def set_in(path, **values):
    edit(path, lambda content: content.update(values))


def change_catalog(layout, change):
    catalog = read_geoparquet(layout.catalog)
    write_geoparquet(layout.catalog, gpd.GeoDataFrame(change(catalog), crs=catalog.crs))


def test_a_dataset_that_does_not_exist_says_nothing(found, tmp_path):
    assert dataset_warnings(found[0], Layout(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(("gap", "told"), [(0, "touch"), (31, "are 930 m apart, less than one chip")])
def test_a_dev_split_beside_train_is_told(found, gap, told):
    settings, layout = found
    set_in(layout.split_audit, least_distance_px=gap, least_distance_m=gap * 30.0)

    assert [line for line in dataset_warnings(settings, layout) if f"train and dev {told}" in line]


def test_splits_that_are_a_chip_apart_are_not_told(found):
    settings, layout = found
    set_in(layout.split_audit, least_distance_px=settings.chips.size, notes={"split": ["a note of another kind"]})

    assert dataset_warnings(settings, layout) == []


def test_smaller_blocks_than_asked_for_are_told(found):
    settings, layout = found
    note = (
        "the region is too small for blocks of 4 and a buffer of 1 partitions: blocks of 1 and a buffer of 0 are used"
    )
    edit(layout.split_audit, lambda content: content["notes"].update(split=[note]))

    assert note in dataset_warnings(settings, layout)


@pytest.mark.parametrize(("n_wild", "is_told"), [(11, True), (1, False)])
def test_a_band_with_many_pixels_out_of_range_is_told(found, n_wild, is_told):
    settings, layout = found
    band = settings.schema_bands.image[0].name
    set_in(layout.tile_quality(band), totals={"valid": 100 - n_wild, "missing": 50, "out_of_range": n_wild})

    told = [line for line in dataset_warnings(settings, layout) if f"band {band}: {n_wild}.0%" in line]

    assert bool(told) is is_told


def test_tiles_whose_pixels_look_missing_are_told(found):
    settings, layout = found
    band = settings.schema_bands.image[0].name
    row = {"tile": "1", "path": "optical/1/a.tif", "band": band, "year": 2004, "value": 0, "share": 0.3}
    set_in(layout.tile_quality(band), suspect=[{**row, "reason": "0 fills the northern edge", "is_error": True}])

    (told,) = (line for line in dataset_warnings(settings, layout) if "look missing" in line)

    assert "optical/1/a.tif: 0 fills the northern edge" in told


def test_outlines_elsewhere_are_told(found):
    settings, layout = found
    change_catalog(layout, lambda catalog: catalog.assign(n_outlines=0))

    assert [line for line in dataset_warnings(settings, layout) if line.startswith("no outline lies on any partition")]


def test_a_split_without_a_class_is_told(found):
    settings, layout = found

    def without(catalog):
        dev = (catalog["split"] == "dev").to_numpy(bool)
        return catalog.assign(share_debris=catalog["share_debris"].where(~dev, 0.0))

    change_catalog(layout, without)

    assert "dev has no pixel of class debris" in dataset_warnings(settings, layout)


def test_a_plan_and_a_run_tell_the_same_warnings(tmp_path, gcn):
    from tests.integration.commands import make_tiny  # noqa: PLC0415

    tiny = make_tiny(tmp_path, "tiny", ("block = 2", "block = 1"), ("buffer = 1", "buffer = 0"))
    places = ("--config-dir", tiny.config, "--data-root", tiny.sources, "--output", tmp_path / "out")

    code, out, _ = gcn("plan", "tiny", *places, "--quick", "--json")

    assert code == 0
    warnings = json.loads(out)["warnings"]
    assert [line for line in warnings if line.startswith("train and dev")]
    code, _, err = gcn("run", "tiny", *places, "--local-scheduler", "--workers", "1")
    assert code == 0
    assert set(warnings) <= {line.removeprefix("warning: ") for line in err.splitlines()}
