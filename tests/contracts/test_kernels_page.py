"""The page about kernels shows the code that is there."""

import re
from pathlib import Path

import pytest

from tests.contracts.fences import blocks

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "kernels.md"
TEXT = PAGE.read_text(encoding="utf-8")


def named_above(line):
    """Return the file that the page links to last before a line."""
    links = re.findall(r"\]\((\.\./\.\./[^)#]+)\)", "\n".join(TEXT.splitlines()[: line - 1]))
    return (PAGE.parent / links[-1]).resolve()


@pytest.mark.parametrize("block", blocks(PAGE), ids=lambda block: f"line {block.line}")
def test_each_block_is_part_of_the_file_named_above_it(block):
    assert block.text in named_above(block.line).read_text(encoding="utf-8")


def test_every_step_of_the_way_is_shown():
    shown = {named_above(block.line).relative_to(ROOT).as_posix() for block in blocks(PAGE)}

    assert len(shown) == len(blocks(PAGE))
    assert {Path(name).suffix for name in shown} == {".py", ".pyx", ".h", ".pxd", ".pyi"}


def test_the_commands_of_the_page_are_in_the_makefile():
    targets = re.findall(r"^([a-z-]+)(?=[:%])", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(re.findall(r"`make ([a-z-]+)`", TEXT)) <= set(targets)
