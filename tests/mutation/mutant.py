"""One small change to one file, kept as text: lines before, lines after, and where they are."""

import difflib
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Mutant:
    """A change to consecutive lines of a file.

    Parameters
    ----------
    path
        The file, relative to the repository.
    line
        Number of the first line that changes.
    operator
        The name of the kind of change.
    before, after
        The lines without and with the change.
    """

    path: str
    line: int
    operator: str
    before: str
    after: str

    @classmethod
    def between(cls, path: str, operator: str, source: str, changed: str) -> Self:
        """Return the change that leads from `source` to `changed`."""
        old, new = source.splitlines(), changed.splitlines()
        edits = [
            edit for edit in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if edit[0] != "equal"
        ]
        (_, first, _, new_first, _), (_, _, last, _, new_last) = edits[0], edits[-1]
        return cls(path, first + 1, operator, "\n".join(old[first:last]), "\n".join(new[new_first:new_last]))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the mutant that an entry of a report describes."""
        return cls(*(fields[name] for name in ("path", "line", "operator", "before", "after")))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for a report."""
        return asdict(self)

    def found_in(self, source: str) -> int | None:
        """Return the number of the first line to change, or None if `source` does not have these lines any more.

        Lines move when others are added above them. The nearest ones with the same text count.
        """
        lines, wanted = source.splitlines(), self.before.splitlines()
        places = [place + 1 for place in range(len(lines)) if lines[place : place + len(wanted)] == wanted]
        return min(places, key=lambda place: (abs(place - self.line), place), default=None)

    def applied_to(self, source: str) -> str:
        """Return `source` with the change."""
        first = self.found_in(source)
        if first is None:
            raise LookupError(f"{self.path} does not have these lines: {self.before}")
        lines = source.splitlines()
        lines[first - 1 : first - 1 + len(self.before.splitlines())] = self.after.splitlines()
        return "\n".join(lines) + "\n"
