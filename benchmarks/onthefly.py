"""Libraries that cut chips while they are read, against chips that were built first: each chip in memory once."""

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks import machine, ours, peers_env
from benchmarks.place import places_of
from benchmarks.region import Ground
from benchmarks.rows import Claim, LeftOut, Row, evaluate, first_line
from benchmarks.timing import Contestant, Race, Sample, race

CORES = 1
PEERS = ("torchgeo", "xbatcher")
_LAYOUT, _STEP, _BATCH = "windows", 32, 64
_LETTER = {"torchgeo": "(c)", "xbatcher": "(d)"}


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    if ground.plan.name == "quick":
        return evaluate(_claims(), Race({}), dict.fromkeys(PEERS, "a quick run does without"), "")
    try:
        python = peers_env.python_of(ground.directory.parent / "peers")
    except LeftOut as reason:
        return evaluate(_claims(), Race({}), dict.fromkeys(PEERS, first_line(reason)), "")
    missing, peers = {}, []
    for name in PEERS:
        try:
            _check(ground, python, name)
        except LeftOut as reason:
            missing[name] = first_line(reason)
        else:
            peers.append(Contestant(name, partial(_peer, ground, python, name)))
    run = race([*_ours(ground), *peers], ground.plan.rounds)
    return evaluate(_claims(), run, missing, "the last of 40 chips equals that window of the stack, for either library")


def _claims() -> Iterator[Claim]:
    for name in PEERS:
        reference = f"{_LETTER[name]} {name}, nothing written"
        what = f"layout {_LAYOUT}, {ours.DEFAULT_CODEC}, step {_STEP}: "
        yield Claim(f"{name}-built", f"{what}built, then each chip read once", reference, "built and read", name)
        yield Claim(f"{name}-read", f"{what}each chip read once", reference, "read", name)


def _ours(ground: Ground) -> Iterator[Contestant]:
    place = ground.listed(ground.plan.all_partitions, "flight")
    settings = ours.variant(ground.settings, _LAYOUT, step=_STEP)
    ours.finish(place, settings)
    reader = ours.Reader(place)

    def read() -> int:
        for first in range(0, len(reader), _BATCH):
            reader.batch(np.arange(first, min(first + _BATCH, len(reader))))
        return len(reader)

    def build_and_read() -> int:
        reader.close()
        ours.build(place, settings, place.shard("train", 0, 1))
        return read()

    yield Contestant("built and read", build_and_read)
    yield Contestant("read", read)


def _peer(ground: Ground, python: Path, name: str) -> Sample:
    told = _told(ground, python, name, ground.plan.flight_chips)
    return Sample(told["chips"], told["seconds"], None)


def _told(ground: Ground, python: Path, name: str, count: int, *more: str) -> dict[str, Any]:
    """Run a peer; it times itself, so that its start is not counted."""
    script = Path(__file__).with_name(f"peer_{name}.py")
    stack = ground.base.stack_file(places_of(ground.listed(1))[0].year)
    command = [str(python), str(script), str(stack), str(_STEP), str(count), *more]
    done = subprocess.run(command, env=machine.limited_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LeftOut(f"{name} failed: {done.stderr.strip().splitlines()[-1]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _check(ground: Ground, python: Path, name: str, count: int = 40) -> None:
    saved = ground.directory / f"{name}.npy"
    _told(ground, python, name, count, str(saved))
    stack = ground.base.stack_file(places_of(ground.listed(1))[0].year)
    with rasterio.open(stack) as source:
        pixels = source.read()
    per_row = (pixels.shape[2] - 128) // _STEP + 1
    row, col = ((count - 1) // per_row * _STEP, (count - 1) % per_row * _STEP)
    if name == "torchgeo":
        # It starts at the lower left corner, and may go beyond the right edge.
        per_row = -(-(pixels.shape[2] - 128) // _STEP) + 1
        row = pixels.shape[1] - 128 - (count - 1) // per_row * _STEP
        col = (count - 1) % per_row * _STEP
    expected = pixels[:, row : row + 128, col : col + 128]
    if not np.array_equal(np.load(saved), expected):
        raise RuntimeError(f"{name}: chip {count - 1} is not the window at row {row}, column {col}")
    saved.unlink()
