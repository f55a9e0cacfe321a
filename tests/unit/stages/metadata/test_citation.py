"""CITATION.cff and the header of the dataset card, with all keys, and with none."""

import pytest
import yaml

from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.metadata import words
from gcn_luigi.stages.metadata.citation import card_header, citation_text
from gcn_luigi.stages.metadata.facts import GAP

PERSON = {
    "given_names": "Josiah",
    "family_names": "Carberry",
    "orcid": "0000-0002-1825-0097",
    "affiliation": "Brown University",
}
FULL = {
    "dataset": {
        "title": "Glaciers: a test",
        "description": "Two\nlines.",
        "creators": [PERSON, {"name": "Survey of Ice"}],
        "licence": "cc-by-4.0",
        "doi": "10.5281/zenodo.1",
        "version": "1.2.3",
        "released": "2027-03-01",
        "keywords": ["ice"],
    },
    "sources": {
        "outlines": {
            "title": "RGI 6.0",
            "licence": "CC-BY-4.0",
            "attribution": "RGI Consortium (2017)",
            "doi": "10.7265/N5-RGI-60",
        },
        "optical": {"title": "Composites", "licence": "LicenseRef-mine", "url": "https://example.org/c"},
    },
}


def make(**changes):
    return RegionSettings.model_validate({
        "region": "alps",
        "data_root": "data",
        "years": [2000],
        "bands": [{"name": "red", "role": "optical"}],
        "outlines": {"path": "outlines.gpkg"},
        "label": {"stem": "votes.tif"},
        **changes,
    })  # fmt: skip


def test_a_citation_file_holds_what_is_said():
    content = yaml.safe_load(citation_text(make(**FULL)))

    assert content["authors"] == [
        {
            "family-names": "Carberry",
            "given-names": "Josiah",
            "orcid": "https://orcid.org/0000-0002-1825-0097",
            "affiliation": "Brown University",
        },
        {"name": "Survey of Ice"},
    ]
    assert content["license"] == "CC-BY-4.0"
    assert (content["doi"], content["version"], content["date-released"]) == ("10.5281/zenodo.1", "1.2.3", "2027-03-01")
    assert content["abstract"] == "Two\nlines."
    references = {reference["title"]: reference for reference in content["references"]}
    assert references["RGI 6.0"]["authors"] == [{"name": "RGI Consortium (2017)"}]
    # The format knows licences of the SPDX list alone.
    assert "license" not in references["Composites"]


def test_a_citation_file_without_authors_says_so():
    content = yaml.safe_load(citation_text(make()))

    assert content["authors"] == [{"name": f"{GAP}: creators"}]
    assert not {"doi", "license", "version", "date-released"} & content.keys()
    assert content["title"] == "alps: training chips of glacier ice and debris"


def test_a_sentence_says_how_to_cite():
    assert words.citation(make(**FULL).dataset, "Glaciers: a test") == (
        "Carberry, Josiah; Survey of Ice (2027): Glaciers: a test, version 1.2.3 [data set]. "
        "https://doi.org/10.5281/zenodo.1"
    )
    assert words.citation(make().dataset, "x") is None


@pytest.mark.parametrize(
    ("licence", "shown"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        (
            "OGL-UK-3.0",
            {
                "license": "other",
                "license_name": "ogl-uk-3.0",
                "license_link": "https://spdx.org/licenses/OGL-UK-3.0.html",
            },
        ),
        ("LicenseRef-mine", {"license": "other", "license_name": "licenseref-mine"}),
        (None, {}),
    ],
)
def test_the_card_names_the_licence_in_words_of_hugging_face(licence, shown):
    dataset = {} if licence is None else {"licence": licence}
    header = card_header(make(dataset=dataset), {"train": 4, "dev": 1})

    start, body, end = header.split("---\n")
    content = yaml.safe_load(body)
    assert (start, end) == ("", "")
    assert {key: value for key, value in content.items() if key.startswith("license")} == shown


@pytest.mark.parametrize(
    ("count", "size"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (500_000, "100K<n<1M"), (10**8, "n>10M")],
)
def test_the_card_says_how_many_chips_there_are(count, size):
    header = card_header(make(), {"train": count - 1, "dev": 1})

    assert yaml.safe_load(header.split("---\n")[1])["size_categories"] == [size]
