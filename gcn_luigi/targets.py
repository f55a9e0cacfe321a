"""A file that is complete (published whole) and current (its fingerprint matches), or counts as absent."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import luigi

from gcn_luigi.io.confine import check_links
from gcn_luigi.io.staging import digest, staged


def fingerprint_of(parts: Mapping[str, Any]) -> str:
    """Return a short digest of `parts`, independent of the order of their keys."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class PublishedFile(luigi.Target):
    """One output file with its sidecar.

    Parameters
    ----------
    path : Path
        The file.
    sidecar : Path
        Where the fingerprint, size and digest of the published file are kept.
    parts : callable
        Returns all that decides the file's content, as it is now; see `fingerprint_of`.
    """

    def __init__(self, path: Path, sidecar: Path, parts: Callable[[], Mapping[str, Any]]) -> None:
        self.path = path
        self.sidecar = sidecar
        self.parts = parts

    def __str__(self) -> str:
        return str(self.path)

    def record(self) -> dict[str, Any]:
        """Return the sidecar's content; empty where there is none or it cannot be read."""
        try:
            content = json.loads(self.sidecar.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def exists(self) -> bool:
        """Return whether the file is published whole and is current."""
        return self.matches(fingerprint_of(self.parts()))

    def matches(self, fingerprint: str) -> bool:
        """Return whether the file is published whole under `fingerprint`."""
        record = self.record()
        try:
            size = self.path.stat().st_size
        except OSError:
            return False
        return record.get("fingerprint") == fingerprint and record.get("size") == size

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """Yield a draft path; on success publish it, then its sidecar.

        The old sidecar goes first: a file between two states is never taken for complete. The fingerprint is
        taken before the writing starts: a source that changes meanwhile makes the file stale, not wrong.
        """
        parts = self.parts()
        check_links(Path(os.path.commonpath((self.path, self.sidecar))), self.path, self.sidecar)
        with staged(self.path) as draft:
            yield draft
            record = {
                "fingerprint": fingerprint_of(parts),
                "size": draft.stat().st_size,
                "sha256": digest(draft),
                "parts": parts,
            }
            # Not where another build has just published the same: it is asking whether it is complete.
            if self.record().get("fingerprint") != record["fingerprint"]:
                self.sidecar.unlink(missing_ok=True)
        with staged(self.sidecar) as draft:
            draft.write_text(json.dumps(record, sort_keys=True, indent=1) + "\n", encoding="utf-8")
