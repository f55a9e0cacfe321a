"""Chips in memory to a published shard, against the same bytes to a plain file."""

import shutil
from collections.abc import Iterator
from itertools import islice

import numpy as np

from benchmarks import competent, limits, ours
from benchmarks.place import places_of
from benchmarks.region import Ground
from benchmarks.rows import Claim, LeftOut, Row, evaluate, first_line
from benchmarks.timing import Contestant, race

CORES = 1


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    place = ground.listed(ground.plan.all_partitions)
    places = places_of(place)[: ground.plan.written_partitions]
    partitions = [_split(chips) for chips in islice(competent.chips_of(places, place.stack, 32), len(places))]
    arrays = [array for pixels in partitions for array in pixels.values()]
    scratch = ground.directory / "writing"
    scratch.mkdir(exist_ok=True)
    shard, plain = scratch / "shard.h5", scratch / "plain.bin"
    contestants = [Contestant("raw", lambda: limits.write_raw(plain, arrays), after=plain.unlink)]
    missing = {}
    try:
        settings = ours.variant(ground.settings, codec="none")
        contestants.insert(
            0, Contestant("shard", lambda: ours.write_chips(shard, settings, places[0], partitions), after=shard.unlink)
        )
    except LeftOut as reason:
        missing["shard"] = first_line(reason)
    run = race(contestants, ground.plan.rounds)
    shutil.rmtree(scratch)
    return evaluate(_claims(), run, missing, "")


def _claims() -> Iterator[Claim]:
    what = "write a shard, codec none, synced and renamed"
    yield Claim("write", what, "os.write of the same bytes + fsync", "shard", "raw", 0.85, "bytes/s")


def _split(chips: np.ndarray) -> dict[str, np.ndarray]:
    label = np.ascontiguousarray(chips[:, competent.LABEL].astype(np.uint8))
    return {
        "image": np.ascontiguousarray(chips[:, : competent.LABEL]),
        "label": label,
        "flags": np.zeros_like(label),
    }
