"""End to end: read, mask, cut, compress, write; ours with two workers, with two threads, and bound to one core."""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import rasterio

from benchmarks import competent, ours, published
from benchmarks.floor import floor_of
from benchmarks.place import places_of
from benchmarks.region import Ground
from benchmarks.rows import Claim, LeftOut, Row, evaluate, first_line
from benchmarks.timing import Contestant, race
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.settings import Codec

CORES = 2
CODECS: tuple[Codec, ...] = ("deflate", "bitshuffle-lz4", "zstd", "none")
_CHECKED = 2
# Builds that run with two threads in one process as well.
_THREADED = ("windows 32", "chips deflate")
_FLOOR = "the floor: libraries inflate, compress and write the same bytes, and nothing else"
_FLOOR_TARGET = 0.75
_TARGETS = {"deflate": 2.0, "bitshuffle-lz4": 1.5, "none": 1.2}
_SAME = (
    "image and label of every chip of two partitions are equal, each build compared with the script (b), and the "
    "build in legacy mode with (a), whose rules for missing samples differ"
)


@dataclass
class _Field:
    """The contestants so far, and the reasons of those that cannot run."""

    ground: Ground
    scratch: Path
    # As many as cores; each builds a shard of its own.
    workers: ProcessPoolExecutor
    contestants: list[Contestant] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Callable[[int], int]] = field(default_factory=dict)

    @property
    def everything(self) -> DatasetPaths:
        return self.ground.listed(self.ground.plan.all_partitions)


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    # Luigi's workers are processes as well, and import everything before they are given a task.
    with ProcessPoolExecutor(CORES, multiprocessing.get_context("spawn")) as workers:
        return _rows(_Field(ground, ground.directory / "endtoend", workers))


def _rows(field_: _Field) -> list[Row]:
    ground = field_.ground
    shutil.rmtree(field_.scratch, ignore_errors=True)
    field_.scratch.mkdir()
    for name, layout, codec, step in _entries():
        _add_ours(field_, name, layout, codec, step)
    for name, *_ in _entries():
        if name not in field_.missing:
            _on_one_core(field_, name)
    for name, layout, codec, step in _entries():
        _add_floor(field_, name, layout, codec, step)
    for codec in CODECS:
        _add_script(field_, codec)
    _add_published(field_)
    _check_published(ground, field_.scratch)
    run = race(field_.contestants, ground.plan.rounds, warm_up=ground.plan.rounds > 1)
    for name in [name for name in field_.missing if name in {entry[0] for entry in _entries()}]:
        for other in (f"{name}, threads", f"{name}, one core", f"floor {name}", f"floor {name}, one core"):
            field_.missing[other] = field_.missing[name]
    found = evaluate(_claims(), run, field_.missing, _SAME)
    found.insert(3, _bytes_a_chip(field_))
    shutil.rmtree(field_.scratch)
    return found


def _entries() -> Iterator[tuple[str, str, Codec, int]]:
    yield "windows 32", "windows", ours.DEFAULT_CODEC, 32
    yield "windows 8", "windows", ours.DEFAULT_CODEC, 8
    yield "windows none", "windows", "none", 32
    yield "windows 8 none", "windows", "none", 8
    for codec in CODECS:
        yield f"chips {codec}", "chips", codec, 32


