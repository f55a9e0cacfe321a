"""Files found by a pattern, and the bands that are chosen in them."""

import pytest

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.inputs.patterns import BandChoice, PathPattern

BAND = Band("ndvi", Role.OPTICAL, "b_ndvi")
DEM = Band("dem", Role.TOPO, "dem")
YEARS = (2000, 2006, 2010)


@pytest.fixture
def root(tmp_path):
    """Return a directory with files of several shapes."""
    for path in (
        "composites/2000/S2_05VLH_ndvi.tif",
        "composites/2006/S2_05VLH_ndvi.tif",
        "composites/2006/S2_05VLJ_ndvi.tif",
        "composites/2006/S2_05VLJ_nbr.tif",
        "composites/2006/.S2_05VLJ_ndvi.tif",
        "composites/read me/S2_05VLJ_ndvi.tif",
        "export/all-0000000000-0000023296.tif",
        "export/all-0000000000-0000000000.tif",
        "export/all-0000000000-0000000000.tif.aux.xml",
        "seasons/2006/summer/2006_b_ndvi.tif",
        "seasons/2006/summer/2000_b_ndvi.tif",
        "a+b/(1).tif",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "composites/{year}/S2_{tile}_{name}.tif",
            [("2000", "05VLH", 2000), ("2006", "05VLH", 2006), ("2006", "05VLJ", 2006)],
        ),
        ("composites/2006/*_{tile}_{name}.tif", [("2006", "05VLH", None), ("2006", "05VLJ", None)]),
        ("composites/*/S2_05VLJ_{name}.tif", [("2006", "", None), ("read me", "", None)]),
        (
            "export/all-{tile}.tif",
            [("export", "0000000000-0000000000", None), ("export", "0000000000-0000023296", None)],
        ),
        # The same year twice.
        ("seasons/{year}/*/{year}_{suffix}.tif", [("2006", "", 2006)]),
        # Letters with a meaning in regular expressions.
        ("a+b/({tile}).tif", [("a+b", "1", None)]),
        ("a+b/(1).tif", [("a+b", "", None)]),
        ("composites/{year}/nothing_{tile}.tif", []),
        ("nowhere/{tile}.tif", []),
    ],
)
def test_the_files_that_fit_are_found_with_their_tile_and_year(root, text, found):
    matches = PathPattern(text, BAND).files(root)

    assert [
        (match.path.split("/")[-2 if "seasons" not in text else 1], match.tile, match.year) for match in matches
    ] == found
    assert all((root / match.path).is_file() for match in matches)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("/data/{year}.tif", "not a path below data_root"),
        ("../{year}.tif", "not a path below data_root"),
        ("", "not a path below data_root"),
        ("{band}.tif", "unknown placeholder {band}"),
        ("{year.tif", "a brace without its other one"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(text, named):
    with pytest.raises(ConfigError, match=r"bands\.path of ndvi") as refused:
        PathPattern(text, BAND)

    assert named in refused.value.what
    assert "{tile}" in refused.value.fix


@pytest.mark.parametrize(
    ("band", "wanted", "year", "names", "numbers"),
    [
        # Tile trees and stacks of years: band k is the k-th year.
        (BAND, None, None, ["", "", ""], (1, 2, 3)),
        # One year a file: its only band, a band by name or suffix, by number, by description.
        (BAND, None, 2006, [""], (0, 1, 0)),
        (BAND, None, 2006, ["nbr", "NDVI"], (0, 2, 0)),
        (BAND, None, 2000, ["b_ndvi", "nbr"], (1, 0, 0)),
        (BAND, 2, 2010, ["", "", ""], (0, 0, 2)),
        (BAND, "green index", 2006, ["red", "green index"], (0, 2, 0)),
        # All years in one file, in any order.
        (BAND, "{year}", None, ["2010", "2000", "summer 2006"], (2, 3, 1)),
        (BAND, "{name}_{year}", None, ["ndvi_2010", "nbr_2010", "ndvi_2000", "ndvi_2006"], (3, 4, 1)),
        (BAND, "{suffix} of {year}", 2006, ["b_ndvi of 2000", "b_ndvi of 2006"], (0, 2, 0)),
        (DEM, None, None, [""], (1,)),
        (DEM, None, None, ["slope", "dem"], (2,)),
        (DEM, 2, None, ["", ""], (2,)),
    ],
)
def test_the_band_is_chosen(band, wanted, year, names, numbers):
    assert BandChoice(band, wanted, YEARS).numbers(year, names, [{} for _ in names]) == numbers


@pytest.mark.parametrize(
    ("wanted", "year", "names", "why"),
    [
        (None, None, ["", ""], "has 2 bands, 3 expected"),
        (None, 2006, ["", ""], "has no bands described as b_ndvi or ndvi"),
        (None, 2006, ["ndvi", "b_ndvi"], "has 2 bands described as"),
        (4, 2006, ["", "", ""], "there is no band 4"),
        ("red", 2006, ["Red"], "has no bands described as red"),
        ("{year}", None, ["2000", "2006", "2007"], "has no bands described as year 2010"),
        ("{name}_{year}", None, ["ndvi_2000", "ndvi_2006"], "has no bands described as ndvi_2010"),
    ],
)
def test_a_band_that_is_not_there_or_not_unique_is_told(wanted, year, names, why):
    with pytest.raises(ValueError, match=why):
        BandChoice(BAND, wanted, YEARS).numbers(year, names, [{} for _ in names])
