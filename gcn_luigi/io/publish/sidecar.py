"""The sidecar of a published file: what it was made from, and what its bytes were."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcn_luigi.old_keys import renew_recorded


def fingerprint_of(parts: Mapping[str, Any]) -> str:
    """Return a short digest of `parts`, independent of the order of their keys."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Record:
    """What a sidecar says: all that decided the file's content when it was made, and size and digest of its bytes."""

    parts: Mapping[str, Any]
    size: int
    sha256: str

    @property
    def fingerprint(self) -> str:
        """Digest of `parts`."""
        return fingerprint_of(self.parts)

    @property
    def renewed_parts(self) -> Mapping[str, Any]:
        """`parts` with renamed settings under their new names."""
        settings = self.parts.get("settings")
        return {**self.parts, "settings": renew_recorded(settings)} if isinstance(settings, Mapping) else self.parts

    def is_of(self, fingerprint: str) -> bool:
        """Return whether the file was made from what `fingerprint` stands for, settings under old names included."""
        return fingerprint in (self.fingerprint, fingerprint_of(self.renewed_parts))

    def to_json(self) -> str:
        """Return the sidecar's text: equal records give equal bytes."""
        content: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "parts": self.parts,
            "sha256": self.sha256,
            "size": self.size,
        }
        # Another size or digest is well-formed, too: a wrong digit there must not be believed.
        content["seal"] = fingerprint_of(content)
        return json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n"


def read_record(sidecar: Path) -> Record | None:
    """Return what `sidecar` says; None where there is none, or one that is not to the byte what was written.

    A sidecar says nothing about itself, so it must repeat exactly: a flipped bit anywhere in it makes it void.
    """
    try:
        text = sidecar.read_text(encoding="utf-8")
        content = json.loads(text)
        record = Record(content["parts"], content["size"], content["sha256"])
        return record if record.to_json() == text else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
