"""Small shards of random chips, with the pixels they were made from."""

import dataclasses

import numpy as np

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.shard.format import ShardHeader
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.chips.metadata import Partition, chip_columns, empty_columns
from tests.reference.chips import chip_counts

LATTICE = Lattice("EPSG:32606", left=500_000.0, top=6_800_000.0, pixel_size=30.0, height=512, width=512)
TABLES = {"statistics": {"histogram": np.arange(3000).reshape(3, 1000), "classes": np.arange(3)}}


def make_header(n_bands=3, size=16, **changes):
    """Return the header of a shard with so many optical bands; the last one is topography."""
    roles = [Role.OPTICAL] * (n_bands - 1) + [Role.TOPO]
    named = tuple(Band(f"b{number}", role) for number, role in enumerate(roles, 1))
    header = ShardHeader("alps", "train", 0, 2, named, LATTICE.crs, size, 8, "strict", 0)
    return dataclasses.replace(header, **changes)


def make_pixels(count, bands=3, size=16, seed=1):
    """Return random pixels of chips."""
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(-32768, 32768, (count, bands, size, size)).astype(np.int16),
        "label": rng.choice(np.array([0, 1, 2, 255], np.uint8), (count, size, size)),
        "flags": rng.integers(0, 32, (count, size, size)).astype(np.uint8),
    }


def make_columns(count, size=16, first=0):
    """Return the columns of chips that lie side by side."""
    place = Partition("r0001_c0002", "train", 2004, 1, Window(0, 0, 512, 512), LATTICE)
    origins = np.column_stack([np.arange(first, first + count) * size, np.full(count, 3)]).astype(np.int64)
    counts = chip_counts(*(np.full(count, number, np.int64) for number in range(7)))
    return chip_columns("alps", place, origins, counts, size)


def append(writer, pixels, columns, windows=None):
    """Encode chips and write them."""
    writer.write(writer.encode(pixels), columns, windows or {})


def write_shard(path, count, *, bands=3, size=16, codec="deflate", pool=None, batches=1, tables=TABLES, **changes):
    """Write a shard of random chips, in so many calls, encoded by the threads of a pool; return their pixels."""
    pixels, columns = make_pixels(count, bands, size), make_columns(count, size)
    parts = [part for part in np.array_split(np.arange(count), batches) if len(part)]
    with create_shard(path, make_header(bands, size, **changes), codec) as writer:
        each = map if pool is None else pool.map
        encoded = each(writer.encode, [{name: values[part] for name, values in pixels.items()} for part in parts])
        for rows, part in zip(encoded, parts, strict=True):
            writer.write(rows, {name: values[part] for name, values in columns.items()})
        writer.finish(empty_columns("alps", "train", LATTICE), tables)
    return pixels
