"""What a scenario did and found, in numbers that can be added up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass
class Figures:
    """Counts of one scenario.

    Attributes
    ----------
    builds : int
        Disturbed builds, each followed by an undisturbed one.
    faults : Counter of str
        Faults done, by kind.
    codes : Counter of str
        Exit codes of the disturbed builds.
    files, compared : int
        Files, and their bytes, that were compared with the undisturbed dataset.
    found : Counter of str
        What must not be: ``orphan``, ``temporary file``, ``wrong dataset``, ``dishonest code``, ``traceback``,
        ``hang``, ``refused again``.
    problems : list of str
        One sentence for each of these.
    notes : list of str
        How the faults were done, where that depends on the machine.
    """

    builds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    files: int = 0
    compared: int = 0
    found: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, kind: str, sentence: str) -> None:
        """Count what must not be, and say what it was."""
        self.found[kind] += 1
        self.problems.append(f"{kind}: {sentence}")

    def note(self, sentence: str) -> None:
        """Remember a circumstance, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def add(self, other: "Figures") -> None:
        """Add the counts of `other`."""
        self.builds += other.builds
        self.files += other.files
        self.compared += other.compared
        self.faults += other.faults
        self.codes += other.codes
        self.found += other.found
        self.problems += other.problems
        for note in other.notes:
            self.note(note)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return what `to_dict` gave."""
        counted = {name: Counter(content[name]) for name in ("faults", "codes", "found")}
        return cls(**{**content, **counted})


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Counter) else value
