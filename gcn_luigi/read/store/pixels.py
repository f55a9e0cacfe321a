"""Read pixels of chips from shards: decode them in place, or cut them from decoded rows that are kept in memory."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, GcnLuigiError, ShardError
from gcn_luigi.io.shard.format import PIXELS
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.read.store.memory import free_bytes, with_progress
from gcn_luigi.read.store.places import ShardDirectory, ShardPlace
from gcn_luigi.read.store.pool import ShardPool
from gcn_luigi.read.store.rows import Key, RowCache

if TYPE_CHECKING:
    import pandas as pd

Numbers = NDArray[np.int64]
Arrays = Mapping[str, NDArray[Any]]

# Errors that h5py raises for a damaged file, depending on where the damage is. Our own errors are none of these.
_UNREADABLE = (OSError, LookupError, RuntimeError, ValueError)
_MEGABYTE = 1_000_000
# How many bytes of stored pixels a store is asked for at once while everything is read, about.
_PART = 64 * _MEGABYTE
# Share of the free memory that `preload` may take.
_MOST_OF_MEMORY = 0.8


class PixelStore:
    """The pixels of the chips in `index`, which holds rows of a dataset's index, from the shards at `place`.

    `place` is a directory, or the shards of a dataset in a store.

    A chip is identified by its position in `index`, or by its shard and its number there. A row of a pixel array is a
    chip or, in the layout ``windows``, a partition. Chips are decoded directly into the caller's arrays. Partitions are
    decoded into a cache of `cache_mb` megabytes, from which chips are cut.
    """

    def __init__(self, place: Path | ShardPlace, index: "pd.DataFrame", *, threads: int = 1, cache_mb: int) -> None:
        names, numbers = np.unique(index["shard"].to_numpy(str), return_inverse=True)
        self.ids = index["chip_id"].array
        self._shard_of, self._chip_of = numbers.astype(np.int64), index["shard_row"].to_numpy(np.int64)
        found = ShardDirectory(place) if isinstance(place, Path) else place
        self._shards, self._cache_mb = ShardPool(found, names.tolist(), threads), cache_mb
        self._cache: RowCache | None = None
        self._is_whole = False
        self._lock = threading.RLock()

    @property
    def n_shards(self) -> int:
        """Number of shards with these chips."""
        return len(self._shards)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": None, "_is_whole": False, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def types(self, position: int = 0) -> dict[str, np.dtype[Any]]:
        """Return the type of each pixel array, from the shard of the chip at `position`; of int16 without chips."""
        if not len(self.ids):
            return dict(PIXELS)
        with self._shard_of_chip(position) as opened:
            return {name: array.dtype for name, array in opened.arrays.items()}

    def format(self, position: int = 0) -> tuple[dict[str, tuple[int, ...]], str]:
        """Return the shape of a chip by array, and the layout, both from the shard of the chip at `position`."""
        with self._shard_of_chip(position) as opened:
            size = (opened.chip_size, opened.chip_size)
            return {name: (*array.shape[1:-2], *size) for name, array in opened.arrays.items()}, opened.layout

    def places(self, positions: Numbers) -> Numbers:
        """Return (chip, 4): the shard, the row of its pixel arrays, and the chip's first row and column there."""
        found = np.empty((len(positions), 4), np.int64)
        found[:, 0] = self._shard_of[positions]
        self._shards.open_far(np.unique(found[:, 0]).tolist())
        for shard in np.unique(found[:, 0]).tolist():
            mine = np.flatnonzero(found[:, 0] == shard)
            with self._shard_of_chip(positions[mine[0]]) as opened:
                found[mine, 1:] = opened.places[self._chip_of[positions[mine]]]
        return found

    def fill(self, positions: Numbers, out: Arrays) -> None:
        """Write chips into `out`, which has C-contiguous arrays of the chips' shapes and dtypes, by name.

        Raise ShardError if a shard is missing, damaged or incomplete.
        """
        if not len(positions):
            return
        _, layout = self.format(positions[0])
        if layout == "chips" and not self._is_whole:
            # A chip that was asked for several times is read once.
            chips, firsts, which = np.unique(positions, return_index=True, return_inverse=True)
            order = np.lexsort((self._chip_of[chips], self._shard_of[chips]))
            self.prefetch(positions)
            for _ in self._shards.each(partial(self._read_chip, positions, out), firsts[order].tolist()):
                pass
            again = np.flatnonzero(firsts[which] != np.arange(len(positions)))
            for plane in out.values():
                plane[again] = plane[firsts[which[again]]]
            return
        places = self.places(positions)
        with self._lock:
            self._cut_from_rows(places, self._chip_of[positions], out)

    def row(self, shard: int, row: int, chip: int) -> Arrays:
        """Return a decoded row of the pixel arrays, numbered as in `places`: a chip or partition without padding.

        The result holds ``image`` (band, y, x) in the type of the stack, and ``label``, ``flags`` and, if there is one,
        ``confidence`` (y, x) uint8. They are views that are valid until the next call. `chip` is any chip in the row,
        for messages. Raise ShardError if the shard is missing, damaged or incomplete.
        """
        with self._lock:
            cache = self._kept()
            (slot,) = self._decoded(cache, np.array([[shard, row]], np.int64), np.array([chip], np.int64)).tolist()
            height, width = cache.extents[slot].tolist()
            return {name: plane[slot][..., :height, :width] for name, plane in cache.planes.items()}

    def edges(self) -> tuple[str, dict[str, int]]:
        """Return the edge policy by which the chips were cut, and the value beyond the edge, by array."""
        with self._shard_of_chip(0) as opened:
            return opened.edge, opened.fills

    def prefetch(self, positions: Numbers) -> None:
        """Tell the system that chips will be read soon. If they are in memory already, do nothing."""
        if not len(positions) or self._is_whole:
            return
        places = self.places(positions)
        if self._cache is not None and self._shards.place.is_far:
            rows, which = np.unique(places[:, :2], axis=0, return_inverse=True)
            is_lost = np.array([not self._cache.has((shard, row)) for shard, row in rows.tolist()], bool)
            positions, places = positions[is_lost[which]], places[is_lost[which]]
        for shard in np.unique(places[:, 0]).tolist():
            mine = places[:, 0] == shard
            with self._shard_of_chip(positions[mine][0]) as opened:
                opened.prefetch(np.unique(places[mine, 1]))

    def preload(self, *, progress: bool) -> None:
        """Decode all rows of all shards into memory.

        Raise ConfigError if they do not fit in the free memory, ShardError if a shard is missing, damaged or
        incomplete.
        """
        if self._is_whole:
            return
        needed, available = self.nbytes, free_bytes()
        if needed > _MOST_OF_MEMORY * available:
            raise ConfigError(
                f"{needed / 1e9:.1f} GB of pixels do not fit in {available / 1e9:.1f} GB of free memory",
                where=self._shards.title(0),
                fix="read without preload, with order(group=...); the layout windows stores overlapping pixels once",
            )
        rows = self._all_rows()
        cache = self._make_cache(len(rows))
        wanted = [((shard, row), cache.claim((shard, row)), chip) for shard, row, chip in rows.tolist()]
        loaded = self._loaded(cache, wanted)
        for _ in with_progress(loaded, len(rows)) if progress else loaded:
            pass
        with self._lock:
            self._cache, self._is_whole = cache, True

    def _loaded(self, cache: RowCache, wanted: Sequence[tuple[Key, int, int]]) -> Iterator[None]:
        if not self._shards.place.is_far:
            yield from self._shards.each(partial(self._load, cache), wanted)
            return
        size = max(1, _PART // max(self._row_bytes(), 1))
        for first in range(0, len(wanted), size):
            # The part after this one is on its way while this one is decoded.
            for ahead in (first, first + size):
                for shard, rows in groupby((key for key, _, _ in wanted[ahead : ahead + size]), itemgetter(0)):
                    self._shards[shard].prefetch(np.array([row for _, row in rows], np.int64))
            yield from self._shards.each(partial(self._load, cache), wanted[first : first + size])

    def close(self) -> None:
        """Close all shards and free the memory of decoded rows. The next access opens and decodes them again."""
        self._shards.close()
        with self._lock:
            self._cache, self._is_whole = None, False

    @property
    def nbytes(self) -> int:
        """Bytes of all decoded rows."""
        return len(self._all_rows()) * self._row_bytes()

    def _all_rows(self) -> Numbers:
        """Return (row, 3) for all shards: the shard, the row, and the first chip in the row."""
        numbers = []
        self._shards.open_far(range(len(self._shards)))
        for shard in range(len(self._shards)):
            with self._as_shard_error(shard, 0):
                rows = np.arange(self._shards[shard].arrays["label"].shape[0])
                row_of = self._shards[shard].places[:, 0]
            chips = np.zeros_like(rows)
            chips[row_of[::-1]] = np.arange(len(row_of))[::-1]
            numbers.append(np.column_stack([np.full(len(rows), shard), rows, chips]))
        return np.concatenate(numbers) if numbers else np.empty((0, 3), np.int64)

    def _row_bytes(self) -> int:
        if not len(self._shards):
            return 0
        with self._as_shard_error(0, 0):
            arrays = self._shards[0].arrays
        return sum(int(np.prod(array.shape[1:])) * array.dtype.itemsize for array in arrays.values())

    def _kept(self) -> RowCache:
        if self._cache is None:
            self._cache = self._make_cache(max(1, self._cache_mb * _MEGABYTE // self._row_bytes()))
        return self._cache

    def _make_cache(self, n_slots: int) -> RowCache:
        with self._as_shard_error(0, 0):
            arrays = self._shards[0].arrays
        types = {name: array.dtype for name, array in arrays.items()}
        return RowCache({name: array.shape[1:] for name, array in arrays.items()}, types, n_slots)

    def _cut_from_rows(self, places: Numbers, chip_of: Numbers, out: Arrays) -> None:
        """Cut chips from decoded rows, and decode missing rows first: as many at a time as fit in the cache."""
        rows, firsts, which = np.unique(places[:, :2], axis=0, return_index=True, return_inverse=True)
        # Rows stay in the requested order, because the next batch often begins with the rows at the end of this one.
        turn = np.argsort(firsts)
        rows, which = rows[turn], np.argsort(turn)[which]
        cache = self._kept()
        # A chip of each row, for messages.
        examples = np.empty(len(rows), np.int64)
        examples[which] = chip_of
        n_slots = len(cache.extents)
        for first in range(0, len(rows), n_slots):
            part = slice(first, first + n_slots)
            slots = self._decoded(cache, rows[part], examples[part])
            chosen = np.flatnonzero((which >= first) & (which < first + len(slots)))
            where = np.column_stack([slots[which[chosen] - first], places[chosen, 2:]])
            shard = self._shards[int(places[0, 0])]
            for name, plane in out.items():
                into = plane if len(chosen) == len(plane) else np.empty((len(chosen), *plane.shape[1:]), plane.dtype)
                shard.cut(name, cache.planes[name], where, cache.extents, into)
                if into is not plane:
                    plane[chosen] = into

    def _decoded(self, cache: RowCache, rows: Numbers, examples: Numbers) -> Numbers:
        """Return the slots of rows, and decode rows that are not in memory."""
        keys = [(int(shard), int(row)) for shard, row in rows]
        slots = [cache.slot(key) for key in keys]
        missing = [position for position, slot in enumerate(slots) if slot is None]
        for shard in {keys[position][0] for position in missing}:
            of_shard = [position for position in missing if keys[position][0] == shard]
            with self._as_shard_error(shard, int(examples[of_shard[0]])):
                self._shards[shard].prefetch(rows[of_shard, 1])
        for position in missing:
            slots[position] = cache.claim(keys[position])
        wanted = [(keys[position], slots[position], int(examples[position])) for position in missing]
        try:
            for _ in self._shards.each(partial(self._load, cache), wanted):
                pass
        except BaseException:
            # It is not known any more which rows are complete.
            self._cache = None
            raise
        return np.array(slots, np.int64)

    def _load(self, cache: RowCache, wanted: tuple[Key, int, int]) -> None:
        (shard, row), slot, example = wanted
        with self._as_shard_error(shard, example):
            opened = self._shards[shard]
            for name, plane in cache.planes.items():
                opened.read_row(name, row, plane[slot])
            cache.extents[slot] = opened.extents[row]

    def _read_chip(self, positions: Numbers, out: Arrays, turn: int) -> None:
        with self._shard_of_chip(positions[turn]) as opened:
            for name, plane in out.items():
                opened.read_row(name, int(self._chip_of[positions[turn]]), plane[turn])

    @contextmanager
    def _shard_of_chip(self, position: int) -> Iterator[ShardReader]:
        """Yield the open shard of a chip. Errors of the shard name the chip."""
        shard = int(self._shard_of[position])
        with self._as_shard_error(shard, int(self._chip_of[position])):
            yield self._shards[shard]

    @contextmanager
    def _as_shard_error(self, shard: int, chip: int) -> Iterator[None]:
        try:
            yield
        except GcnLuigiError:
            raise
        except _UNREADABLE as error:
            raise ShardError(
                f"chip {self._name(shard, chip)} cannot be read: {error}",
                where=f"{self._shards.title(shard)}, row {chip}",
                fix=self._shards.place.fix,
            ) from error

    def _name(self, shard: int, chip: int) -> str:
        found = np.flatnonzero((self._shard_of == shard) & (self._chip_of == chip))
        return str(self.ids[found[0]]) if len(found) else f"{chip} of shard {shard}"
