"""The pages keep the rules of plain English that a program can check: CONTRIBUTING.md has all of them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# CONTRIBUTING.md and the glossary list words to avoid; the change log is written line by line.
PAGES = sorted({ROOT / "README.md", *DOCS.rglob("*.md")} - {DOCS / "glossary.md"})
COMMENTED = sorted([*ROOT.glob("config/*.toml"), *ROOT.glob("examples/*.toml"), ROOT / "luigi.cfg"])
# What one would not say to a colleague, and what to write instead.
AVOIDED = {
    r"\banew\b": "again, or rebuild",
    r"\bbeside\b": "next to",
    r"\bdear to\b": "expensive",
    r"\bhangs? on\b": "depends on",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(is|are|was|were) told\b(?! to\b)": "reported, with the place where one reads it",
    r"\bpass(es|ed) over\b": "ignore, or replace",
    r"\bstands? (in|there|behind|beside)\b": "is, or follows",
    r"\bcan be had\b": "is possible",
    r"\b(file|band|tile|chip|shard|task)s? a (tile|band|year|chip|shard|partition|task|split)\b": "per",
}


def prose(text: str) -> str:
    """Return a page without code and without what is made from the code."""
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    text = re.sub(r"^(`{3,}|:{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "", text)


def comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("#"))


def found(text: str) -> list[str]:
    """Return what to avoid in a text, each with a better word."""
    return [
        f"{match[0]}: write {better}"
        for avoided, better in AVOIDED.items()
        for match in re.finditer(avoided, text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_avoids_words_that_nobody_says(path):
    assert found(prose(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", COMMENTED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_comments_of_settings_avoid_them_too(path):
    assert found(comments(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "It is made anew.",
        "What a result hangs on stands in the sidecar.",
        "All problems are told at once.",
        "One directory a tile, one file a band.",
        "A glacier stays in one split where that can be had.",
    ],
)
def test_a_sentence_that_nobody_says_is_noticed(sentence):
    assert found(sentence)


def test_code_is_not_prose():
    assert found(prose("Call `stands in`.\n\n```sh\nmend\n```\n\n<!-- rooms -->\nanew\n<!-- /rooms -->\n")) == []


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "index.md"], ids=["README.md", "index.md"])
@pytest.mark.parametrize(
    ("short", "explained"),
    [
        ("HDF5", r"HDF5 \(Hierarchical Data Format\)"),
        ("STEM", r"spatiotemporal exploratory model\s\(STEM\)"),
        ("RGI", r"Randolph Glacier Inventory \(RGI\)"),
    ],
)
def test_an_abbreviation_is_explained_where_it_first_stands(page, short, explained):
    text = page.read_text(encoding="utf-8")
    first = re.search(rf"\b{short}\b", text)
    meaning = re.search(explained, text)

    assert first is not None
    assert meaning is not None
    assert meaning.start() <= first.start() < meaning.end()


def test_the_readme_says_what_the_package_is_for_and_shows_chips():
    opening = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]

    assert re.search(r"^gcn_luigi makes training data", opening, re.MULTILINE)
    assert "](docs/pictures/chips.png)" in opening
