import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import geometry_mask
from rasterio.transform import Affine

from gcn_luigi.bands import Role
from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError, PublishError
from gcn_luigi.settings import RegionSettings
from gcn_luigi.synthetic import WorldSettings, is_written, make_demo, make_world, write_world
from gcn_luigi.synthetic.terrain import flow_tree
from gcn_luigi.synthetic.world import STEM_MARGINS
from gcn_luigi.synthetic.write import tile_windows

SMALL = WorldSettings(seed=8, shape=(320, 384), tiles=(2, 3), years=(2004, 2008, 2012))
REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def world():
    return make_world(SMALL)


@pytest.fixture(scope="module")
def root(world, tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "input"
    assert write_world(world, root) is True
    return root


def contents(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def inside(world):
    transform = Affine(*world.settings.lattice.transform)
    return ~geometry_mask(world.outlines.geometry, world.settings.shape, transform)


def votes_on_tiles(world):
    top, left, bottom, right = STEM_MARGINS
    return world.votes[top:-bottom, left:-right]


def test_the_same_settings_give_the_same_bytes(root, tmp_path):
    write_world(make_world(SMALL), tmp_path / "again")

    assert contents(tmp_path / "again") == contents(root)


def test_another_seed_gives_another_world(world):
    other = make_world(replace(SMALL, seed=9))

    assert not np.array_equal(other.topo["dem"], world.topo["dem"])
    assert not other.outlines.equals(world.outlines)


def test_writing_again_changes_nothing(world, root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}

    assert is_written(SMALL, root)
    assert write_world(world, root) is False
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_an_older_made_up_world_is_replaced(world, tmp_path):
    older = tmp_path / "input"
    older.mkdir()
    (older / "made.json").write_text("{}")
    (older / "stale.tif").write_text("old")

    assert write_world(world, older) is True
    assert not (older / "stale.tif").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["input"]


def test_a_directory_of_somebody_else_is_left_alone(world, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(PublishError, match="other content"):
        write_world(world, tmp_path)
    with pytest.raises(PublishError, match="other content"):
        make_demo(tmp_path, size="small")
    assert contents(tmp_path) == {"thesis.txt": hashlib.sha256(b"years of work").hexdigest()}


@pytest.mark.fault
def test_a_failed_write_publishes_nothing(world, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gcn_luigi.synthetic.write._write_outlines", full)

    with pytest.raises(PublishError, match="No space left"):
        write_world(world, tmp_path / "input")
    assert list(tmp_path.iterdir()) == []


def test_tiles_overlap_with_equal_values_and_cover_the_lattice(root):
    seen = np.full((len(SMALL.years), *SMALL.shape), 1, dtype=np.int32)
    covered = np.zeros(SMALL.shape, dtype=int)
    for tile, window in tile_windows(SMALL).items():
        with rasterio.open(root / "optical" / tile / f"made_{tile}_tcb.tif") as source:
            assert tuple(source.transform)[:6] == SMALL.lattice.crop(window).transform
            pixels = source.read()
        rows, cols = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
        known = covered[rows, cols] > 0
        np.testing.assert_array_equal(seen[:, rows, cols][:, known], pixels[:, known])
        seen[:, rows, cols] = pixels
        covered[rows, cols] += 1
    assert covered.min() == 1
    assert covered.max() == 4


def test_uneven_tiles_differ_by_one_pixel():
    windows = tile_windows(WorldSettings(shape=(200, 1001), tiles=(1, 3), overlap=0))

    assert [window.width for window in windows.values()] == [334, 333, 334]
    assert sum(window.width for window in windows.values()) == 1001


def test_the_first_tile_loses_its_zero_on_the_topo_side_only(root):
    assert [path.name for path in sorted((root / "optical").iterdir())] == [
        "0123",
        "0124",
        "0125",
        "1123",
        "1124",
        "1125",
    ]
    assert {path.name for path in (root / "topo").iterdir()} == {"123", "0124", "0125", "1123", "1124", "1125"}


def test_files_look_like_columbias(root, columbia):
    for mine, theirs in (
        ("optical/0124/made_0124_ndsi.tif", "optical/0124/ltsim_0124_ndsi.tif"),
        ("topo/123/made_123_dem_cubic_temp.tif", "topo/123/ltsim_123_dem_cubic_temp.tif"),
        ("topo/0124/made_0124_curvature_temp.tif", "topo/0124/ltsim_0124_curvature_temp.tif"),
        ("stem/stem_2008_debris_free_ice_votes.tif", "stem/stem_2010_debris_free_ice_votes.tif"),
    ):
        with rasterio.open(root / mine) as made, rasterio.open(columbia / theirs) as real:
            for key in ("driver", "dtype", "nodata", "crs", "tiled", "blockxsize", "interleave", "compress"):
                assert made.profile[key] == real.profile[key], (mine, key)
    made = gpd.read_file(root / "rgi/outlines.gpkg")
    real = gpd.read_file(columbia / "rgi/rgi60_study_area_epsg3338.gpkg", rows=1)
    assert set(real.columns) - {"simulated"} == set(made.columns)
    assert made.dtypes.to_dict() == {name: real.dtypes[name] for name in made.columns}


def test_bands_are_named_by_their_years(root):
    with rasterio.open(root / "optical/1125/made_1125_rmse.tif") as source:
        assert source.descriptions == ("2004", "2008", "2012")


def test_values_lie_in_the_ranges_that_the_demo_declares(world):
    settings = RegionSettings.model_validate(tomllib.loads((REPO / "config" / "demo.toml").read_text()))

    for band in (*settings.schema_bands.image, *settings.quality_bands):
        if band.role is Role.DISTANCE:
            continue
        values = world.topo[band.name] if band.role is Role.TOPO else world.optical[band.name]
        stored = values[values != band.nodata] * band.scale + band.offset
        assert band.valid_min <= stored.min() < stored.max() <= band.valid_max, band.name
        assert np.abs(stored).max() <= 32767


def test_the_demo_settings_describe_the_demo_world():
    settings = RegionSettings.model_validate(tomllib.loads((REPO / "config" / "demo.toml").read_text()))
    place = WorldSettings()

    assert settings.years == place.years
    assert (settings.lattice.crs, settings.lattice.pixel_size) == (place.crs, place.pixel_size)
    assert settings.label.stem == f"stem/stem_{place.stem_year}_debris_free_ice_votes.tif"
    assert len(settings.schema_bands.image) == 10
    assert load_region(REPO / "config" / "demo.toml").root == REPO / "output" / "demo-input"


def test_all_optical_bands_miss_the_same_pixels(world):
    gaps = [band == -32768 for band in world.optical.values()]

    for other in gaps[1:]:
        np.testing.assert_array_equal(gaps[0], other)
    share = gaps[0].mean(axis=(1, 2))
    assert ((share > 0) & (share < 0.1)).all()


def test_glaciers_shrink_and_debris_grows(world):
    years = SMALL.years
    area = [world.ice[year].sum() for year in years]
    covered = [(world.debris[year] > 0.5).sum() / world.ice[year].sum() for year in years]

    assert area == sorted(area, reverse=True)
    assert area[0] > area[-1]
    assert covered == sorted(covered)
    assert 0.08 < covered[0] < covered[-1] < 0.22


def test_glacier_spectra_tell_ice_from_debris(world):
    year = SMALL.years.index(2008)
    seen = world.optical["ndsi"][year] != -32768
    clean = world.ice[2008] & (world.debris[2008] < 0.05) & seen
    covered = (world.debris[2008] > 0.95) & seen

    assert np.median(world.optical["ndsi"][year][clean]) > 600
    assert np.median(world.optical["ndsi"][year][covered]) < 0


def test_votes_find_clean_ice_with_honest_mistakes(world):
    votes, glacier = votes_on_tiles(world), inside(world)
    clean = glacier & world.ice[2008] & (world.debris[2008] < 0.05) & (votes >= 0)
    covered = glacier & (world.debris[2008] > 0.95) & (votes >= 0)

    assert set(np.unique(world.votes)) == {-32768, *range(8)}
    assert 0.9 < (votes[clean] > 3).mean() < 1
    assert (votes[covered] > 3).mean() < 0.1
    # Late snow beside the glaciers.
    assert 0.005 < (votes[~glacier] > 3).mean() < 0.2


def test_outlines_follow_the_ice_of_their_own_date(world):
    stamps = world.outlines["BgnDate"]
    assert stamps.str.len().eq(8).all()
    assert stamps.str.endswith("9999").any()
    assert stamps.str[:4].nunique() > 2
    assert world.outlines.geometry.is_valid.all()

    glacier, first = inside(world), world.ice[2004]
    assert (glacier & ~first).sum() < 0.03 * glacier.sum()
    assert (glacier & world.ice[2012]).sum() > 0.9 * world.ice[2012].sum()


def test_outlines_overlap_by_slivers_at_most(world):
    shapes = world.outlines.geometry

    assert shapes.area.sum() - shapes.union_all().area < 0.002 * shapes.area.sum()


def test_the_sea_floor_lies_a_little_below_zero(world):
    heights = world.topo["dem"][world.topo["dem"] != -9999]

    assert -10 < heights.min() < 0
    assert heights.max() > 1000


@pytest.mark.parametrize("seed", [1, 2, 77])
def test_any_place_and_pixel_size_will_do(seed, tmp_path):
    settings = WorldSettings(
        seed=seed, shape=(200, 243), crs="EPSG:32606", pixel_size=10.0, left=5e5, top=6.8e6, years=(2019,), tiles=(1, 2)
    )

    made = make_world(settings)
    write_world(made, tmp_path / "utm")

    assert np.abs(made.topo["curvature"][made.topo["curvature"] != -9999]).max() < 300
    assert len(made.outlines) > 0
    with rasterio.open(tmp_path / "utm/optical/0123/made_0123_nbr.tif") as source:
        assert source.crs.to_epsg() == 32606
        assert source.res == (10.0, 10.0)
    assert gpd.read_file(tmp_path / "utm/rgi/outlines.gpkg").crs.to_epsg() == 32606


def test_the_same_glaciers_come_as_rgi7(root):
    six, seven = (gpd.read_file(root / "rgi" / name) for name in ("outlines.gpkg", "outlines_rgi7.gpkg"))

    assert {"rgi_id", "src_date"} <= set(seven.columns)
    assert (seven["src_date"].astype(str).str[:4] == six["BgnDate"].str[:4]).all()
    assert seven.geometry.geom_equals(six.geometry).all()


@pytest.mark.parametrize(
    "wrong",
    [{"shape": (100, 640)}, {"years": ()}, {"years": (2008, 2004)}, {"overlap": 300}, {"overlap": -1}],
)
def test_a_world_that_cannot_be_made_is_refused(wrong):
    with pytest.raises(ConfigError, match="cannot make a world of"):
        WorldSettings(**wrong)


def test_a_changed_marker_is_not_taken_for_the_same_world(world, tmp_path):
    write_world(world, tmp_path / "input")
    marker = tmp_path / "input" / "made.json"
    facts = json.loads(marker.read_text())
    marker.write_text(json.dumps({**facts, "recipe": -1}))

    assert not is_written(SMALL, tmp_path / "input")


def test_water_leaves_hollows_over_their_lowest_pass():
    heights = np.array([[9.0, 9.0, 9.0, 9.0], [0.0, 5.0, 1.0, 7.0], [9.0, 9.0, 9.0, 9.0]])
    outlets = np.zeros(heights.shape, dtype=bool)
    outlets[1, 0] = True

    tree = flow_tree(heights, outlets)

    hollow, the_pass, outlet = 6, 5, 4
    assert tree.parent[hollow] == the_pass
    assert tree.parent[the_pass] == outlet
    assert tree.gather(np.ones(12))[outlet] == 12
