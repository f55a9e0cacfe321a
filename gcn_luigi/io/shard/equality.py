"""Chips told apart by their bytes, over all shards of a dataset: exact, and most are never read."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from gcn_luigi.io.shard.format import PIXELS
from gcn_luigi.io.shard.reader import ShardReader, open_shard
from gcn_luigi.prepare.chips.chips import cut_chips

Place = tuple[str, int]
_Key = Callable[[ShardReader, list[int]], Iterator[bytes]]

# Chunks end with a checksum in every codec but ``none``, which keeps CRC-32 in columns.
_TAIL_BYTES = 16
_DIGEST_BYTES = 16


def content_keys(shards: Path, places: Sequence[Place]) -> list[bytes]:
    """Return keys of chips that are equal where image, label and flags of two chips are equal to the byte.

    In the layout ``chips`` stored chunks are compared: codecs are deterministic, so equal chips are stored as equal
    bytes. First by their sizes, then by their last bytes, and only chips that are alike in both are read whole. In the
    layout ``windows`` each window that holds a chip is decoded once, and its chips are compared as they are cut.

    Parameters
    ----------
    shards : Path
        Directory of the shards.
    places : sequence of tuple
        (chip,): name of its shard and its position there.

    Returns
    -------
    list of bytes
        (chip,).

    Raises
    ------
    ShardError
        A shard is missing or damaged.
    """
    keys = [b""] * len(places)
    for key in (_sizes, _tails, _digests):
        counts = Counter(keys)
        by_shard: dict[str, list[int]] = defaultdict(list)
        for position, (name, _) in enumerate(places):
            if counts[keys[position]] > 1:
                by_shard[name].append(position)
        for name in sorted(by_shard):
            positions = by_shard[name]
            with open_shard(shards / name) as shard:
                found = key(shard, [places[position][1] for position in positions])
                for position, more in zip(positions, found, strict=True):
                    keys[position] += more
    return keys


def _sizes(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    """Yield what the shard's index knows of chips without reading one; nothing of windows."""
    arrays = shard.arrays.values() if shard.layout == "chips" else ()
    for row in rows:
        known = [int(array.sizes[row]) for array in arrays]
        known += [int(array.checksums[row]) for array in arrays if array.codec == "none"]
        yield np.array(known, np.int64).tobytes()


def _tails(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    """Yield the last bytes of the image as stored; nothing of windows."""
    for row in rows:
        if shard.layout == "windows":
            yield b""
        else:
            yield shard.stored("image", row, max(int(shard.arrays["image"].sizes[row]) - _TAIL_BYTES, 0))


def _digests(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    return _of_windows(shard, rows) if shard.layout == "windows" else _of_chunks(shard, rows)


def _of_chunks(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    for row in rows:
        digest = blake2b(digest_size=_DIGEST_BYTES)
        for name in PIXELS:
            digest.update(shard.stored(name, row))
        yield digest.digest()


def _of_windows(shard: ShardReader, rows: list[int]) -> Iterator[bytes]:
    """Yield digests of chips as they are cut; each window is decoded once."""
    found: dict[int, bytes] = {}
    whole = {name: np.empty(array.shape[1:], array.dtype) for name, array in shard.arrays.items()}
    places, asked = shard.places, np.unique(rows)
    for window in np.unique(places[asked, 0]).tolist():
        chips = asked[places[asked, 0] == window]
        height, width = shard.extents[window].tolist()
        digests = [blake2b(digest_size=_DIGEST_BYTES) for _ in chips]
        for name, pixels in whole.items():
            shard.read_row(name, window, pixels)
            inside = pixels[..., :height, :width]
            for chip, digest in zip(chips, digests, strict=True):
                # One at a time: of a small step, the chips of a window are many times its size.
                cut = cut_chips(
                    inside, places[chip : chip + 1, 1:], shard.chip_size, edge=shard.edge, fill=shard.fills[name]
                )
                digest.update(cut.tobytes())
        found |= {int(chip): digest.digest() for chip, digest in zip(chips, digests, strict=True)}
    return (found[row] for row in rows)
