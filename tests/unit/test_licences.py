"""Licences: identifiers of the SPDX list in any case, terms of one's own, and hints at what was meant."""

import pytest

from gcn_luigi.licences import check_licence, hugging_face_licence, licence_url


@pytest.mark.parametrize(
    ("given", "found"),
    [("CC-BY-4.0", "CC-BY-4.0"), ("cc-by-4.0", "CC-BY-4.0"), ("LicenseRef-USGS", "LicenseRef-USGS"), ("0bsd", "0BSD")],
)
def test_a_licence_is_spelled_as_the_list_spells_it(given, found):
    assert check_licence(given) == found


@pytest.mark.parametrize(("given", "meant"), [("CC BY 4.0", "CC-BY-4.0"), ("ODBL", "ODbL-1.0"), ("CC0", "CC0-1.0")])
def test_a_misspelt_licence_is_refused_with_what_was_probably_meant(given, meant):
    with pytest.raises(ValueError, match=rf'"{given}" is no licence of the SPDX list \(did you mean .*{meant}'):
        check_licence(given)


@pytest.mark.parametrize("given", ["public domain", "", "MIT OR Apache-2.0", "LicenseRef-", "LicenseRef-two words"])
def test_what_is_no_single_licence_is_refused(given):
    with pytest.raises(ValueError, match="leave the key out if you do not know the licence"):
        check_licence(given)


def test_a_licence_has_a_page_and_terms_of_ones_own_the_given_one():
    assert licence_url("CC-BY-4.0", "https://example.org") == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert licence_url("LicenseRef-USGS", "https://example.org") == "https://example.org"
    assert licence_url("LicenseRef-USGS") is None


def test_hugging_face_has_words_of_its_own():
    names = ("CC-BY-4.0", "ODbL-1.0", "PDDL-1.0", "OGL-UK-3.0", "LicenseRef-USGS")

    assert [hugging_face_licence(name) for name in names] == ["cc-by-4.0", "odbl", "pddl", "other", "other"]
