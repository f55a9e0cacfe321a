"""Mask and cut in memory as a build does, against a copy of as many bytes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import rasterio
from rasterio.windows import Window

from benchmarks import competent, limits, ours
from benchmarks.place import places_of
from benchmarks.region import Ground
from benchmarks.rows import Claim, Row, evaluate
from benchmarks.timing import Contestant, race

CORES = 2
_HELD = 8
# Bytes: more than any cache.
_LARGE = 400_000_000


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    found = []
    for step in (32, 8):
        found += _rows_of(ground, step)
    return found


def _rows_of(ground: Ground, step: int) -> list[Row]:
    settings = ours.variant(ground.settings, step=step)
    stacks, nodata = _stacks(ground)
    # As many chips at either step.
    turns = max(2, ground.plan.kernel_partitions * (25 if step == 8 else 289) // 289)
    kernels = [ours.MaskAndCut(settings, stacks[0].shape[1:]) for _ in range(2)]
    n_bytes = kernels[0].n_bytes
    whole = (n_bytes // (2 * len(stacks[0]) * competent.CHIP**2), len(stacks[0]), competent.CHIP, competent.CHIP)
    buffer = np.empty(whole, np.int16)
    size = kernels[0].buffer_bytes
    reused, large, copies = (limits.Copy(size), limits.Copy(size)), limits.Copy(_LARGE), turns * n_bytes // size

    def one(kernel: ours.MaskAndCut, count: int) -> int:
        for number in range(count):
            for _ in kernel(stacks[number % len(stacks)]):
                pass
        return count * n_bytes

    def script() -> int:
        for number in range(turns):
            stack = stacks[number % len(stacks)].copy()
            competent.fill_missing(stack, nodata)
            competent.cut(stack, step, buffer)
        return turns * n_bytes

    _check(kernels[0], stacks[0], nodata, step, buffer)
    # With one core too many, threads of numpy or GDAL could help in secret; there are none here.
    with ThreadPoolExecutor(2) as pool:
        run = race(
            [
                Contestant("one", lambda: one(kernels[0], turns)),
                Contestant("copy", lambda: reused[0](copies)),
                Contestant("two copies", lambda: sum(pool.map(lambda copy: copy(copies), reused))),
                Contestant("two", lambda: sum(pool.map(one, kernels, (turns, turns)))),
                Contestant("script", script),
                Contestant("large copy", lambda: large(max(1, turns * n_bytes // _LARGE))),
            ],
            ground.plan.rounds,
        )
    same = "image and label of one partition equal"
    return evaluate(_claims(step), run, {}, same)


def _claims(step: int) -> Iterator[Claim]:
    what = f"mask and cut into a reused buffer, step {step}"
    unit = "bytes/s"
    marked = step == 32
    yield Claim(
        f"kernel-{step}", f"{what}, 1 thread", "np.copyto, reused buffer", "one", "copy", 1.0 if marked else None, unit
    )
    yield Claim(f"kernel-large-{step}", f"{what}, 1 thread", "np.copyto, large array", "one", "large copy", None, unit)
    yield Claim(
        f"kernel-script-{step}", f"{what}, 1 thread", "the script's numpy, reused buffer", "one", "script", None, unit
    )
    yield Claim(f"kernel-threads-{step}", f"{what}, 2 threads", "1 thread", "two", "one", 1.5 if marked else None, unit)
    yield Claim(
        f"copy-threads-{step}",
        "for comparison: np.copyto, reused buffers, 2 threads",
        "1 thread",
        "two copies",
        "copy",
        None,
        unit,
    )


def _stacks(ground: Ground) -> tuple[list[np.ndarray], tuple[float, ...]]:
    place = ground.listed(ground.plan.all_partitions)
    stacks = []
    for item in islice(places_of(place), _HELD):
        with rasterio.open(place.stack(item.year)) as source:
            window = item.window
            stacks.append(source.read(window=Window(window.col, window.row, window.width, window.height)))
            nodata = source.nodatavals
    return stacks, nodata


def _check(
    kernel: ours.MaskAndCut, stack: np.ndarray, nodata: tuple[float, ...], step: int, buffer: np.ndarray
) -> None:
    expected = stack.copy()
    competent.fill_missing(expected, nodata)
    left = competent.cut(expected, step, buffer)
    for batch in kernel(stack):
        these, left = np.split(left, [len(batch["image"])])
        same = np.array_equal(batch["image"], these[:, : competent.LABEL])
        if not (same and np.array_equal(batch["label"], these[:, competent.LABEL])):
            raise RuntimeError(f"step {step}: the kernels' pixels differ from numpy's")
    if len(left):
        raise RuntimeError(f"step {step}: {len(left)} chips are lacking")
