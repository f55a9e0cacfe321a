"""The sidecar of a file: what the file was made from, and the size and digest of its bytes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from gcn_luigi.old_keys import renew_recorded

# Longer texts are checked each time: those of a region with many tiles would fill the memory.
_MOST_KEPT = 16_384
# A line break and the indentation of the next line; a string of JSON holds no line break.
_BREAK = re.compile(r"\n *")


def fingerprint_of(parts: Mapping[str, Any]) -> str:
    """Return a short digest of `parts` that does not depend on the order of their keys."""
    return hashlib.sha256(_in_a_line(parts).encode()).hexdigest()[:24]


def _in_a_line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Record:
    """The content of a sidecar: everything that the file depends on, and the size and digest of its bytes."""

    parts: Mapping[str, Any]
    size: int
    sha256: str

    @cached_property
    def fingerprint(self) -> str:
        """The digest of `parts`."""
        return fingerprint_of(self.parts)

    @property
    def renewed_parts(self) -> Mapping[str, Any]:
        """`parts` with renamed settings under their new names."""
        settings = self.parts.get("settings")
        return {**self.parts, "settings": renew_recorded(settings)} if isinstance(settings, Mapping) else self.parts

    def is_of(self, fingerprint: str) -> bool:
        """Return whether the file has this fingerprint. Settings under old names are accepted."""
        return fingerprint == self.fingerprint or fingerprint == fingerprint_of(self.renewed_parts)

    def to_json(self) -> str:
        """Return the text of the sidecar. Equal records give equal bytes."""
        return json.dumps(self._content, sort_keys=True, indent=1, allow_nan=False) + "\n"

    def is_written_as(self, text: str) -> bool:
        """Return whether `text` is the text of this record.

        Python indents JSON much more slowly than it writes it in one line. So a long text is compared without its line
        breaks and indentation, which say nothing, and as a whole only if its strings hold the characters that stand
        between a key and its value.
        """
        if len(text) > _MOST_KEPT:
            line = _BREAK.sub("", text.removesuffix("\n")).replace('": ', '":')
            if line == _in_a_line(self._content):
                return True
        return text == self.to_json()

    @property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "parts": self.parts,
            "sha256": self.sha256,
            "size": self.size,
        }
        # A size or digest with a wrong digit is still well-formed, so a checksum protects it.
        return {**content, "seal": fingerprint_of(content)}


def read_record(sidecar: Path) -> Record | None:
    """Return the content of `sidecar`; None if it does not exist or differs from the text that was written.

    The text must be the text that its content gives, so a flipped bit anywhere makes the sidecar invalid. Of long
    texts, line breaks and indentation are not compared.
    """
    try:
        text = sidecar.read_text(encoding="utf-8")
        return (_record_of if len(text) <= _MOST_KEPT else _record_of.__wrapped__)(text)
    except (OSError, ValueError):
        return None


# A build asks for the same sidecars again and again; checking a text costs more than reading it.
@lru_cache(maxsize=512)
def _record_of(text: str) -> Record | None:
    try:
        content = json.loads(text)
        record = Record(content["parts"], content["size"], content["sha256"])
        return record if record.is_written_as(text) else None
    except (ValueError, KeyError, TypeError):
        return None
