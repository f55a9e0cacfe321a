"""The manifest ``dataset.json``: every file with its digest, and a digest of itself. Equal contents give equal text."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcn_luigi.errors import ShardError

MANIFEST = "dataset.json"
DIGEST = "digest"
DATA_DIGEST = "data_digest"
# The files that chips are read from, besides the shards.
DATA_TABLES = ("catalog.parquet", "index.parquet", "statistics.json")
# Lists the SHA-256 of every file of an archive, in the form that `sha256sum --check` reads.
CHECKSUMS = "SHA256SUMS"
_SHARDS = "shards/"


@dataclass(frozen=True, order=True)
class ManifestEntry:
    """One file of the dataset: its relative path with forward slashes, and the size and digest of its bytes."""

    path: str
    size: int
    sha256: str


def is_data(path: str) -> bool:
    """Return whether a file of a dataset belongs to its data: a shard, the index, the catalog or the statistics."""
    return path in DATA_TABLES or path.startswith(_SHARDS)


def data_digest(files: Iterable[ManifestEntry]) -> str:
    """Return the digest of the data only: shards, index, catalog and statistics.

    It is the SHA-256, in hexadecimal, of the canonical JSON of a list of ``[path, sha256]``, sorted by path. Equal
    chips have equal digests, wherever they are made and whenever their sources were written. Virtual rasters, which
    name the tiles by relative paths, and files that describe the build are left out.
    """
    listed = sorted([file.path, file.sha256] for file in files if is_data(file.path))
    return hashlib.sha256(_canonical(listed)).hexdigest()


def manifest_digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical JSON of `content` without its own digest.

    Canonical JSON has sorted keys, no spaces, only ASCII, and numbers as Python's `json` writes them.
    """
    plain = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(_canonical(plain)).hexdigest()


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def manifest_text(content: Mapping[str, Any]) -> str:
    """Return the text of ``dataset.json``, which includes the digest of `content`. Equal contents give equal bytes."""
    signed = {**content, DIGEST: manifest_digest(content)}
    return json.dumps(signed, sort_keys=True, indent=1, allow_nan=False) + "\n"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the content of a ``dataset.json``, including its digest.

    Raises
    ------
    ShardError
        The file does not exist, or differs from the text that was written.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ShardError(
            "no finished dataset here",
            where=str(path),
            fix="name the directory of a dataset, <output>/<region>; gcn run <region> builds it",
        ) from error
    return manifest_content(text, where=str(path))


def manifest_content(text: bytes, *, where: str) -> dict[str, Any]:
    """Return the content of the text of a ``dataset.json``; raise ShardError if it is not what was written."""
    try:
        content = json.loads(text)
        if isinstance(content, dict) and manifest_text(content).encode() == text:
            return content
    except (ValueError, TypeError, RecursionError):
        pass
    raise ShardError(
        "its text is not what was written (digest differs): it is damaged, or from an earlier version",
        where=where,
        fix="run the build again: gcn run --deep <region>",
    )
