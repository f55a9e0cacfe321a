"""[dataset], [sources] and [datasheet]: wrong names and numbers are refused, and what is not given leaves no trace."""

import pytest

from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError
from gcn_luigi.settings import RegionSettings

PLAIN = """
region = "alps"
data_root = "data"
years = [2000]
bands = [{name = "red", role = "optical"}, {name = "dem", role = "topo"}]
[outlines]
path = "outlines.gpkg"
[label]
stem = "votes.tif"
"""


@pytest.fixture
def load(tmp_path):
    """Return a function that loads a small region with more text at its end."""

    def give(text=""):
        (tmp_path / "alps.toml").write_text(PLAIN + text, encoding="utf-8")
        return load_region(tmp_path / "alps.toml").settings

    return give


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[dataset]\nlicence = "CC BY 4.0"', "dataset.licence: .*did you mean CC-BY-4.0"),
        ('[dataset]\nlicense = "MIT"', r"dataset.license is unknown \(did you mean licence\?\)"),
        ('[dataset]\ndoi = "https://doi.org/10.5281/x"', "dataset.doi: give the DOI alone"),
        ('[dataset]\nversion = "1.0"', "dataset.version: give three numbers"),
        ('[dataset]\nreleased = "2027-02-30"', "dataset.released: give a day"),
        ('[dataset]\nreleased = "20270301"', "dataset.released: give a day"),
        ('[dataset]\nurl = "example.org"', "dataset.url: give an address that begins with https://"),
        ('[dataset]\ncontact = "somebody"', "dataset.contact: give an address"),
        ('[dataset]\ntitle = " "', "dataset.title: says nothing"),
        ('[[dataset.creators]]\norcid = "0000-0002-1825-0097"', "give given_names and family_names"),
        ('[[dataset.creators]]\nname = "A"\nfamily_names = "B"\ngiven_names = "C"', "give given_names and"),
        ('[[dataset.creators]]\nfamily_names = "B"', "give given_names and family_names"),
        ('[[dataset.creators]]\nname = "A"\norcid = "0000-0002-1825-0098"', "its last character does not fit"),
        ('[[dataset.creators]]\nname = "A"\norcid = "1825-0097"', "give the ORCID alone"),
        ('[sources.outlnes]\ntitle = "RGI"', r"sources.outlnes is no kind of source \(did you mean outlines\?\)"),
        ('[sources.outlines]\nlicence = "MIT"', "sources.outlines.title is missing"),
        ('[sources.outlines]\ntitle = "RGI"\nlicence = "free"', "sources.outlines.licence: .*no licence of the SPDX"),
        ('[datasheet]\nuse = "Mapping"', r"datasheet.use is unknown \(did you mean uses\?\)"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_key(load, text, said):
    with pytest.raises(ConfigError, match=said):
        load(text)


@pytest.mark.parametrize("orcid", ["0000-0002-1825-0097", "0000-0002-1694-233X"])
def test_an_orcid_is_checked_by_its_last_character(load, orcid):
    settings = load(f'[[dataset.creators]]\ngiven_names = "J"\nfamily_names = "C"\norcid = "{orcid}"')

    assert settings.dataset.creators[0].orcid == orcid
    assert settings.dataset.creators[0].full_name == "J C"


def test_a_band_may_be_a_source_of_its_own(load):
    settings = load('[sources.red]\ntitle = "Another satellite"')

    assert settings.source_kinds == ("optical", "topo", "outlines", "label")
    assert settings.sources["red"].title == "Another satellite"


def test_what_is_not_given_leaves_no_trace(load):
    assert not {"dataset", "sources", "datasheet"} & load().model_dump(mode="json").keys()
    assert load("[dataset]\n[datasheet]\n").model_dump(mode="json") == load().model_dump(mode="json")


def test_what_is_given_comes_back_from_its_record(load):
    settings = load(
        '[dataset]\ntitle = "T"\nlicence = "cc0-1.0"\n[[dataset.creators]]\nname = "A"\n[sources.topo]\ntitle = "DEM"\n'
    )
    recorded = settings.model_dump(mode="json")

    assert recorded["dataset"] == {"title": "T", "creators": [{"name": "A"}], "licence": "CC0-1.0"}
    assert recorded["sources"] == {"topo": {"title": "DEM"}}
    assert RegionSettings.model_validate(recorded) == settings
