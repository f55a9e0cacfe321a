"""What cannot be used in a TOML file is told in the words of the file, never in those of the library that checks it."""

import re

import pytest

from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError

PLAIN = """
region = "alps"
data_root = "../sources"
years = [2000, 2004]

[[bands]]
name = "red"
role = "optical"

[outlines]
path = "outlines.gpkg"

[label]
stem = "votes.tif"
"""
# Words of pydantic's.
FOREIGN = re.compile(
    r"[Ii]nput|valid |parse|pydantic|tuple|dictionary|instance|literal|constrained|\bmodel\b|character"
)


def told(tmp_path, text):
    path = tmp_path / "alps.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_region(path)
    assert caught.value.where == str(path)
    assert not FOREIGN.search(caught.value.what)
    return caught.value.what.partition("cannot be used: ")[2]


@pytest.mark.parametrize(
    ("years", "said"),
    [
        ("2008", "years: give a list such as [2008], not 2008"),
        ('"2008"', 'years: give a list such as [2008], not "2008"'),
        ("[]", "years: give a list of 1 or more values, not []"),
        ('[2000, "2004-2008"]', 'years, value 2: give a whole number, not "2004-2008"'),
        ("[2000.5]", "years, value 1: give a whole number, not 2000.5"),
        ("{ first = 2000 }", "years: give a list, not a table"),
        ("[2004, 2000]", "years must be in ascending order and unique"),
    ],
)
def test_years_are_told_with_what_to_write(tmp_path, years, said):
    assert told(tmp_path, PLAIN.replace("[2000, 2004]", years)) == said


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ('[split]\nmethod = "block"\n', 'split.method: give "blocks", "legacy" or "column" (did you mean blocks?)'),
        ("[split]\nseed = -1\n", "split.seed: give a number of at least 0, not -1"),
        ("[split]\ndev_share = 1.0\n", "split.dev_share: give a number below 1.0, not 1.0"),
        ("[chips]\nstep = 0\n", "chips.step: give a number of at least 1, not 0"),
        ("[chips]\nmin_glacier_share = 1.5\n", "chips.min_glacier_share: give a number of at most 1.0, not 1.5"),
        ("[grid]\nmax_outline_distance_m = 0\n", "grid.max_outline_distance_m: give a number above 0.0, not 0"),
        ('[chips]\nsize = "large"\n', 'chips.size: give a whole number, not "large"'),
        ('[chips]\nmin_valid_label_share = "half"\n', 'chips.min_valid_label_share: give a number, not "half"'),
        ("[lattice]\npixel_size = nan\n", "lattice.pixel_size: give a number, not NaN"),
        ("[lattice]\nbounds = [0, 0, 1]\n", "lattice.bounds, value 4 is missing"),
        ("[lattice]\nbounds = [0, 0, 1, 2, 3]\n", "lattice.bounds: give a list of 4 or fewer values"),
        ("[lattice]\ncrs = 3338\n", "lattice.crs: give a text in quotation marks, not 3338"),
        ('[year]\nno_year = "any"\n', 'year.no_year: give "skip" or a whole number, not "any"'),
        ("[chips]\nmin_share = 0.5\n", "chips.min_share: give a table of keys, not 0.5"),
        ("[chips]\nmin_share = { snow = 0.5 }\n", 'chips.min_share.snow: give "none", "debris" or "ice", not "snow"'),
        ('[chips]\ndensify = "yes"\n', "chips.densify: give true or false, without quotation marks, not 'yes'"),
        ("[distance]\nenabled = 0\n", "distance.enabled: give true or false, without quotation marks, not 0"),
        ('[tiles]\nexclude = "*x*"\n', 'tiles.exclude: give a list such as ["*x*"], not "*x*"'),
        ("[grid.size]\npixels = 3\n", "grid.size: give a whole number, not a table"),
    ],
)
def test_each_kind_of_value_is_told_with_what_is_taken(tmp_path, extra, said):
    assert told(tmp_path, PLAIN + extra).startswith(said)


def test_one_wrong_band_of_ten_is_one_line_that_names_it(tmp_path):
    bands = "".join(
        f'\n[[bands]]\nname = "b{place}"\nrole = "{"optic" if place == 5 else "optical"}"\n' for place in range(9)
    )

    said = told(tmp_path, PLAIN + bands)

    assert said == (
        '[[bands]] number 7 (b5): role: give "optical", "topo" or "quality" (did you mean optical?), not "optic"'
    )


@pytest.mark.parametrize(
    ("band", "said"),
    [
        ('role = "optical"', "[[bands]] number 2: name is missing"),
        ('name = "nir"', "[[bands]] number 2 (nir): role is missing"),
        ('name = 8\nrole = "topo"', "[[bands]] number 2: name: give a text in quotation marks, not 8"),
        (
            'name = "B 2"\nrole = "topo"',
            '[[bands]] number 2 (B 2): name: give 1 to 32 letters, digits, _ or -, a letter first, not "B 2"',
        ),
        ('name = "x"\nrole = "topo"\nnodata = 1.5', "[[bands]] number 2 (x): nodata: give a whole number, not 1.5"),
    ],
)
def test_a_band_is_named_by_its_place_and_its_name(tmp_path, band, said):
    assert told(tmp_path, f"{PLAIN}\n[[bands]]\n{band}\n") == said


def test_one_table_in_the_place_of_many_is_told(tmp_path):
    said = told(tmp_path, PLAIN.replace("[[bands]]", "[bands]"))

    assert said == "bands: give a table [[bands]], with two brackets, for each band, not a table"


@pytest.mark.parametrize("name", ["B02", "NDSI", "nbr", "Swir-1", "b_8A"])
def test_a_band_may_be_called_what_it_is_called(tmp_path, name):
    path = tmp_path / "alps.toml"
    path.write_text(PLAIN.replace('"red"', f'"{name}"'), encoding="utf-8")

    settings = load_region(path).settings

    assert settings.schema_bands.names == (name, "label")
    assert settings.bands[0].as_band().suffix == name


@pytest.mark.parametrize("other", ["RED", "Label"])
def test_names_that_differ_in_case_alone_are_refused(tmp_path, other):
    said = told(tmp_path, f'{PLAIN}\n[[bands]]\nname = "{other}"\nrole = "topo"\n')

    assert f"{other}, {other.lower()} is used twice (upper and lower case are the same)" in said


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_mark_that_an_editor_set_before_the_first_line_is_passed_over(tmp_path, end):
    path = tmp_path / "alps.toml"
    path.write_bytes(b"\xef\xbb\xbf" + PLAIN.strip().replace("\n", end).encode())

    assert load_region(path).settings.years == (2000, 2004)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_another_encoding_is_told_by_name(tmp_path, encoding):
    path = tmp_path / "alps.toml"
    mark = {"utf-16-be": b"\xfe\xff", "utf-16-le": b"\xff\xfe"}.get(encoding, b"")
    path.write_bytes(mark + PLAIN.encode(encoding))

    with pytest.raises(ConfigError, match="stored as UTF-16") as caught:
        load_region(path)

    assert "UTF-8" in caught.value.fix


@pytest.mark.parametrize("key", ["data_root", "path", "stem"])
def test_sources_in_a_store_are_refused_by_key(tmp_path, key):
    text = re.sub(rf'^{key} = ".*"', f'{key} = "s3://bucket/x"', PLAIN, flags=re.MULTILINE)
    (tmp_path / "alps.toml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match="is not on one") as caught:
        load_region(tmp_path / "alps.toml").check_sources()

    assert key in caught.value.where
