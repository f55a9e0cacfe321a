"""The 29 broken inputs, each through the whole graph: a clear error, or a dataset that says what was done."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, changed_config, dataset, overlaid

# What the message must name: the file, tile or band, and what is wrong.
REFUSED = {
    "truncated_tif": ("optical/1125/ltsim_1125_nbr.tif", "cut short"),
    "corrupt_block": ("optical/1125/ltsim_1125_nbr.tif", "cannot be decoded"),
    # It decodes, to values out of range.
    "silent_garbage": ("optical/1125/ltsim_1125_nbr.tif", "outside -1000..1000, in 2006"),
    "zero_byte_tif": ("optical/1125/ltsim_1125_ndvi.tif", "0 bytes"),
    "html_instead_of_tif": ("optical/1125/ltsim_1125_ndvi.tif", "cannot be opened as a raster"),
    "wrong_crs": ("optical/1125/ltsim_1125_ndsi.tif", "EPSG:32606"),
    "no_crs": ("optical/1125/ltsim_1125_ndsi.tif", "no coordinate system"),
    "float32_unscaled": ("optical/1125/ltsim_1125_ndsi.tif", "float32"),
    "missing_band_file": ("1125", "tcw"),
    "missing_topo_tile": ("1125", "topo"),
    "half_pixel_shift": ("optical/1125/ltsim_1125_ndsi.tif", "pixel"),
    "flipped_south_up": ("optical/1125/ltsim_1125_ndvi.tif", "north"),
    "wrong_size": ("optical/1125/ltsim_1125_ndvi.tif", "297"),
    "missing_epoch_band": ("optical/1125/ltsim_1125_nbr.tif", "4 bands"),
    "dem_inf_and_overflow": ("topo/1125", "dem"),
    "duplicate_tile_id": ("optical/123", "0123"),
    "two_files_same_suffix": ("old_copy_nbr.tif", "nbr"),
    "empty_grid": ("grid/grid_256px.gpkg", "no row"),
    "grid_off_pixels": ("grid/grid_256px.gpkg", "pixel"),
    "grid_duplicate_label": ("grid/grid_256px.gpkg", "79945219"),
    "stem_other_grid": ("stem_2010_debris_free_ice_votes.tif", "pixel"),
}


# Regions that are built to the end.
SLOW = {
    "all_nodata_tile",
    "corrupt_block",
    "grid_cell_outside",
    "grid_year_without_epoch",
    "mixed_optical_nodata",
    "nan_nodata_dem",
    "no_nodata_tag",
    "rgi_bowtie_missing_dates",
    "silent_garbage",
}


def _each(cases: Iterable[str]) -> list[Any]:
    return [pytest.param(case, marks=pytest.mark.long) if case in SLOW else case for case in sorted(cases)]


def _cases(columbia_bad: Path) -> dict[str, dict[str, list[str]]]:
    cases: dict[str, dict[str, list[str]]] = json.loads((columbia_bad / "cases.json").read_text())
    return cases


@pytest.fixture
def build(columbia: Path, columbia_bad: Path, tmp_path: Path) -> Callable[..., Dataset]:
    """Return a function that builds Columbia with one case laid over it."""

    def build_case(case: str, *replacements: tuple[str, str]) -> Dataset:
        removed = _cases(columbia_bad)[case]["remove"]
        root = overlaid(columbia, columbia_bad / case, removed, tmp_path / "input")
        config = changed_config(tmp_path / "config", "columbia", *replacements)
        build_inline(dataset("columbia", tmp_path / "output", root, config))
        assert list(validate(tmp_path / "output" / "columbia")) == []
        return gcn_luigi.open_dataset(tmp_path / "output" / "columbia")

    return build_case


def test_every_case_has_a_test(columbia_bad):
    tested = {*REFUSED, *REPAIRED}

    assert set(_cases(columbia_bad)) == tested


@pytest.mark.parametrize("case", _each(REFUSED))
def test_a_bad_input_is_refused_by_name(build, case, tmp_path):
    with pytest.raises(GcnLuigiError) as refusal:
        build(case)

    text = str(refusal.value)
    for fragment in REFUSED[case]:
        assert fragment in text, text
    assert refusal.value.fix
    assert not (tmp_path / "output" / "columbia" / "dataset.json").exists()


def _nan_is_nodata(build):
    made = build("nan_nodata_dem")

    for split in ("train", "dev"):
        for chip in made.chips(split):
            assert (chip["image"][8][(chip["flags"] & 2) == 0] > -50).all()


def _a_missing_tag_changes_nothing(build, columbia_dataset):
    made = build("no_nodata_tag")

    assert made.statistics["bands"] == columbia_dataset.statistics["bands"]


def _a_foreign_tag_is_understood(build, columbia_dataset):
    made = build("mixed_optical_nodata")

    assert made.statistics["bands"] == columbia_dataset.statistics["bands"]


def _dropped_for_optical(made):
    return sum(counts["optical-missing"] for counts in made.statistics["chips"].values())


def _an_empty_tile_is_missing(build, columbia_dataset):
    made = build("all_nodata_tile")

    assert made.statistics["bands"]["ndvi"]["count"] < columbia_dataset.statistics["bands"]["ndvi"]["count"]
    more = _dropped_for_optical(made) - _dropped_for_optical(columbia_dataset)
    assert more > 0
    assert len(made.chip_table) + more == len(columbia_dataset.chip_table)
    assert (made.chip_table["valid_optical"] >= 0.5).all()


def _a_cell_elsewhere_is_not_used(build):
    made = build("grid_cell_outside")
    catalog = made.partition_table

    assert (catalog.loc[catalog["outside_share"] == 1, "reason"] == "outside the tiles").all()
    assert (catalog["outside_share"] == 1).any()


def _a_year_without_composite_takes_the_nearest(build):
    made = build("grid_year_without_epoch", ('rule = "nearest"', 'rule = "nearest"\nsource = "grid"'))
    asked = made.partition_table[made.partition_table["outline_year"] == 2003]

    assert len(asked) == 2
    assert set(asked["year"]) <= {2000, 2006}
    assert (asked["year_gap"] == 3).all()


def _broken_outlines_are_mended_and_noted(build):
    made = build("rgi_bowtie_missing_dates", ("\n[outlines]\n", '\n[outlines]\non_unusable = "skip"\n'))
    notes = json.loads((made.paths.split_audit).read_text())["notes"]["outlines"]

    assert any("repaired" in note for note in notes)
    assert any("rows skipped, without geometry" in note for note in notes)
    assert made.partition_table["outline_year"].dropna().between(1900, 2100).all()
    assert set(made.partition_table.loc[~made.partition_table["used"], "reason"]) <= {
        "outside the tiles",
        "no dated outline",
        "year gap 7",
    }


def _a_real_invalid_outline_is_mended(build):
    made = build("rgi_real_invalid")
    notes = json.loads((made.paths.split_audit).read_text())["notes"]["outlines"]

    assert any("repaired" in note for note in notes)


REPAIRED = {
    "nan_nodata_dem": _nan_is_nodata,
    "no_nodata_tag": _a_missing_tag_changes_nothing,
    "mixed_optical_nodata": _a_foreign_tag_is_understood,
    "all_nodata_tile": _an_empty_tile_is_missing,
    "grid_cell_outside": _a_cell_elsewhere_is_not_used,
    "grid_year_without_epoch": _a_year_without_composite_takes_the_nearest,
    "rgi_bowtie_missing_dates": _broken_outlines_are_mended_and_noted,
    "rgi_real_invalid": _a_real_invalid_outline_is_mended,
}


@pytest.mark.parametrize("case", _each(REPAIRED))
def test_a_bad_input_is_mended_or_left_out_and_said(build, case, request):
    check = REPAIRED[case]
    extra = [request.getfixturevalue("columbia_dataset")] if check.__code__.co_argcount > 1 else []

    check(build, *extra)


@pytest.mark.long
def test_an_accepted_gap_is_recorded_and_stays_nodata(build):
    made = build("missing_band_file", ('topo = "topo"', 'topo = "topo"\non_missing = "gap"'))
    inventory = json.loads(made.paths.inventory.read_text())

    assert [(note["tile"], note["band"]) for note in inventory["missing"]] == [("1125", "tcw")]
    lost = [chip for split in ("train", "dev") for chip in made.chips(split) if np.any(chip["flags"] & 1)]
    assert lost


@pytest.mark.long
def test_wild_values_are_reported_where_no_checksum_betrays_them(columbia, columbia_bad, tmp_path):
    root = overlaid(columbia, columbia_bad / "silent_garbage", [], tmp_path / "input")
    path = root / "optical/1125/ltsim_1125_nbr.tif"
    with rasterio.open(path) as source:
        garbage, profile = source.read(), {**source.profile, "compress": "lzw"}
    with rasterio.open(path, "w", **profile) as target:
        target.write(garbage)

    build_inline(dataset("columbia", tmp_path / "output", root))

    made = gcn_luigi.open_dataset(tmp_path / "output" / "columbia")
    counted = json.loads(made.paths.tile_quality("nbr").read_text())
    wild = [row for row in counted["tiles"] if row["out_of_range"]]
    assert [(row["tile"], row["year"]) for row in wild] == [("1125", 2006)]
    assert "optical/1125/ltsim_1125_nbr.tif" in made.paths.readme.read_text()
    assert made.statistics["bands"]["nbr"]["min"] >= -1000
    assert made.statistics["bands"]["nbr"]["max"] <= 1000
