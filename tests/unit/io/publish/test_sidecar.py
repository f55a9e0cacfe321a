"""The text of a sidecar is read back if it is exactly what was written, and only then."""

import json

import pytest

from gcn_luigi.io.publish.sidecar import Record, read_record

# The third holds, within a string, the characters that stand between a key and its value.
PARTS = [
    {"task": "gcn.ChipShard", "settings": {"bands": [["ndsi", None], []]}, "sources": {}},
    {"name": "Møre\n \\ ü \u2028", "number": -0.25},
    {'a": b': 'it says "name": "x", twice: ": '},
]


@pytest.fixture(params=PARTS, ids=["plain", "letters", "quoted"])
def record(request):
    """Return a record of parts."""
    return Record(request.param, 12, "0" * 64)


def test_what_was_written_is_read(tmp_path, record):
    sidecar = tmp_path / "x.json"
    sidecar.write_text(record.to_json(), encoding="utf-8")

    assert read_record(sidecar) == record


def test_every_flipped_bit_makes_it_invalid(tmp_path, record):
    sidecar, text = tmp_path / "x.json", record.to_json().encode()
    for place in range(8 * len(text)):
        flipped = bytearray(text)
        flipped[place // 8] ^= 1 << place % 8
        sidecar.write_bytes(flipped)
        assert read_record(sidecar) is None, place


def test_a_space_or_a_line_break_more_or_less_makes_it_invalid(tmp_path, record):
    sidecar, text = tmp_path / "x.json", record.to_json()
    changed = {text[:place] + more + text[place:] for place in range(len(text) + 1) for more in " \n"}
    changed |= {text[:place] + text[place + 1 :] for place, letter in enumerate(text) if letter in " \n"}
    for one in changed:
        sidecar.write_text(one, encoding="utf-8")
        assert read_record(sidecar) is None, one


@pytest.mark.parametrize("key", ["fingerprint", "parts", "sha256", "size", "seal"])
def test_a_text_without_one_of_its_entries_is_invalid(tmp_path, record, key):
    content = json.loads(record.to_json())
    del content[key]
    sidecar = tmp_path / "x.json"
    sidecar.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n", encoding="utf-8")

    assert read_record(sidecar) is None


def test_another_entry_makes_it_invalid(tmp_path, record):
    content = {**json.loads(record.to_json()), "more": 1}
    sidecar = tmp_path / "x.json"
    sidecar.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n", encoding="utf-8")

    assert read_record(sidecar) is None
