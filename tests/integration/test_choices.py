"""Choices of label, distance and cells that differ from the defaults, through the tasks that make them."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from scipy import ndimage

from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.tasks import ClassLabel, DistanceRaster, PartitionCatalog, PartitionGrid, YearStack
from tests.integration.builds import build_inline, changed_config, dataset, small_config


def _made(tmp_path, small_world, task, *replacements, **parameters):
    """Build one task of the small region; return its layout and the families that ran."""
    root = dataset("small", tmp_path / "out", small_world, small_config(tmp_path / "config", "small", *replacements))
    ran = build_inline(root.clone(task, **parameters))
    return root.paths, {name.split("(")[0] for name in ran}


def _pixels(path):
    with rasterio.open(path) as source:
        return source.read(1)


@pytest.mark.parametrize(("unit", "edge"), [("m", 30.0), ("px", 1.0)])
def test_distances_from_the_label_are_measured_to_its_glacier_pixels(tmp_path, small_world, unit, edge):
    # 950 m are 31.67 px: the cap is hit, and differs from whole pixels.
    keys = f'enabled = true\nsource = "label"\nunit = "{unit}"'
    paths, ran = _made(
        tmp_path, small_world, DistanceRaster, ("enabled = true", keys), ("max_m = 10000", "max_m = 950")
    )

    label = _pixels(paths.label)
    whole = ndimage.distance_transform_edt((label != 1) & (label != 2)) * edge
    cap = 950 / 30 * edge

    assert "gcn.ClassLabel" in ran
    np.testing.assert_array_equal(_pixels(paths.distance), np.rint(np.minimum(whole, cap)))
    assert (whole > cap).any()


def test_distances_from_outlines_need_no_label_and_name_their_unit(tmp_path, small_world):
    paths, ran = _made(tmp_path, small_world, DistanceRaster, ("enabled = true", 'enabled = true\nunit = "px"'))
    metres, _ = _made(tmp_path / "metres", small_world, DistanceRaster)

    assert ran == {"gcn.TileInventory", "gcn.DistanceRaster"}
    pixels = _pixels(paths.distance)
    np.testing.assert_allclose(pixels * 30.0, _pixels(metres.distance), atol=15.5)
    assert pixels.max() > 5


def test_the_unit_of_the_distance_band_reaches_the_settings_of_the_stack(tmp_path, small_world):
    keys = 'enabled = true\nsource = "label"\nunit = "px"'
    paths, ran = _made(tmp_path, small_world, YearStack, ("enabled = true", keys), year=2008)
    root = dataset("small", tmp_path / "out", small_world, tmp_path / "config")

    assert root.configured.settings.schema_bands.bands[-1].unit == "px"
    assert {"gcn.ClassLabel", "gcn.DistanceRaster", "gcn.YearStack"} <= ran
    assert paths.stack(2008).is_file()


@pytest.mark.parametrize(("choice", "value"), [("ignore", 255), ("ice", 2)])
def test_ice_outside_the_outlines_follows_the_choice(tmp_path, small_world, choice, value):
    default, _ = _made(tmp_path / "default", small_world, ClassLabel)
    chosen, _ = _made(tmp_path, small_world, ClassLabel, ('ice_outside = "none"', f'ice_outside = "{choice}"'))
    before, after = _pixels(default.label), _pixels(chosen.label)
    with (
        rasterio.open(default.label) as label,
        rasterio.open(small_world / "stem/stem_2008_debris_free_ice_votes.tif") as stem,
    ):
        place = stem.window(*label.bounds).round()
        votes = stem.read(1, window=place, boundless=True, fill_value=stem.nodata)

    expected = np.where((before == 0) & (votes > 3), value, before)
    np.testing.assert_array_equal(after, expected)
    assert (after != before).any()


def test_cells_without_an_outline_are_used_up_to_a_distance(tmp_path, small_world):
    anywhere = ('no_year = "skip"', "no_year = 2008")
    near = ('origin = "lattice"', 'origin = "lattice"\nmax_outline_distance_m = 200.0')
    paths, _ = _made(tmp_path / "all", small_world, PartitionCatalog, anywhere)
    limited, _ = _made(tmp_path / "near", small_world, PartitionCatalog, anywhere, near)
    unlimited, limited = read_geoparquet(paths.catalog), read_geoparquet(limited.catalog)

    far = limited["reason"] == "far from outlines"
    outlines = shapely.union_all(limited.geometry[limited["n_outlines"] > 0].to_numpy())

    assert far.any()
    assert (limited.loc[far, "n_outlines"] == 0).all()
    assert (unlimited["n_outlines"] == 0).any()
    assert not (unlimited["reason"] == "far from outlines").any()
    # A cell that is no neighbour of a cell with an outline is far in any case.
    apart = limited.geometry.distance(outlines) > 200.0
    assert (far | limited["reason"].isin(["outside the tiles"]))[apart].all()


def test_a_grid_between_pixels_is_cut_as_published_when_asked(tmp_path, columbia, columbia_bad):
    bad = columbia_bad / "grid_off_pixels" / "grid" / "grid_256px.gpkg"
    config = changed_config(
        tmp_path / "config", "columbia",
        ('path = "grid/grid_256px.gpkg"', f'path = "{bad.as_posix()}"\noff_lattice = "floor"'),
    )  # fmt: skip
    root = dataset("columbia", tmp_path / "out", columbia, config)

    build_inline(root.clone(PartitionGrid))

    notes = json.loads(root.paths.grid_notes.read_text())["notes"]
    assert len(notes) == 1
    assert notes[0].startswith("14 cells moved to the pixel edge to the north and west, by up to 0.")


def test_the_comparison_at_the_grids_own_size_is_about_its_own_cells(columbia_output):
    catalog = pd.read_parquet(columbia_output / "catalog.parquet", columns=["used", "split", "glacier_share"])
    found = json.loads((columbia_output / "grid_comparison.json").read_text())["256"]

    for split in ("train", "dev"):
        own = catalog[catalog["used"] & (catalog["split"] == split)]
        assert found[split]["n_cells"] == len(own) > 0
        assert found[split]["mean"] == pytest.approx(own["glacier_share"].mean(), abs=1e-12)
