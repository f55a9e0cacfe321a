"""Random batches of 64 chips on one core: from the page cache, and from a cold one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks import competent, limits, ours, peer_files
from benchmarks.peer_files import PeerFiles, ReadBatch
from benchmarks.region import Ground
from benchmarks.rows import Claim, LeftOut, Row, evaluate, first_line
from benchmarks.timing import Contestant, race
from gcn_luigi.errors import GcnLuigiError

CORES = 1
BATCH = 64
_SEED = 8
# Of a file that was to be forgotten.
_MOST_RESIDENT = 0.05
_OURS = (
    ("windows", ours.DEFAULT_CODEC), ("windows", "bitshuffle-lz4"), ("windows", "none"),
    ("chips", ours.DEFAULT_CODEC), ("chips", "bitshuffle-lz4"), ("chips", "none"),
)  # fmt: skip
_SCRIPT = ("deflate", "bitshuffle-lz4", "none")


class Draws:
    """Batches of random numbers without repetition; every contestant draws the same ones.

    Parameters
    ----------
    read : callable
        Reads one batch.
    count : int
        Numbers to draw from.
    batches : int
        In one run.
    """

    def __init__(self, read: ReadBatch, count: int, batches: int) -> None:
        self.read, self._count, self._batches = read, count, batches
        self._random = np.random.default_rng(_SEED)

    def __call__(self) -> int:
        """Read the next batches; return how many chips."""
        for _ in range(self._batches):
            self.read(self._random.choice(self._count, BATCH, replace=False))
        return self._batches * BATCH


@dataclass
class _Reading:
    """What takes part, and why something does not."""

    ground: Ground
    files: PeerFiles
    readers: dict[str, ours.Reader] = field(default_factory=dict)
    shards: dict[str, list[Path]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    reading = _Reading(ground, peer_files.make(ground, _codecs()))
    for layout, codec in _OURS:
        _open_ours(reading, layout, codec)
    plan = ground.plan
    warm = race(list(_warm(reading)), plan.rounds)
    same = f"image and label of {BATCH} random chips equal"
    found = evaluate(_warm_claims(), warm, reading.missing, same)
    cold = race(list(_cold(reading)), plan.rounds, warm_up=False)
    return found + evaluate(_cold_claims(), cold, reading.missing, same)


def _nothing(*_: object) -> None:
    """Do nothing."""


def _codecs() -> Iterator[str]:
    for codec in _SCRIPT:
        try:
            competent.filters_of(codec)
        except ImportError:
            continue
        yield codec


def _open_ours(reading: _Reading, layout: str, codec: str) -> None:
    name = f"{layout} {codec}"
    ground = reading.ground
    place = ground.listed(ground.plan.read_partitions, f"read-{layout}-{codec}")
    try:
        settings = ours.variant(ground.settings, layout, codec)
        if not place.dataset.is_file():
            ours.finish(place, settings)
        reader = ours.Reader(place, cache_mb=_cache_mb(ground))
        _check(reader, reading.files)
    except (LeftOut, GcnLuigiError) as reason:
        reading.missing.update({name: first_line(reason), f"{name} in memory": first_line(reason)})
        return
    reading.readers[name] = reader
    reading.shards[name] = sorted(place.shards.glob("train-*.h5"))
    if layout == "windows" and codec == ours.DEFAULT_CODEC:
        reading.readers[f"{name} in memory"] = ours.Reader(place, preload=True)
        reading.shards[f"{name} in memory"] = reading.shards[name]


def _cache_mb(ground: Ground) -> int:
    """Return what one group of decoded partitions takes: a cache that held all of them would hide the decoding."""
    return -(-min(ours.GROUP, ground.plan.read_partitions) * (9 * 2 + 2) * 256 * 256 // 1_000_000) + 1


def _check(reader: ours.Reader, files: PeerFiles) -> None:
    numbers = np.random.default_rng(_SEED).choice(files.count, min(BATCH, files.count), replace=False)
    made, expected = reader.batch(numbers), files.memmap[numbers]
    same = np.array_equal(made["image"], expected[:, : competent.LABEL])
    if len(reader) != files.count or not (same and np.array_equal(made["label"], expected[:, competent.LABEL])):
        raise RuntimeError("our reader's pixels differ from those of the array")


def _warm(reading: _Reading) -> Iterator[Contestant]:
    plan, files = reading.ground.plan, reading.files
    for name, reader in reading.readers.items():
        fast = "in memory" in name or name.endswith("none")
        batches = plan.fast_batches if fast else max(1, plan.fast_batches // 4)
        yield Contestant(name, Draws(reader.batch, files.count, batches))
        if name.startswith("windows") and "in memory" not in name:
            yield Contestant(f"{name} grouped", partial(_grouped, reader, plan.fast_batches))
    yield Contestant("memmap", Draws(peer_files.read_memmap(files, BATCH), files.count, plan.fast_batches))
    for codec in _SCRIPT:
        batches = plan.slow_batches if codec == "deflate" else plan.fast_batches // 2 or 1
        yield from _script(reading, f"h5py {codec}", codec, batches)
    yield Contestant("tif", Draws(peer_files.read_rasters(files, BATCH), files.file_count, plan.slow_batches))
    if peer_files.has_torch():
        yield Contestant("pt", Draws(peer_files.read_tensors(files), files.file_count, plan.slow_batches))
    else:
        reading.missing["pt"] = "torch is not installed"


def _script(reading: _Reading, name: str, codec: str, batches: int) -> Iterator[Contestant]:
    try:
        read = peer_files.read_hdf5(reading.files, codec, BATCH)
    except ImportError:
        reading.missing[name] = "hdf5plugin is not installed"
        return
    yield Contestant(name, Draws(read, reading.files.count, batches))


def _cold(reading: _Reading) -> Iterator[Contestant]:
    """Yield contestants whose files are closed and out of the page cache before each run, and opened in it."""
    plan, files = reading.ground.plan, reading.files
    array = [files.array]
    yield _forgetful(
        "memmap", array, _draws(lambda: peer_files.read_memmap(files, BATCH), files.count, plan.cold_batches)
    )
    yield _forgetful("memmap epoch", array, _epoch(lambda: peer_files.read_memmap(files, BATCH), files.count))
    for name, reader in reading.readers.items():
        paths = reading.shards[name]
        if "in memory" in name:
            yield _forgetful(f"{name} epoch", paths, _epoch(partial(_preloaded, reader), files.count), reader.close)
            continue
        yield _forgetful(name, paths, _draws(lambda r=reader: r.batch, files.count, plan.cold_batches), reader.close)
        if name.startswith("windows"):
            yield _forgetful(f"{name} grouped", paths, partial(_grouped, reader, plan.cold_batches), reader.close)
            yield _forgetful(f"{name} grouped epoch", paths, partial(_grouped, reader, None), reader.close)


def _preloaded(reader: ours.Reader) -> ReadBatch:
    reader.preload()
    return reader.batch


def _grouped(reader: ours.Reader, batches: int | None) -> int:
    """Read so many batches of an epoch shuffled in groups, or all of it."""
    return sum(len(batch["image"]) for batch in islice(reader.grouped(BATCH, _SEED), batches))


def _draws(opened: Callable[[], ReadBatch], count: int, batches: int) -> Callable[[], int]:
    draws = Draws(_nothing, count, batches)

    def run() -> int:
        draws.read = opened()
        done = draws()
        # Pages of a file that is still mapped cannot be forgotten.
        draws.read = _nothing
        return done

    return run


def _epoch(opened: Callable[[], ReadBatch], count: int) -> Callable[[], int]:
    """Return what reads every chip once, in one random order for all."""
    order = np.random.default_rng(_SEED).permutation(count)[: count - count % BATCH].reshape(-1, BATCH)

    def run() -> int:
        read = opened()
        for numbers in order:
            read(numbers)
        return order.size

    return run


def _forgetful(
    name: str, paths: list[Path], run: Callable[[], int], close: Callable[[], None] = _nothing
) -> Contestant:
    def before() -> None:
        close()
        limits.forget(paths)
        left = max(limits.resident_share(path) for path in paths)
        if left > _MOST_RESIDENT:
            raise RuntimeError(f"{left:.0%} of a file of {name} stayed in the page cache")

    return Contestant(name, run, before=before)


def _warm_claims() -> Iterator[Claim]:
    default = ours.DEFAULT_CODEC
    what = "random batches, "
    yield Claim(
        "read-memory",
        f"{what}windows in memory",
        "np.memmap of chips, warm",
        f"windows {default} in memory",
        "memmap",
        1.0,
    )
    yield Claim(
        "read-bitshuffle",
        f"{what}chips, bitshuffle-lz4",
        "np.memmap of chips, warm",
        "chips bitshuffle-lz4",
        "memmap",
        0.35,
    )
    yield Claim(
        "read-bitshuffle-grouped",
        f"windows, bitshuffle-lz4, {ours.GROUP} partitions shuffled at once",
        "np.memmap of chips, warm",
        "windows bitshuffle-lz4 grouped",
        "memmap",
        0.35,
    )
    yield Claim("read-deflate", f"{what}chips, {default}", "h5py gzip, d[i]", f"chips {default}", "h5py deflate", 3.0)
    yield Claim(
        "read-h5-bitshuffle",
        f"{what}chips, bitshuffle-lz4",
        "h5py bitshuffle-lz4, d[i]",
        "chips bitshuffle-lz4",
        "h5py bitshuffle-lz4",
    )
    yield Claim("read-h5-none", f"{what}chips, none", "h5py without codec, d[i]", "chips none", "h5py none")
    yield Claim(
        "read-windows", f"{what}windows from disk, {default}", "h5py gzip, d[i]", f"windows {default}", "h5py deflate"
    )
    yield Claim(
        "read-windows-bitshuffle",
        f"{what}windows from disk, bitshuffle-lz4",
        "h5py bitshuffle-lz4, d[i]",
        "windows bitshuffle-lz4",
        "h5py bitshuffle-lz4",
    )
    yield Claim("read-pt", f"{what}chips, {default}", "one .pt file per chip, float32", f"chips {default}", "pt")
    yield Claim("read-tif", f"{what}chips, {default}", "one GeoTIFF per chip", f"chips {default}", "tif")


def _cold_claims() -> Iterator[Claim]:
    what, default = "random batches, cold, ", ours.DEFAULT_CODEC
    for layout, codec in _OURS:
        named = (f"{what}{layout}, {codec}", "np.memmap of chips, cold")
        yield Claim(f"cold-{layout}-{codec}", *named, f"{layout} {codec}", "memmap", 5.0 if layout == "chips" else None)
    for layout, codec in _OURS:
        if layout == "windows":
            named = (f"cold, windows, {codec}, {ours.GROUP} partitions shuffled at once", "np.memmap of chips, cold")
            yield Claim(f"cold-{codec}-grouped", *named, f"{layout} {codec} grouped", "memmap", 5.0)
    epoch = ("np.memmap of chips, cold, an epoch", "memmap epoch")
    named = f"an epoch, cold, windows, {default}: read into memory first"
    yield Claim("cold-memory-epoch", named, epoch[0], f"windows {default} in memory epoch", epoch[1])
    for codec in (default, "bitshuffle-lz4"):
        named = f"an epoch, cold, windows, {codec}: {ours.GROUP} partitions shuffled at once"
        yield Claim(f"cold-grouped-epoch-{codec}", named, epoch[0], f"windows {codec} grouped epoch", epoch[1])
