"""Settings of every shape that TOML can hold: refused by key, or in force as they are written."""

import json
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError
from gcn_luigi.settings import RegionSettings
from tests.faults.texts import represented
from tests.integration.builds import CONFIG

_FIELDS = RegionSettings.model_fields
_SECTIONS = {
    name: sorted(field.annotation.model_fields)
    for name, field in _FIELDS.items()
    if hasattr(field.annotation, "model_fields")
}
_WORDS = st.sampled_from(["", "m", "px", "error", "first", "legacy", "1", "nan", "EPSG:3338", "../..", "\u00e4\u0007"])
_NUMBERS = st.one_of(
    st.integers(-3, 300), st.sampled_from([2**31, 2**63 - 1, -(2**63)]), st.floats(), st.floats(-1.0, 2.0)
)
_PLAIN = st.one_of(st.booleans(), _NUMBERS, _WORDS, st.text(max_size=5))
_VALUES = st.one_of(
    _PLAIN, st.lists(_PLAIN, max_size=4), st.dictionaries(st.sampled_from(["none", "ice", "debris", "x"]), _PLAIN)
)


@st.composite
def _changes(draw):
    """Return some keys, most of them known, and values for them."""
    changes = {}
    for _ in range(draw(st.integers(1, 3))):
        section = draw(st.sampled_from([*_SECTIONS, "", "nonsense"]))
        known = _SECTIONS.get(section, sorted(set(_FIELDS) - set(_SECTIONS)))
        key = draw(st.one_of(st.sampled_from(known), st.sampled_from(["size", "path", "unknown key"])))
        changes[section, key] = draw(_VALUES)
    return changes


def _spelled(value):
    """Return a value as TOML spells it."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return repr(value)
        case str():
            # What JSON leaves out of its escapes: TOML wants it escaped, too.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(_spelled, value))}]"
        case dict():
            return f"{{{', '.join(f'{json.dumps(key)} = {_spelled(item)}' for key, item in value.items())}}}"
    return str(value)


def _text(tree):
    """Return a tree as TOML: its own keys first, sections behind."""
    top = {key: value for key, value in tree.items() if key not in _SECTIONS and key != "nonsense"}
    lines = [f"{json.dumps(key)} = {_spelled(value)}" for key, value in top.items()]
    for name in (*_SECTIONS, "nonsense"):
        if name in tree:
            lines += [f"[{name}]", *(f"{json.dumps(key)} = {_spelled(value)}" for key, value in tree[name].items())]
    return "\n".join(lines) + "\n"


@pytest.mark.fault
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=_changes())
def test_settings_are_refused_by_key_or_in_force(tmp_path, changes):
    tree = tomllib.loads((CONFIG / "demo.toml").read_text(encoding="utf-8"))
    for (section, key), value in changes.items():
        (tree.setdefault(section, {}) if section else tree)[key] = value
    path = tmp_path / "demo.toml"
    path.write_text(_text(tree), encoding="utf-8")

    settled, refusal = _outcome(path)

    if refusal is None:
        represented(tomllib.loads(path.read_text(encoding="utf-8")), settled, "")
    else:
        assert refusal.where == str(path)
        assert refusal.fix
        assert any((section or key) in refusal.what for section, key in changes), refusal.what


def _outcome(path):
    try:
        return load_region(path).settings, None
    except ConfigError as error:
        return None, error


def test_a_tree_is_spelled_as_it_is():
    tree = tomllib.loads((CONFIG / "demo.toml").read_text(encoding="utf-8"))

    assert tomllib.loads(_text(tree)) == tree
