"""Find chips with equal bytes in all shards of a dataset. The comparison is exact, but most chips are never read."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from gcn_luigi.io.shard.format import PIXELS
from gcn_luigi.io.shard.reader import ShardReader, open_shard

Place = tuple[str, int]

# Chunks end with a checksum in every codec but ``none``, which keeps CRC-32 in columns.
_TAIL_BYTES = 16
_DIGEST_BYTES = 16


def content_keys(shards: Path, places: Sequence[Place]) -> list[bytes]:
    """Return a key for each chip. Two keys are equal if image, label and flags of both chips are equal to the byte.

    The confidence of the label does not count: it may differ between chips of the same ground.

    `places` (chip,) are the name of each chip's shard in the directory `shards`, and its position there. In the layout
    ``chips`` stored chunks are compared, because codecs are deterministic and store equal chips as equal bytes. Chips
    are compared first by their sizes, then by their last bytes; only chips that are equal in both are read completely.
    In the layout ``windows`` each window with a chip is decoded once, and its chips are compared after cutting. Raise
    ShardError if a shard is missing or damaged.
    """
    keys = [b""] * len(places)
    for key in (_sizes, _tails, _digests):
        counts = Counter(keys)
        by_shard: dict[str, list[int]] = defaultdict(list)
        for position, (name, _) in enumerate(places):
            if counts[keys[position]] > 1:
                by_shard[name].append(position)
        for name, positions in sorted(by_shard.items()):
            with open_shard(shards / name) as shard:
                found = key(shard, [places[position][1] for position in positions])
                for position, more in zip(positions, found, strict=True):
                    keys[position] += more
    return keys


def _sizes(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    """Yield the sizes of chips from the shard's index, without reading chips; an empty key for windows."""
    arrays = [shard.arrays[name] for name in PIXELS] if shard.layout == "chips" else []
    for row in rows:
        known = [int(array.sizes[row]) for array in arrays]
        known += [int(array.checksums[row]) for array in arrays if array.codec == "none"]
        yield np.array(known, np.int64).tobytes()


def _tails(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    """Yield the last bytes of the image as stored; an empty key for windows."""
    for row in rows:
        if shard.layout == "windows":
            yield b""
        else:
            yield shard.stored("image", row, max(int(shard.arrays["image"].sizes[row]) - _TAIL_BYTES, 0))


def _digests(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    if shard.layout == "windows":
        yield from _digests_of_windows(shard, rows)
        return
    for row in rows:
        yield blake2b(b"".join(shard.stored(name, row) for name in PIXELS), digest_size=_DIGEST_BYTES).digest()


def _digests_of_windows(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    """Yield digests of chips after cutting them. Each window is decoded once."""
    digests = {row: blake2b(digest_size=_DIGEST_BYTES) for row in rows}
    asked = np.array(sorted(digests))
    for name, array in ((name, shard.arrays[name]) for name in PIXELS):
        window = np.empty((1, *array.shape[1:]), array.dtype)
        # One chip is cut at a time, because with a small step all chips of a window need many times its memory.
        chip = np.empty((1, *array.shape[1:-2], shard.chip_size, shard.chip_size), array.dtype)
        for row in np.unique(shard.places[asked, 0]).tolist():
            shard.read_row(name, row, window[0])
            for position in asked[shard.places[asked, 0] == row].tolist():
                place = np.array([[0, *shard.places[position, 1:]]])
                digests[position].update(shard.cut(name, window, place, shard.extents[row : row + 1], chip).tobytes())
    return (digests[row].digest() for row in rows)
