"""A draft of a region's TOML file, with its guesses and open questions, and its text."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gcn_luigi.errors import few

_WIDTH = 110
# Bands that a line about their guesses names.
_MOST_BANDS = 12


@dataclass(frozen=True)
class Line:
    """A key and its value. `guess` says what the value was guessed from; it is empty for what was read from files."""

    key: str
    value: Any
    guess: str = ""
    # Written as a comment: the value is not used until somebody removes the #.
    is_off: bool = False


@dataclass(frozen=True)
class Table:
    """A section. `header` is ``""`` for the top of the file, or ``"[lattice]"`` or ``"[[bands]]"``."""

    header: str
    lines: tuple[Line, ...]
    comment: str = ""


@dataclass
class Draft:
    """A proposed TOML file: open questions, which come first, and the sections in their order."""

    region: str
    title: str = ""
    questions: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    # What was found and is not used, with the reason.
    unused: list[str] = field(default_factory=list)

    @property
    def n_guesses(self) -> int:
        """How many values are guessed."""
        return sum(bool(line.guess) and not line.is_off for table in self.tables for line in table.lines)

    def guesses(self) -> Iterator[str]:
        """Yield the guesses for the terminal: one line per key, and one for all bands that have the key."""
        of_bands: dict[str, list[str]] = {}
        lines = []
        for table in self.tables:
            guessed = [line for line in table.lines if line.guess and not line.is_off]
            if table.header != "[[bands]]":
                where = f"{table.header} " if table.header else ""
                lines += [f"{where}{line.key} = {toml_value(line.value)}: {line.guess}" for line in guessed]
                continue
            name = next((str(line.value) for line in table.lines if line.key == "name"), "")
            for line in guessed:
                told = name if line.value == name else f"{name} {toml_value(line.value)}"
                of_bands.setdefault(line.key, []).append(told)
        yield from (f"[[bands]] {key}: {few(told, _MOST_BANDS)}" for key, told in of_bands.items())
        yield from lines

    def text(self) -> str:
        """Return the TOML file."""
        parts = [*_wrapped(self.title, ""), "# Every key is explained in docs/configuration.md. Guesses are marked."]
        if self.questions:
            parts += ["#", "# Open questions:"]
            for number, question in enumerate(self.questions, 1):
                parts += _wrapped(question, f" {number}. ")
        if self.unused:
            parts += ["#", "# Not used:"]
            for line in self.unused:
                parts += _wrapped(line, " * ")
        for table in self.tables:
            parts += ["", *_wrapped(table.comment, "")]
            if table.header:
                parts.append(table.header)
            parts += [_written(line) for line in table.lines]
        return "\n".join(parts) + "\n"


def _wrapped(text: str, mark: str) -> list[str]:
    if not text:
        return []
    start, rest = f"#{mark}" if mark else "# ", "#" + " " * max(len(mark), 1)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _written(line: Line) -> str:
    off = "# " if line.is_off else ""
    mark = "" if line.is_off else "guess: "
    guess = f"  # {mark}{line.guess}" if line.guess else ""
    return f"{off}{line.key} = {toml_value(line.value)}{guess}"


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it.

    Examples
    --------
    >>> toml_value([2004, 2008]), toml_value({"0": "none"}), toml_value(True), toml_value(0.275)
    ('[2004, 2008]', '{ "0" = "none" }', 'true', '0.275')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {toml_value(held)}" for key, held in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return json.dumps(value, ensure_ascii=False)
