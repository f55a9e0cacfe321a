"""The text of ``dataset.json``: a digest of itself inside, and one way only to write the same content."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcn_luigi.errors import ShardError

DIGEST = "digest"
DATA_DIGEST = "data_digest"
# What the chips are read from, beside the shards.
DATA_TABLES = ("catalog.parquet", "index.parquet", "statistics.json")
_SHARDS = "shards/"


@dataclass(frozen=True, order=True)
class ManifestEntry:
    """One file of the dataset.

    Attributes
    ----------
    path : str
        Relative to the dataset, with forward slashes.
    size : int
        Bytes.
    sha256 : str
        Digest of the bytes, as they were when the file was published.
    """

    path: str
    size: int
    sha256: str


def is_data(path: str) -> bool:
    """Return whether a file of a dataset is read for its chips: a shard, the index, the catalog or the statistics."""
    return path in DATA_TABLES or path.startswith(_SHARDS)


def data_digest(files: Iterable[ManifestEntry]) -> str:
    """Return the digest of the data alone: of the shards, the index, the catalog and the statistics.

    Wherever a dataset is made, and whenever its sources were written, the same chips have the same digest of the data;
    virtual rasters, which name the tiles by relative paths, and all that describes the build are left out.

    Parameters
    ----------
    files : iterable of ManifestEntry
        Those of a dataset, in any order.

    Returns
    -------
    str
        SHA-256, in hexadecimal, of the canonical JSON of a list of ``[path, sha256]``, sorted by path.
    """
    listed = sorted([file.path, file.sha256] for file in files if is_data(file.path))
    return hashlib.sha256(_canonical(listed)).hexdigest()


def seal_digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal, of the canonical JSON of `content` but for its own digest.

    Canonical are sorted keys, no spaces, ASCII, and numbers as `json` repeats them.
    """
    plain = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(_canonical(plain)).hexdigest()


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def seal_text(content: Mapping[str, Any]) -> str:
    """Return the text of ``dataset.json`` with the digest of `content` in it: equal contents give equal bytes."""
    sealed = {**content, DIGEST: seal_digest(content)}
    return json.dumps(sealed, sort_keys=True, indent=1, allow_nan=False) + "\n"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a ``dataset.json`` says, its digest included.

    Parameters
    ----------
    path : Path
        The file.

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
        if isinstance(content, dict) and seal_text(content).encode() == text:
            return content
    except (ValueError, TypeError, RecursionError):
        pass
    raise ShardError(
        "its text is not what was written (digest differs): damaged, or by an earlier version",
        where=str(path),
        fix="run the build again: gcn run --deep <region>",
    )
