"""What `dataset.json` says is fixed to the byte by a digest inside it."""

import hashlib
import json

import pytest

from gcn_luigi.errors import ShardError
from gcn_luigi.io.publish.manifest import manifest_digest, manifest_text, read_manifest

CONTENT = {
    "format": "gcn_luigi dataset 2",
    "files": [{"path": "a.h5", "size": 12, "sha256": "0f"}],
    "configuration": {"share": 0.1, "large": 1e300, "none": None, "yes": True, "name": "Zürich\n"},
}


def test_the_digest_is_that_of_the_rest_in_canonical_form():
    plain = json.dumps(CONTENT, sort_keys=True, separators=(",", ":")).encode()

    assert manifest_digest(CONTENT) == hashlib.sha256(plain).hexdigest()
    assert json.loads(manifest_text(CONTENT))["digest"] == manifest_digest(CONTENT)


def test_the_order_of_keys_and_an_old_digest_make_no_difference():
    turned = {"digest": "old", **dict(reversed(CONTENT.items()))}

    assert manifest_text(turned) == manifest_text(CONTENT)
    assert manifest_text({**CONTENT, "format": "x"}) != manifest_text(CONTENT)


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "dataset.json"
    path.write_text(manifest_text(CONTENT), encoding="utf-8")

    assert read_manifest(path) == {**CONTENT, "digest": manifest_digest(CONTENT)}


@pytest.mark.fault
def test_every_single_flipped_bit_is_found(tmp_path):
    path = tmp_path / "dataset.json"
    whole = manifest_text(CONTENT).encode()
    for place in range(8 * len(whole)):
        spoilt = bytearray(whole)
        spoilt[place // 8] ^= 1 << place % 8
        path.write_bytes(spoilt)

        with pytest.raises(ShardError, match="not what was written") as caught:
            read_manifest(path)

    assert caught.value.where == str(path)
    assert "gcn run --deep" in caught.value.fix


@pytest.mark.fault
@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "\n",
        lambda text: text[:-1],
        lambda text: text.replace("\n", "\r\n"),
        lambda text: json.dumps(json.loads(text)),
        lambda _: json.dumps(CONTENT, sort_keys=True, indent=1) + "\n",
        lambda text: text.replace("\\u00fc", "ü"),
    ],
    ids=["a line more", "no last line", "other line ends", "one line", "no digest", "no escapes"],
)
def test_the_same_content_in_another_form_is_not_what_was_written(tmp_path, edit):
    path = tmp_path / "dataset.json"
    text = manifest_text(CONTENT)
    path.write_bytes(edit(text).encode())
    assert path.read_bytes() != text.encode()

    with pytest.raises(ShardError, match="not what was written"):
        read_manifest(path)
