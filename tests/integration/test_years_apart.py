"""Composites and outlines that do not fit in time, through the catalog: what the build says, and which key decides."""

import pyogrio
import pytest
import rasterio

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.stages.dataset.warnings import dataset_warnings
from gcn_luigi.tasks import PartitionCatalog
from tests.integration.builds import build_inline, dataset
from tests.integration.changes import write_config
from tests.integration.commands import make_tiny


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return the tiny region, with outlines of other dates and composites of a single year beside its own."""
    tiny = make_tiny(tmp_path_factory.mktemp("world"))
    own = pyogrio.read_dataframe(tiny.sources / "rgi/outlines.gpkg")
    half = ["19800701" if place % 6 else "20070701" for place in range(len(own))]
    frames = {
        "old": own.assign(BgnDate="19800701"),
        "young": own.assign(BgnDate=["20200701", "20230701"] * (len(own) // 2) + ["20200701"] * (len(own) % 2)),
        "near": own.assign(BgnDate="20000701"),
        "mostly old": own.assign(BgnDate=half),
        "undated": own.drop(columns=["BgnDate", "EndDate"]),
    }
    for name, frame in frames.items():
        pyogrio.write_dataframe(frame, tiny.sources / f"rgi/{name}.gpkg", driver="GPKG")
    for source in tiny.sources.glob("optical/*/*_ndsi.tif"):
        with rasterio.open(source) as tile:
            profile = {**tile.profile, "count": 1}
            target = tiny.sources / "single" / f"{source.parent.name}.tif"
            target.parent.mkdir(exist_ok=True)
            with rasterio.open(target, "w", **profile) as single:
                single.write(tile.read(1), 1)
    return tiny


@pytest.fixture
def catalog(world, tmp_path):
    """Return a function that makes the catalog with keys changed; it returns the catalog and the warnings."""

    def make(changes):
        root = dataset(world.region, tmp_path / "out", world.sources, write_config(tmp_path / "config", world, changes))
        build_inline(root.clone(PartitionCatalog))
        return read_geoparquet(root.paths.catalog), dataset_warnings(root.configured.settings, root.paths)

    return make


def outlines(name):
    return {"outlines.path": f"rgi/{name}.gpkg"}


# One composite, of 2004, for each tile.
SINGLE = {
    "years": [2004],
    "bands": [
        {"name": "ndsi", "role": "optical", "path": "single/{tile}.tif"},
        {"name": "dem", "role": "topo", "suffix": "dem_cubic_temp"},
    ],
}
CASES = {
    "newer": (
        outlines("old"),
        ("are from 1980 and the composites are from 2004 and 2008, all newer than the outlines", "is 24 years away"),
        ("add composites nearer to 1980", "[year] max_gap_years = 24"),
    ),
    "older": (
        outlines("young"),
        ("are from 2020 to 2023 and the composites are from 2004 and 2008, all older", "12 to 15 years away"),
        ("add composites nearer to 2020 to 2023", "max_gap_years = 15 (12 admits the first cells)"),
    ),
    "single": (
        {**SINGLE, **outlines("old")},
        ("the only composite is from 2004, newer than the outlines", "max_gap_years allows 5"),
        ("max_gap_years = 24",),
    ),
    "legacy": (
        {**outlines("near"), "year.rule": "legacy"},
        ('rule = "legacy" needs composites of 2000', "the composites are from 2004 and 2008"),
        ('use [year] rule = "nearest", or add these composites',),
    ),
    "no column of dates": (
        outlines("undated"),
        ("cells have no date: no column of dates is known among: RGIId, GLIMSId,",),
        ("name the column of dates in [outlines] date_field", 'date_field = "none" and set [year] no_year = 2008'),
    ),
    "declared": (
        {**outlines("undated"), "outlines.date_field": "none"},
        ("the outlines of 14 cells have no date",),
        ("set [year] no_year = 2008, the composite for cells without a date (or another of years: 2004 and 2008)",),
    ),
    "declared, single": (
        {**SINGLE, **outlines("undated"), "outlines.date_field": "none"},
        ("have no date",),
        ("set [year] no_year = 2004, the composite for cells without a date;",),
    ),
    "grid": (
        {"year.source": "grid"},
        ("the grid gives no year for 14 cells",),
        ("fill the column year of the grid", 'set [year] source = "outlines"', "no_year = 2008"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_build_that_no_composite_fits_says_years_gaps_and_the_key(catalog, case):
    changes, facts, fixes = CASES[case]

    with pytest.raises(ConfigError, match="no partition can be used: 14 x ") as caught:
        catalog(changes)

    for text in facts:
        assert text in caught.value.what
    for text in fixes:
        assert text in caught.value.fix


@pytest.mark.parametrize(
    ("changes", "year", "gap"),
    [
        ({**outlines("old"), "year.max_gap_years": 24}, 2004, 24),
        ({**outlines("young"), "year.max_gap_years": 15}, 2008, 15),
        ({**SINGLE, **outlines("old"), "year.max_gap_years": 24}, 2004, 24),
        ({**outlines("undated"), "outlines.date_field": "none", "year.no_year": 2008}, 2008, None),
        ({**SINGLE, **outlines("undated"), "outlines.date_field": "none", "year.no_year": 2004}, 2004, None),
        ({"year.source": "grid", "year.no_year": 2008}, 2008, None),
    ],
)
def test_the_key_that_the_message_names_makes_the_cells_usable(catalog, changes, year, gap):
    table, _ = catalog(changes)

    used = table[table["used"]]
    assert len(used) >= 2
    assert set(used["year"]) == {year}
    assert used["year_gap"].max() == gap if gap else used["year_gap"].isna().all()


def test_most_cells_left_out_by_the_gap_are_a_warning(catalog):
    table, warnings = catalog({**outlines("mostly old"), "split.method": "legacy", "split.dev_share": 0.5})

    cells = table[table["n_outlines"] > 0]
    n_far = int((cells["reason"] == "year gap 24").sum())
    assert len(cells) / 2 < n_far < len(cells)
    (warning,) = [line for line in warnings if "not used" in line]
    assert warning.startswith(f"most partitions with an outline are not used, {n_far} of {len(cells)}: the outlines of")
    assert "1980" in warning
    assert "max_gap_years = 24" in warning


def test_images_newer_than_all_used_outlines_are_a_warning_although_they_are_within_the_gap(catalog):
    _, warnings = catalog(outlines("near"))

    (warning,) = [line for line in warnings if "different times" in line]
    assert "from 2000 and the composites are from 2004 and 2008, all newer than the outlines" in warning


def test_outlines_among_the_composites_are_no_warning(catalog):
    _, warnings = catalog({})

    assert not [line for line in warnings if "different times" in line or "not used" in line]


def test_a_choice_of_a_year_without_a_composite_names_the_composites(catalog):
    with pytest.raises(ConfigError, match=r"year\.no_year = 2007") as caught:
        catalog({"year.no_year": 2007})
    assert "2004, 2008" in caught.value.fix


def test_a_tree_of_one_year_needs_files_of_one_band(catalog):
    with pytest.raises(InputError, match=r"has 2 bands, 1 expected \(one\)"):
        catalog({"years": [2004]})
