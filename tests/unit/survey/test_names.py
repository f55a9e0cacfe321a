"""Names that differ only in year, tile or what does not matter become one pattern, which finds the same files again."""

import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.inputs.patterns import PathPattern
from gcn_luigi.survey.names import group_names, merge_tiles, without_tile

TILES = ("0123", "0124")


@pytest.mark.parametrize(
    ("paths", "pattern", "band", "years", "tiles"),
    [
        (["composite_2004.tif", "composite_2008.tif"], "composite_{year}.tif", "", (2004, 2008), ()),
        (["2004/c_2004.tif", "2008/c_2008.tif"], "{year}/c_{year}.tif", "", (2004, 2008), ()),
        (["ndvi2004.tif", "ndvi2008.tif"], "ndvi{year}.tif", "ndvi", (2004, 2008), ()),
        (["comp_2003-2004.tif", "comp_2007-2008.tif"], "comp_*-{year}.tif", "", (2004, 2008), ()),
        (["2020-07-16_nbr.tif", "2018-08-02_nbr.tif"], "{year}-*-*_nbr.tif", "nbr", (2018, 2020), ()),
        (
            [f"optical/{t}/x_{t}_nbr.tif" for t in TILES],
            "optical/{tile}/x_{tile}_nbr.tif", "nbr", (), TILES,
        ),
        (
            [f"topo/{t}/x_{t}_dem_cubic_temp.tif" for t in TILES],
            "topo/{tile}/x_{tile}_dem_cubic_temp.tif", "dem", (), TILES,
        ),
        (
            [f"c_{y}-0000000000-{c:010d}.tif" for y in (2004, 2008) for c in (0, 23296)],
            "c_{year}-0000000000-{tile}.tif", "", (2004, 2008), ("0000000000", "0000023296"),
        ),
        (
            [f"c-{r:010d}-{c:010d}.tif" for r in (0, 23296) for c in (0, 23296)],
            "c-{tile}.tif", "", (), tuple(f"{r:010d}-{c:010d}" for r in (0, 23296) for c in (0, 23296)),
        ),
        (
            [f"T06VUN_{d}T211521_B02_10m.tif" for d in ("20200716", "20180702")],
            "T06VUN_{year}*_B02_10m.tif", "B02", (2018, 2020), (),
        ),
        (
            [f"{z}_{d}T211521_B8A_20m.jp2" for z in ("T06VUN", "T07VCH") for d in ("20200716", "20180702")],
            "{tile}_{year}*_B8A_20m.jp2", "B8A", (2018, 2020), ("T06VUN", "T07VCH"),
        ),
        (
            [f"HLS.S30.T06VUN.{d}T211521.v2.0.Fmask.tif" for d in ("2020198", "2018190")],
            "HLS.S30.T06VUN.{year}*.v2.0.Fmask.tif", "Fmask", (2018, 2020), (),
        ),
        (
            [f"LC0{d}_02_T1_SR_B4.TIF" for d in ("8_L2SP_066017_20180702_20230911", "9_L2SP_066017_20220716_20231012")],
            "*_L2SP_066017_{year}*_*_02_T1_SR_B4.TIF", "SR_B4", (2018, 2022), (),
        ),
        (
            [f"{r}_{c}_1_2_2m_v4.1_dem.tif" for r in (33, 34) for c in (10, 11)],
            "{tile}_1_2_2m_v4.1_dem.tif", "dem", (), ("33_10", "33_11", "34_10", "34_11"),
        ),
        (
            [f"Copernicus_DSM_COG_10_N{n}_00_W{w}_00_DEM.tif" for n in (60, 61) for w in (148, 149)],
            "Copernicus_DSM_COG_10_{tile}_00_DEM.tif", "DEM", (),
            ("N60_00_W148", "N60_00_W149", "N61_00_W148", "N61_00_W149"),
        ),
        (
            [f"LTV3_ndsi_07210920_{t}_11_20200416_ftv_nbr.tif" for t in ("1502", "1503")],
            "LTV3_ndsi_07210920_{tile}_11_{year}*_ftv_nbr.tif", "nbr", (2020,), ("1502", "1503"),
        ),
    ],
)  # fmt: skip
def test_a_group_of_names_has_one_pattern(paths, pattern, band, years, tiles, tmp_path):
    (group,) = group_names(paths)

    assert (group.pattern, group.band, group.years, group.tiles) == (pattern, band, years, tiles)
    # The reader of the build finds the same files, tiles and years.
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = PathPattern(group.pattern, Band("any", Role.OPTICAL)).files(tmp_path)
    assert [(match.path, match.tile, match.year) for match in found] == [
        (file.path, file.tile, file.year) for file in group.files
    ]


def test_bands_and_resolutions_keep_files_apart():
    paths = [f"T06VUN_2020_{band}_{size}m.tif" for band, size in (("B02", 10), ("B02", 20), ("B11", 20), ("SCL", 20))]

    groups = group_names(paths)

    assert [(group.band, group.ending) for group in groups] == [
        ("B02", "B02_10m"), ("B02", "B02_20m"), ("B11", "B11_20m"), ("SCL", "SCL_20m"),
    ]  # fmt: skip


def test_words_that_differ_are_tiles_on_request():
    groups = group_names([f"{place}_{year}_ndvi.tif" for place in ("kenai", "juneau") for year in (2004, 2008)])
    assert len(groups) == 2

    merged = merge_tiles(groups)

    assert (merged.pattern, merged.tiles, merged.years) == ("{tile}_{year}_ndvi.tif", ("juneau", "kenai"), (2004, 2008))
    assert merge_tiles(group_names(["a_2004.tif", "b_c_2004.tif"])) is None
    assert merge_tiles(groups[:1]) is None


def test_what_was_taken_for_a_tile_may_not_matter():
    (group,) = group_names(["ndvi_101.tif", "ndvi_202.tif"])
    assert group.tiles == ("101", "202")

    assert without_tile(group).pattern == "ndvi_*.tif"
    assert without_tile(group).is_repeated