def _claims() -> Iterator[Claim]:
    codec = ours.DEFAULT_CODEC
    whole = f"whole build, layout windows, {codec}"
    one_core = "one worker on one core"
    yield Claim("published-32", f"{whole}, step 32", "(a) published way", "windows 32", "published 32", 50)
    yield Claim(
        "published-32-chips",
        f"whole build, layout chips, {codec}, step 32",
        "(a) published way",
        f"chips {codec}",
        "published 32",
    )
    yield Claim(
        "published-8",
        f"{whole}, step 8: chips available to a reader",
        "(a) published way",
        "windows 8",
        "published 8",
        450,
    )
    for codec in CODECS:
        what = f"whole build, layout chips, {codec}, step 32"
        yield Claim(
            f"script-{codec}", what, "(b) script, same codec", f"chips {codec}", f"script {codec}", _TARGETS.get(codec)
        )
    yield Claim(
        "published-32-none",
        "whole build, layout windows, none, step 32",
        "(a) published way",
        "windows none",
        "published 32",
    )
    yield Claim(
        "published-8-none",
        "whole build, layout windows, none, step 8: chips available to a reader",
        "(a) published way",
        "windows 8 none",
        "published 8",
    )
    yield Claim(
        "published-32-core",
        f"{whole}, step 32, {one_core}",
        "(a) published way",
        "windows 32, one core",
        "published 32",
    )
    yield Claim(
        "published-8-core", f"{whole}, step 8, {one_core}", "(a) published way", "windows 8, one core", "published 8"
    )
    for codec in CODECS:
        what = f"whole build, layout chips, {codec}, step 32, {one_core}"
        yield Claim(
            f"script-{codec}-core", what, "(b) script, same codec", f"chips {codec}, one core", f"script {codec}"
        )
    for codec in CODECS:
        what = f"whole build, layout chips, {codec}, step 32"
        yield Claim(
            f"script-tif-{codec}", what, "(b) script on one GeoTIFF per year", f"chips {codec}", f"script tif {codec}"
        )
    for name, layout, codec, step in _entries():
        what = f"whole build, layout {layout}, {codec}, step {step}"
        key = name.replace(" ", "-")
        floor = f"floor {name}"
        yield Claim(f"floor-{key}", what, _FLOOR, name, floor, _FLOOR_TARGET)
        alone = (f"{name}, one core", f"{floor}, one core")
        yield Claim(f"floor-{key}-core", f"{what}, {one_core}", f"{_FLOOR}, {one_core}", *alone, _FLOOR_TARGET)
        if name in _THREADED:
            yield Claim(
                f"floor-{key}-threads", f"{what}, two threads in one process", _FLOOR, f"{name}, threads", floor
            )


