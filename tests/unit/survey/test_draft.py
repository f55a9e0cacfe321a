"""A draft becomes a TOML file in which guesses are marked and questions come first."""

import math
import tomllib

import pytest

from gcn_luigi.survey.draft import Draft, Line, Table, toml_value
from gcn_luigi.survey.words import role_of


def test_questions_come_first_and_guesses_are_marked():
    draft = Draft("kenai", title="Region kenai.", questions=["Which year? " * 30], unused=["odd.tif: unknown"])
    draft.tables.append(Table("", (Line("region", "kenai"), Line("years", [2004], "the year of most outlines"))))
    draft.tables.append(Table("[[bands]]", (Line("name", "n"), Line("offset", -0.2), Line("scale", 3.0, is_off=True))))

    text = draft.text()

    assert text.index("# Open questions:") < text.index("# Not used:") < text.index("region =")
    assert "years = [2004]  # guess: the year of most outlines\n" in text
    assert "# scale = 3\n" in text
    assert max(map(len, text.splitlines())) <= 110
    assert tomllib.loads(text) == {"region": "kenai", "years": [2004], "bands": [{"name": "n", "offset": -0.2}]}
    assert draft.n_guesses == 1


@pytest.mark.parametrize(
    "value", ["plain", 'say "so" \\', "Bj\u00f8rn", 7, -32768, 0.275, 1e-7, 1e22, [1, 2], ["a"], True, {"0": "none"}]
)
def test_a_value_is_read_back_as_it_was(value):
    read = tomllib.loads(f"value = {toml_value(value)}")["value"]

    assert read == value
    assert isinstance(read, type(value)) or math.isclose(read, value)


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("NDVI", "optical"), ("nbr2", "optical"), ("B8A", "optical"), ("SR_B4", "optical"), ("swir1", "optical"),
        ("DEM", "topo"), ("slope", "topo"), ("northness", "topo"), ("profile_curvature", "topo"),
        ("rmse", "quality"), ("QA_PIXEL", "quality"), ("Fmask", "quality"),
        ("kenai", ""), ("T06VUN", ""), ("composite", ""), ("band1", ""),
    ],
)  # fmt: skip
def test_a_known_word_has_a_role(word, role):
    assert role_of(word) == role
