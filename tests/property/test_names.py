"""Whatever names look like, the pattern of a group finds the files of the group, with the same tiles and years."""

from hypothesis import example, given
from hypothesis import strategies as st

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.inputs.patterns import PathPattern
from gcn_luigi.survey.names import group_names

WORDS = st.sampled_from(
    ["kenai", "S2A", "S2B", "T06VUN", "T07VCH", "0123", "17", "v2", "10m", "ndvi", "B04", "SR", "x"]
)
YEARS = st.sampled_from(["2004", "2008", "20040716", "20080713T210519", "2008195"])
SIGNS = st.sampled_from(["_", "-", ".", "/"])
NAMES = st.lists(st.tuples(st.one_of(WORDS, YEARS), SIGNS), min_size=1, max_size=5)


def path(parts):
    return "".join(f"{word}{sign}" for word, sign in parts)[:-1] + ".tif"


@given(st.lists(NAMES.map(path), min_size=1, max_size=12))
@example(["S2A_17_x_2004.tif", "S2B_17_x_2008.tif", "S2A_18_x_2008.tif", "S2B_18_x_2004.tif"])
@example([f"{s}_{a}_{b}.tif" for s in ("LC08", "LC09") for a in ("066", "067") for b in ("017_2004", "018_2008")])
@example([f"{s}_{b}.tif" for s in ("LC08_066", "LC09_066", "LC08_067", "LC09_067") for b in ("017_2004", "018_2008")])
@example([f"{s}_{a}_{b}_{y}.tif" for s, y in (("L8", 2018), ("L9", 2022)) for a in ("06", "07") for b in ("17", "18")])
def test_the_pattern_of_a_group_finds_its_files(paths):
    groups = group_names(paths)

    assert sorted(file.path for group in groups for file in group.files) == sorted(set(paths))
    for group in groups:
        pattern = PathPattern(group.pattern, Band("any", Role.OPTICAL))
        for file in group.files:
            match = pattern.match(file.path)
            assert match is not None, (group.pattern, file.path)
            assert (match.tile, match.year) == (file.tile, file.year), (group.pattern, file.path)
