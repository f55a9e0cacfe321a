"""YAML as it is written, read by another program."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.stages.metadata.yaml import yaml_text

# YAML takes the others for true, false and null.
KEYS = st.sampled_from(["title", "family-names", "cff-version", "a", "doi"])
# A half of a surrogate pair is no text.
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_what_is_written_comes_back(content):
    assert yaml.safe_load(yaml_text(content)) == content


def test_a_list_of_tables_stands_in_blocks():
    text = yaml_text({"authors": [{"name": "A: b", "year": 2022}, {"name": 'C "d"\ne'}], "empty": []})

    assert text == 'authors:\n  - name: "A: b"\n    year: 2022\n  - name: "C \\"d\\"\\ne"\nempty: []\n'