def _add_ours(field_: _Field, name: str, layout: str, codec: str, step: int) -> None:
    place = field_.everything
    out = field_.scratch / f"{name.replace(' ', '-')}.h5"
    n_chips = len(places_of(place)) * ((256 - competent.CHIP) // step + 1) ** 2
    try:
        settings = ours.variant(field_.ground.settings, layout, codec, step=step)
        _check_ours(field_.ground, layout, codec, step)
    except (LeftOut, GcnLuigiError) as reason:
        field_.missing[name] = first_line(reason)
        return

    def run(threads: int) -> int:
        ours.build(place, settings, out, threads=threads)
        return n_chips

    shards = [out.with_name(f"{out.stem}-{number}.h5") for number in range(CORES)]

    def run_shards() -> int:
        under_way = [
            field_.workers.submit(ours.build, place, settings, path, number=number, total=CORES)
            for number, path in enumerate(shards)
        ]
        for future in under_way:
            future.result()
        return n_chips

    def remove_shards() -> None:
        for path in shards:
            path.unlink()

    field_.runs[name] = run
    field_.contestants.append(Contestant(name, run_shards, after=remove_shards))
    if name in _THREADED:
        field_.contestants.append(Contestant(f"{name}, threads", partial(run, CORES), after=out.unlink))


def _add_floor(field_: _Field, name: str, layout: str, codec: Codec, step: int) -> None:
    if name in field_.missing:
        return
    floor = floor_of(field_.everything, layout, codec, step)
    out = field_.scratch / f"floor-{name.replace(' ', '-')}.h5"
    n_chips = floor.n_partitions * ((256 - competent.CHIP) // step + 1) ** 2

    def run(threads: int) -> int:
        floor.run(out, threads)
        return n_chips

    field_.runs[f"floor {name}"] = run
    field_.contestants.append(Contestant(f"floor {name}", partial(run, CORES), after=out.unlink))
    _on_one_core(field_, f"floor {name}")


def _on_one_core(field_: _Field, name: str) -> None:
    """Let a build run once more in every round, with one thread, bound to one core."""
    cores = os.sched_getaffinity(0)
    out = field_.scratch / f"{name.replace(' ', '-')}.h5"

    def free() -> None:
        os.sched_setaffinity(0, cores)
        out.unlink()

    bind = partial(os.sched_setaffinity, 0, {min(cores)})
    field_.contestants.append(Contestant(f"{name}, one core", partial(field_.runs[name], 1), bind, free))


def _add_script(field_: _Field, codec: str) -> None:
    plan = field_.ground.plan
    slow = codec == "deflate"
    place = field_.ground.listed(plan.slow_partitions if slow else plan.all_partitions)
    out = field_.scratch / f"script-{codec}.h5"
    for name, stack_of in ((f"script {codec}", place.stack), (f"script tif {codec}", field_.ground.base.stack_file)):
        try:
            competent.filters_of(codec)
        except ImportError:
            field_.missing[name] = "hdf5plugin is not installed"
            continue
        run = partial(competent.export, places_of(place), stack_of, out, 32, codec)
        field_.contestants.append(Contestant(name, run, after=out.unlink))


def _add_published(field_: _Field) -> None:
    plan = field_.ground.plan
    for step, count in ((32, plan.few_partitions), (8, plan.fewest_partitions)):
        partitions = _partition_files(field_.ground, count)
        chips = field_.scratch / f"published-{step}"
        field_.contestants.append(
            Contestant(
                f"published {step}",
                partial(published.export, partitions, chips, step),
                before=partial(chips.mkdir, exist_ok=True),
                after=partial(shutil.rmtree, chips),
            )
        )


def _partition_files(ground: Ground, count: int) -> list[Path]:
    """Return partitions as files, as the clip step left them; making them is not timed."""
    place = ground.listed(count)
    directory = place.root / "clips"
    directory.mkdir(exist_ok=True)
    made = []
    for item in places_of(place):
        path = directory / f"train_pt_id_{item.partition}_partition_year_{item.year}_grid.tif"
        if not path.is_file():
            published.lay_partition(place.stack(item.year), item, path)
        made.append(path)
    return made


def _check_ours(ground: Ground, layout: str, codec: str, step: int) -> None:
    place = ground.listed(_CHECKED, f"check-{layout}-{codec}-{step}")
    ours.finish(place, ours.variant(ground.settings, layout, codec, step=step))
    reader = ours.Reader(place)
    first = 0
    for expected in competent.chips_of(places_of(place), place.stack, step):
        made = reader.batch(np.arange(first, first + len(expected)))
        same = np.array_equal(made["image"], expected[:, : competent.LABEL])
        if not (same and np.array_equal(made["label"], expected[:, competent.LABEL])):
            raise RuntimeError(f"layout {layout}, codec {codec}, step {step}: pixels differ from the script's")
        first += len(expected)
    if first != len(reader):
        raise RuntimeError(f"layout {layout}, codec {codec}, step {step}: {len(reader)} chips, not {first}")


def _check_published(ground: Ground, scratch: Path) -> None:
    place = ground.listed(_CHECKED, "check-legacy")
    ours.finish(place, ours.variant(ground.settings, mode="legacy"))
    reader, number = ours.Reader(place), 0
    for item in places_of(place):
        clip = scratch / "legacy.tif"
        published.lay_partition(place.stack(item.year), item, clip)
        published.export([clip], scratch, 32)
        fixed = scratch / "legacy_corrected.tif"
        for row in range(0, 129, 32):
            for col in range(0, 129, 32):
                with rasterio.open(published.chip_path(scratch, fixed, row, col)) as source:
                    chip = source.read()
                made = reader.batch(np.array([number]))
                label = chip[published.CLASS_BAND]
                if not (np.array_equal(made["image"][0], chip[:9]) and np.array_equal(made["label"][0], label)):
                    raise RuntimeError(f"legacy chip {number}: pixels differ from the published way's")
                number += 1


def _bytes_a_chip(field_: _Field) -> Row:
    """Compare what a chip takes on disk at step 8: all files of the published way, our shard whole."""
    row = {
        "key": "bytes-8",
        "what": f"bytes per chip, layout windows, {ours.DEFAULT_CODEC}, step 8 (how many times fewer)",
        "reference": "(a) published way",
        "unit": "bytes per chip",
        "target": 100.0,
    }
    if reason := field_.missing.get("windows 8"):
        return Row(**row, left_out=reason)
    place, out = field_.everything, field_.scratch / "bytes.h5"
    ours.build(place, ours.variant(field_.ground.settings, "windows", step=8), out)
    mine = out.stat().st_size / (len(places_of(place)) * 289)
    chips = field_.scratch / "bytes"
    chips.mkdir()
    partitions = _partition_files(field_.ground, field_.ground.plan.fewest_partitions)
    count = published.export(partitions, chips, 8)
    theirs = sum(path.stat().st_size for path in chips.glob("grid_tile_*")) / count
    ratio = theirs / mine
    return Row(**row, ours=mine, theirs=theirs, ratio=ratio, low=ratio, high=ratio)
