"""Finished files that are no longer what was published: each is made anew, and nothing else."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from gcn_luigi.io.publish.atomic import is_temporary
from gcn_luigi.tasks.graph import upstream
from tests.faults.arena import Arena, files_below, named
from tests.faults.figures import Figures
from tests.integration.builds import build_inline

_MOST = 3
_RECORDS = ".gcn"


def damaged(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Damage one to three files of a finished dataset in all ways, and build again in this process."""
    figures = Figures()
    output = arena.fresh(arena.reference)
    # Copied, so its times say nothing: once, all bytes are compared with their digests.
    build_inline(arena.task(output), page=True)
    arena.equals(output, figures, "copying")
    names = sorted(files_below(arena.reference))
    siblings = _siblings(arena, output)
    for _ in range(count):
        chosen = rng.sample(names, rng.randint(1, _MOST))
        before = {name: _state(output / arena.tiny.region / name) for name in names}
        done = [_damage(arena, output, name, rng, figures) for name in chosen]
        hurt = {name for name, kind in zip(chosen, done, strict=True) if kind}
        what = ", ".join(f"{name} {kind}" for name, kind in zip(chosen, done, strict=True))
        build_inline(arena.task(output), page=True)
        figures.builds += 1
        _check_made(arena, output, before, hurt, siblings, figures, what)
    arena.equals(output, figures, "all damage")
    arena.drop(output)
    return figures


def _check_made(
    arena: Arena,
    output: Path,
    before: dict[str, tuple[int, int]],
    hurt: set[str],
    siblings: dict[str, set[str]],
    figures: Figures,
    what: str,
) -> None:
    """Check that what was damaged was made anew, with equal bytes, and that files of other tasks were left alone."""
    directory = output / arena.tiny.region
    if wrong := arena.differences(output, figures):
        figures.problem("wrong dataset", f"{what}: {named(wrong)}")
    if left := [path.name for path in output.rglob("*") if is_temporary(path)]:
        figures.problem("temporary file", f"{what}: {named(left)}")
    # What was damaged and now has its bytes back was made anew.
    made = {name for name, state in before.items() if name not in hurt and _state(directory / name) != state}
    if stray := sorted(made - {file for name in hurt for file in siblings[name]}):
        figures.problem("made without need", f"{what}: {named(stray)}")


def _siblings(arena: Arena, output: Path) -> dict[str, set[str]]:
    """Return the files that are made by the same task as a file, sidecars included."""
    root = arena.task(output)
    directory = output.resolve() / arena.tiny.region
    found: dict[str, set[str]] = {}
    for task in (*upstream(root), root):
        paths = [path for target in task.targets() for path in (target.path, target.sidecar)]
        together = {path.relative_to(directory).as_posix() for path in paths}
        found |= dict.fromkeys(together, together)
    return found


def _damage(arena: Arena, output: Path, name: str, rng: random.Random, figures: Figures) -> str:
    """Damage one file; return how, or nothing if its bytes came out as they were."""
    path, whole = output / arena.tiny.region / name, (arena.reference / name).read_bytes()
    kind = rng.choice(sorted(_KINDS))
    status = path.stat()
    if kind == "deleted":
        path.unlink()
    else:
        others = [other for other in sorted(files_below(arena.reference)) if other != name]
        content = _KINDS[kind](whole, rng, arena.reference / rng.choice(others))
        if content == whole:
            return ""
        # In place, or as a file of its own under the old name.
        if rng.random() < 0.3:
            path.unlink()
        path.write_bytes(content)
        if rng.random() < 0.5:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            kind += ", old time"
    figures.faults[("sidecar " if name.startswith(_RECORDS) else "file ") + kind] += 1
    return kind


def _flipped(whole: bytes, rng: random.Random, _other: Path) -> bytes:
    content = bytearray(whole)
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _half_written(whole: bytes, rng: random.Random, _other: Path) -> bytes:
    # As after a power cut: the length is there, the last blocks are not.
    kept = rng.randrange(len(whole))
    return whole[:kept] + bytes(len(whole) - kept)


_KINDS: dict[str, Callable[[bytes, random.Random, Path], bytes]] = {
    "truncated": lambda whole, rng, _: whole[: rng.randrange(len(whole))],
    "zeroed": lambda whole, *_: bytes(len(whole)),
    "bit flipped": _flipped,
    "half written": _half_written,
    "emptied": lambda *_: b"",
    "longer": lambda whole, rng, _: whole + rng.randbytes(rng.randint(1, 100)),
    "another file": lambda _whole, _rng, other: other.read_bytes(),
    "deleted": lambda *_: b"",
}


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
