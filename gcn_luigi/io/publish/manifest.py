"""The manifest, ``dataset.json``: every file with its digest, a digest of itself, and one text only for one content."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcn_luigi.errors import ShardError

DIGEST = "digest"
DATA_DIGEST = "data_digest"
# What the chips are read from, next to the shards.
DATA_TABLES = ("catalog.parquet", "index.parquet", "statistics.json")
_SHARDS = "shards/"


@dataclass(frozen=True, order=True)
class ManifestEntry:
    """One file of the dataset: its path, relative and with forward slashes, and its bytes as they were published."""

    path: str
    size: int
    sha256: str


def is_data(path: str) -> bool:
    """Return whether a file of a dataset is read for its chips: a shard, the index, the catalog or the statistics."""
    return path in DATA_TABLES or path.startswith(_SHARDS)


def data_digest(files: Iterable[ManifestEntry]) -> str:
    """Return the digest of the data alone: shards, index, catalog and statistics.

    It is the SHA-256, in hexadecimal, of the canonical JSON of a list of ``[path, sha256]``, sorted by path. The same
    chips have the same one wherever they are made, and whenever their sources were written; virtual rasters, which name
    the tiles by relative paths, and all that describes the build are left out.
    """
    listed = sorted([file.path, file.sha256] for file in files if is_data(file.path))
    return hashlib.sha256(_canonical(listed)).hexdigest()


def manifest_digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical JSON of `content` but for its own digest.

    Canonical are sorted keys, no spaces, ASCII, and numbers as `json` repeats them.
    """
    plain = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(_canonical(plain)).hexdigest()


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def manifest_text(content: Mapping[str, Any]) -> str:
    """Return the text of ``dataset.json`` with the digest of `content` in it: equal contents give equal bytes."""
    signed = {**content, DIGEST: manifest_digest(content)}
    return json.dumps(signed, sort_keys=True, indent=1, allow_nan=False) + "\n"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a ``dataset.json`` says, its digest included.

    Raises
    ------
    ShardError
        There is none, or one that is not to the byte what was written.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ShardError(
            "no finished dataset here",
            where=str(path),
            fix="name a dataset's directory, <output>/<region>; gcn run <region> builds it",
        ) from error
    try:
        content = json.loads(text)
        if isinstance(content, dict) and manifest_text(content).encode() == text:
            return content
    except (ValueError, TypeError, RecursionError):
        pass
    raise ShardError(
        "its text is not what was written (digest differs): damaged, or by an earlier version",
        where=str(path),
        fix="run the build again: gcn run --deep <region>",
    )
