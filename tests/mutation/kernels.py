"""Mutants of the compiled kernels: textual changes to a `.pyx` file, and the build of one changed kernel."""

import io
import os
import random
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.mutation.mutant import Mutant

_REPLACED = {
    "<": ("<=", ">"),
    "<=": ("<", ">"),
    ">": (">=", "<"),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    "//": ("*",),
    "%": ("*",),
    "&": ("|",),
    "|": ("&",),
    "+=": ("-=",),
    "-=": ("+=",),
    "|=": ("&=",),
    "and": ("or",),
    "or": ("and",),
    "not": ("",),
}
# Longer than any kernel takes without optimisation.
_BUILD_SECONDS = 180


def replacements(source: str) -> Iterator[tuple[int, int, str, str]]:
    """Yield line, column, old text and new text of every change that can be made to a `.pyx` file.

    An operator with two operands has a space on both sides; a cast, a pointer, an address and a sign have not.
    A number after a colon belongs to the type of an array.
    """
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (row, column), end = token.start, token.end[1]
        text = token.string
        if token.type == tokenize.NUMBER and text.isdigit() and previous != ":":
            yield from ((row, column, text, str(int(text) + step)) for step in (1, -1))
        elif text in _REPLACED and token.type in {tokenize.OP, tokenize.NAME}:
            spaced = token.line[column - 1 : column] in {" ", "("} and token.line[end : end + 1] in {" ", "\n"}
            # `not None` in a signature says that an array must be given; Cython knows no other way to write it.
            if spaced and not token.line[column:].startswith("not None"):
                yield from ((row, column, text, new) for new in _REPLACED[text])
        previous = text


def drawn(path: str, source: str, count: int, seed: int) -> list[Mutant]:
    """Return at most `count` mutants of a kernel, each at a different place; the same seed draws the same ones."""
    rng = random.Random(f"{seed} {path}")
    possible: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for row, column, old, new in replacements(source):
        possible.setdefault((row, column), []).append((old, new))
    found = []
    for row, column in sorted(rng.sample(sorted(possible), min(count, len(possible)))):
        old, new = rng.choice(possible[row, column])
        lines = source.splitlines()
        line = lines[row - 1]
        lines[row - 1] = line[:column] + new + line[column + len(old) :]
        found.append(Mutant.between(path, f"{old} -> {new or 'nothing'}", source, "\n".join(lines) + "\n"))
    return found


def build(root: Path, name: str, source: str, folder: Path) -> Path | None:
    """Compile one kernel from `source` with bounds checks, as `make checked` does.

    Parameters
    ----------
    root
        The repository with `setup.py` and `_ext`.
    name
        The kernel, without suffix.
    source
        The text of its `.pyx` file.
    folder
        Where the build may write. What an earlier build left there is removed.

    Returns
    -------
    Path or None
        The compiled module, or None if it does not compile.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "_ext").mkdir(parents=True)
    shutil.copy(root / "setup.py", folder)
    for header in sorted([*(root / "_ext").glob("*.pxd"), *(root / "_ext").glob("*.h")]):
        shutil.copy(header, folder / "_ext")
    (folder / "_ext" / f"{name}.pyx").write_text(source, encoding="utf-8")
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", "lib", "--build-temp", "temp"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"GCN_LUIGI_CHECKED": "1"},
        capture_output=True,
        check=False,
        timeout=_BUILD_SECONDS,
    )
    built = sorted((folder / "lib").rglob("*.so"))
    return built[0] if done.returncode == 0 and built else None
