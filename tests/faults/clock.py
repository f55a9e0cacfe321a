"""Clocks that jump, and files with impossible times."""

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

from tests.faults.arena import LOCAL, Arena, files_below, named
from tests.faults.figures import Figures
from tests.integration.builds import build_inline
from tests.reference.timeless import timeless

_SOURCE = Path(__file__).with_name("clock.c")
_NS = 10**9
_FINGERPRINT = re.compile(rb"<td>[0-9a-f]{24}</td>")
# 1901, 1970, 1979, 2038 and 2100.
_TIMES_S = (-2_147_483_648, 0, 283_996_800, 2_147_483_648, 4_102_444_800)


def jumps(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Build while the time of day jumps by hours, back and forth; then run undisturbed."""
    figures = Figures()
    library = compiled(arena)
    if library is None:
        figures.note("clock jumps: no C compiler here; nothing was tried")
        return figures
    for _ in range(count):
        for extra in ((LOCAL,), ("--port", "0")):
            output = arena.fresh()
            what = f"clock jumps, {extra[0]}"
            figures.faults["clock jumping through a build"] += 1
            variables = {"LD_PRELOAD": str(library), "FAULTS_CLOCK_SEED": str(rng.randrange(2**62))}
            ended = arena.ends(arena.start(output, *extra, **variables), figures, what)
            arena.honest(ended, output, figures, what)
            arena.mends(output, figures, what)
            arena.drop(output)
    return figures


def strange_times(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Sources from the future and from before 1980; sidecars whose times are shuffled."""
    figures = Figures()
    for _ in range(count):
        _strange_sources(arena, rng, figures)
        _shuffled_sidecars(arena, rng, figures)
    return figures


def _strange_sources(arena: Arena, rng: random.Random, figures: Figures) -> None:
    own = arena.own()
    for path in sorted(own.tiny.sources.rglob("*")):
        if path.is_file():
            os.utime(path, ns=(0, rng.choice(_TIMES_S) * _NS + rng.randrange(_NS)))
            figures.faults["source with a strange time"] += 1
    output = own.fresh()
    ended = own.ends(own.start(output), figures, "sources with strange times")
    if ended is not None and ended.code:
        figures.problem("refused again", f"sources with strange times: exit {ended.code}: {ended.text[-800:]}")
    # Sidecars and the seal state the times of the sources, and the page shows fingerprints; all else must be the same.
    directory = output / own.tiny.region
    for name in sorted(files_below(arena.reference)):
        if not name.startswith(".gcn/") and name != "dataset.json":
            content = _without_fingerprints(arena.reference / name)
            figures.files += 1
            figures.compared += len(content)
            if not (directory / name).is_file() or _without_fingerprints(directory / name) != content:
                figures.problem("wrong dataset", f"sources with strange times: {name} differs")
    if again := build_inline(own.task(output), page=True):
        figures.problem("made without need", f"sources with strange times: {named(again)}")
    arena.drop(own.root)


def _without_fingerprints(path: Path) -> bytes:
    return _FINGERPRINT.sub(b"", timeless(path)) if path.suffix == ".html" else timeless(path)


def _shuffled_sidecars(arena: Arena, rng: random.Random, figures: Figures) -> None:
    output = arena.fresh(arena.reference)
    build_inline(arena.task(output), page=True)
    sidecars = sorted((output / arena.tiny.region / ".gcn").rglob("*.json"))
    times = [path.stat().st_mtime_ns for path in sidecars] + [second * _NS for second in _TIMES_S]
    for path in sidecars:
        os.utime(path, ns=(0, rng.choice(times)))
        figures.faults["sidecar with another's time"] += 1
    if made := build_inline(arena.task(output), page=True):
        figures.problem("made without need", f"shuffled times of sidecars: {named(made)}")
    figures.builds += 1
    arena.equals(output, figures, "shuffled times of sidecars")
    arena.drop(output)


def compiled(arena: Arena) -> Path | None:
    """Return the library that makes the clock jump; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    directory = arena.fresh()
    library = directory / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, _SOURCE, "-ldl"], check=True)
    return library
