"""Fenced blocks of Markdown pages, and checks of what they show."""

import doctest
import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<marks>`{3,}|:{3,})(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=marks)$", re.MULTILINE | re.DOTALL)
# "..." stands for whatever depends on machine and versions.
_LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block, and the ``text`` block right behind it: what it prints."""

    kind: str
    text: str
    shown: str | None
    line: int


def blocks(path: Path) -> list[Block]:
    """Return all blocks of a page that are no output, in order."""
    page = path.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(page))
    made = []
    for one, following in zip(found, [*found, None][1:], strict=True):
        kind = one["kind"].strip()
        if kind == "text":
            continue
        shown = None
        if following is not None and following["kind"].strip() == "text":
            between = page[one.end() : following.start()]
            shown = following["text"] if not between.strip() else None
        made.append(Block(kind, one["text"], shown, page.count("\n", 0, one.start()) + 1))
    return made


def differs(shown: str, printed: str) -> str:
    """Return how what was printed differs from what a page shows; nothing where it does not."""
    if doctest.OutputChecker().check_output(shown, printed, _LENIENT):
        return ""
    return f"the page shows\n{shown}\nit printed\n{printed}"
