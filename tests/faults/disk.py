"""Outputs on disks that are full or may not be written."""

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gcn_luigi.io.publish.atomic import is_temporary
from tests.faults.arena import Arena, files_below, named
from tests.faults.figures import Figures
from tests.integration.commands import state_of

_MOUNT, _UMOUNT, _PRLIMIT = "/usr/bin/mount", "/usr/bin/umount", "/usr/bin/prlimit"
_ROOMY = 64 << 20
_PAGE = 4096


def full(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Build where there is no room, at any point of the build; then give room and run again."""
    figures = Figures()
    whole = sum((arena.reference / name).stat().st_size for name in files_below(arena.reference))
    for _ in range(count):
        if can_mount():
            _full_disk(arena, figures, rng.randint(2 * _PAGE, int(1.1 * whole)) // _PAGE * _PAGE)
        else:
            _limited_file(arena, figures, rng.randint(1000, 420_000))
    return figures


def read_only(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Build where nothing may be written: refused and nothing changed; a finished dataset is found finished."""
    figures = Figures()
    if not can_mount():
        figures.note("read-only file systems could not be mounted here; nothing was tried")
        return figures
    figures.note("read-only outputs: a tmpfs mounted again read-only")
    for _ in range(count):
        output = arena.fresh()
        with mounted(output, _ROOMY):
            _half(arena, rng, output)
            _remount(output, "ro")
            before = state_of(output)
            what = "a read-only disk with half a dataset"
            figures.faults["half a dataset read-only"] += 1
            ended = arena.ends(arena.start(output), figures, what)
            _refused(ended, figures, what, "Read-only file system")
            if state_of(output) != before:
                figures.problem("wrong dataset", f"{what}: something changed")
            _remount(output, "rw")
            arena.mends(output, figures, what)
            _remount(output, "ro")
            figures.faults["a finished dataset read-only"] += 1
            _finished(arena, output, figures)
        arena.drop(output)
    return figures


def can_mount() -> bool:
    """Return whether this process may mount in a namespace of its own, as tests.faults.__main__ sees to."""
    return os.environ.get("GCN_FAULTS_MAY_MOUNT") == "1"


@contextmanager
def mounted(directory: Path, size: int) -> Iterator[None]:
    """Have a small file system in memory at `directory`."""
    subprocess.run([_MOUNT, "-t", "tmpfs", "-o", f"size={size}", "none", directory], check=True)
    try:
        yield
    finally:
        subprocess.run([_UMOUNT, "-l", directory], check=True)


def _remount(directory: Path, options: str) -> None:
    subprocess.run([_MOUNT, "-o", f"remount,{options}", directory], check=True)


def _full_disk(arena: Arena, figures: Figures, size: int) -> None:
    figures.note("full disk: a tmpfs of limited size, then mounted again larger")
    output = arena.fresh()
    with mounted(output, size):
        what = f"a disk of {size} bytes"
        ended = arena.ends(arena.start(output), figures, what)
        if ended is not None and ended.code:
            figures.faults["disk full"] += 1
            _refused(ended, figures, what, "No space left")
        arena.honest(ended, output, figures, what)
        if left := [path.name for path in output.rglob("*") if is_temporary(path)]:
            figures.problem("temporary file", f"{what}: {named(left)} keep it full")
        _remount(output, f"size={_ROOMY}")
        arena.mends(output, figures, what)
    arena.drop(output)


def _limited_file(arena: Arena, figures: Figures, size: int) -> None:
    """Where nothing can be mounted: a limit on the size of a file, which is refused in nearly the same way.

    Libraries have other words for it, and a small probe of ours is not refused: what is told is not checked.
    """
    figures.note("full disk: nothing can be mounted here, so RLIMIT_FSIZE stands for it (File too large)")
    output = arena.fresh()
    what = f"files of {size} bytes at most"
    running = arena.commands.start(_PRLIMIT, f"--fsize={size}", "--", arena.program, *arena.run(output)[1:])
    ended = arena.ends(running, figures, what, plain=False)
    figures.faults["file too large"] += 1
    arena.honest(ended, output, figures, what)
    if left := [path.name for path in output.rglob("*") if is_temporary(path)]:
        figures.problem("temporary file", f"{what}: {named(left)}")
    arena.mends(output, figures, what)
    arena.drop(output)


def _refused(ended: object, figures: Figures, what: str, reason: str) -> None:
    """Check that a refusal is told as ours, with the file system's own reason."""
    code, text = getattr(ended, "code", None), getattr(ended, "text", "")
    if code != 30:
        figures.problem("dishonest code", f"{what}: exit {code}: {text[-800:]}")
    elif f"could not be written: {reason}" not in text or "fix:" not in text:
        figures.problem("message", f"{what}: {text[-800:]}")


def _half(arena: Arena, rng: random.Random, output: Path) -> None:
    """Lay half of the reference there: an unfinished dataset."""
    for name in sorted(files_below(arena.reference)):
        if rng.random() < 0.5 and name != "dataset.json":
            target = output / arena.tiny.region / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((arena.reference / name).read_bytes())


def _finished(arena: Arena, output: Path, figures: Figures) -> None:
    before = state_of(output)
    ended = arena.ends(arena.start(output), figures, "a finished dataset on a read-only disk")
    if ended is not None and (ended.code or "nothing to build" not in ended.out):
        figures.problem("refused again", f"a finished dataset on a read-only disk: exit {ended.code}: {ended.text}")
    checked = arena.commands.run("gcn", "validate", output / arena.tiny.region)
    if checked.code:
        figures.problem("refused again", f"gcn validate on a read-only disk: {checked.text}")
    if state_of(output) != before:
        figures.problem("wrong dataset", "a finished dataset on a read-only disk changed")
