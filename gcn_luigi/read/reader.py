"""The chips of one split, one by one or in batches, whichever way they are stored."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.shard.format import PIXELS
from gcn_luigi.read.buffers import Batch, BufferPool
from gcn_luigi.read.pixels import PixelStore

if TYPE_CHECKING:
    import pandas as pd


Positions = NDArray[np.int64]


class Chip(TypedDict):
    """One sample.

    ``image`` (band, y, x) int16; ``label`` (y, x) uint8: 0 none, 1 debris, 2 debris-free ice, 255 ignore;
    ``flags`` (y, x) uint8, set bits mean missing; ``chip_id`` str.
    """

    image: NDArray[np.int16]
    label: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    chip_id: str


class ChipReader:
    """The chips of one split, in the order of the index, whichever layout and codec they are stored in.

    Shards are opened when first needed, by each process for itself, so a reader may be pickled and used after a fork.
    Memory filled by `preload` is shared by forked processes and is not sent to spawned ones. One reader may be used by
    several threads.

    Parameters
    ----------
    directory : Path
        Of the shards.
    index : GeoDataFrame
        Rows of the index, of this split.
    threads : int
        That decode the chips of a batch.
    cache_mb : int
        Megabytes for partitions decoded last, in the layout ``windows``.
    """

    def __init__(self, directory: Path, index: "pd.DataFrame", *, threads: int = 1, cache_mb: int = 256) -> None:
        self._store = PixelStore(directory, index, threads=threads, cache_mb=cache_mb)

    def __repr__(self) -> str:
        return f"<gcn_luigi.ChipReader: {len(self)} chips of {self._store.n_shards} shards>"

    def __len__(self) -> int:
        return len(self._store.ids)

    def __iter__(self) -> Iterator[Chip]:
        return (self[position] for position in range(len(self)))

    def __getitem__(self, position: int) -> Chip:
        """Return one chip; negative positions count from the end.

        Raises
        ------
        IndexError
            There is no such chip.
        ShardError
            The shard is missing, damaged or not complete.
        """
        batch = self.batch([position])
        image, label, flags = batch["image"][0], batch["label"][0], batch["flags"][0]
        return Chip(image=image, label=label, flags=flags, chip_id=str(self._store.ids[position]))

    @property
    def layout(self) -> str:
        """``chips`` or ``windows``: how the shards store them."""
        return self._store.format()[1] if len(self) else "chips"

    @property
    def nbytes(self) -> int:
        """Memory that `preload` takes, in bytes."""
        return self._store.nbytes

    def ids(self, positions: Sequence[int] | Positions) -> list[str]:
        """Return the ids of chips."""
        return [str(self._store.ids[position]) for position in positions]

    def batch(self, indices: Sequence[int] | Positions, out: Batch | None = None) -> Batch:
        """Return several chips.

        Parameters
        ----------
        indices : sequence of int
            Positions in the reader, in any order, repeated or not; negative ones count from the end.
        out : Batch, optional
            Arrays of an earlier batch of as many chips: written to and returned, which saves the time that fresh
            memory costs.

        Returns
        -------
        Batch
            ``image`` (chip, band, y, x) int16, ``label`` and ``flags`` (chip, y, x) uint8, ``position`` (chip,)
            int64, in the order of `indices`.

        Raises
        ------
        IndexError
            There is no such chip.
        InputError
            `out` does not fit.
        ShardError
            A shard is missing, damaged or not complete; the message names a chip concerned.
        """
        positions = self._positions(indices)
        shapes = self._shapes(positions)
        if out is None:
            arrays: dict[str, NDArray[Any]] = {name: np.empty(shapes[name], PIXELS[name]) for name in PIXELS}
        else:
            arrays = {name: _fitting(cast("Any", out).get(name), name, shapes[name]) for name in PIXELS}
        self._store.fill(positions, arrays)
        return cast("Batch", {**arrays, "position": positions})

    def order(self, *, seed: int, epoch: int = 0, group: int | None = None) -> Positions:
        """Return the positions of all chips, each once, in an order that depends on nothing but the numbers given.

        Parameters
        ----------
        seed, epoch : int
            Not negative.
        group : int or None
            Partitions (in the layout ``chips``: chips) mixed at once, for datasets that do not fit in memory: a shuffle
            buffer. None mixes all.

        Returns
        -------
        ndarray of int64
            (chip,).

        Raises
        ------
        ConfigError
            A number is too small.
        """
        if min(seed, epoch) < 0 or (group is not None and group < 1):
            raise ConfigError(
                f"no order of seed {seed}, epoch {epoch}, group {group}",
                where="ChipReader.order",
                fix="use whole numbers, seed and epoch from 0, group from 1",
            )
        if group is None:
            return shuffled(len(self), seed=seed, epoch=epoch)
        places = self._store.places(np.arange(len(self)))
        _, rows = np.unique(places[:, :2], axis=0, return_inverse=True)
        return shuffled_in_groups(rows.astype(np.int64), group, seed=seed, epoch=epoch)

    def batches(
        self, size: int, order: Positions | None = None, *, drop_last: bool = False, ahead: int = 2
    ) -> Iterator[Batch]:
        """Yield batch after batch, the next ones made by another thread meanwhile.

        Arrays that nobody holds any more are used again; those that you keep stay as they are.

        Parameters
        ----------
        size : int
            Chips of a batch.
        order : ndarray of int64, optional
            Positions, for example from `order`; without it all chips in the order of the index.
        drop_last : bool
            Leave out a last batch of fewer chips.
        ahead : int
            Batches made before they are asked for.

        Yields
        ------
        Batch
            As `batch`.

        Raises
        ------
        ConfigError
            `size` or `ahead` is below 1.
        IndexError, ShardError
            As `batch`.
        """
        if min(size, ahead) < 1:
            raise ConfigError(
                f"batches of {size} chips, {ahead} ahead", where="ChipReader.batches", fix="use 1 or more of each"
            )
        chosen = np.arange(len(self)) if order is None else self._positions(order)
        end = len(chosen) - (len(chosen) % size if drop_last else 0)
        # What is ready, what is in the making, and what the caller still has in hand.
        buffers = BufferPool(ahead + 3)

        def make(first: int) -> Batch:
            part, following = chosen[first : min(first + size, end)], chosen[first + size : min(first + 2 * size, end)]
            # The disk works on the next batch while this one is decoded.
            self._store.prefetch(following)
            return self.batch(part, cast("Batch", buffers.take(self._shapes(part), PIXELS)))

        return _made_ahead([partial(make, first) for first in range(0, end, size)], ahead)

    def preload(self, *, progress: bool = False) -> Self:
        """Decode everything into memory, once; from then on chips are cut from there.

        Parameters
        ----------
        progress : bool
            Show a bar on standard error.

        Returns
        -------
        ChipReader
            This reader.

        Raises
        ------
        ConfigError
            It does not fit in the free memory.
        ShardError
            A shard is missing, damaged or not complete.
        """
        self._store.preload(progress=progress)
        return self

    def close(self) -> None:
        """Close all shards and give back the memory; the next access opens them again."""
        self._store.close()

    def _shapes(self, positions: Positions) -> dict[str, tuple[int, ...]]:
        if not len(self):
            return {"image": (0, 0, 0, 0), "label": (0, 0, 0), "flags": (0, 0, 0)}
        shapes, _ = self._store.format(int(positions[0]) if len(positions) else 0)
        return {name: (len(positions), *shape) for name, shape in shapes.items()}

    def _positions(self, indices: Sequence[int] | Positions) -> Positions:
        positions = np.asarray(indices)
        if positions.size == 0:
            return np.empty(0, np.int64)
        if positions.ndim != 1 or positions.dtype.kind not in "iu":
            raise InputError(
                f"positions of shape {positions.shape} and dtype {positions.dtype}",
                where="ChipReader.batch",
                fix="give whole numbers in one row",
            )
        wrong = (positions < -len(self)) | (positions >= len(self))
        if wrong.any():
            raise IndexError(f"chip {positions[wrong][0]} of {len(self)}")
        return np.where(positions < 0, positions + len(self), positions).astype(np.int64)


def shuffled(n_chips: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return the positions 0 to `n_chips` - 1, each once, all orders equally likely: (chip,) int64.

    Equal numbers, none negative, give the equal order on every machine, whatever the version of numpy.
    """
    return _order(np.random.PCG64([seed, epoch]), n_chips)


def shuffled_in_groups(rows: NDArray[np.int64], group: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return an order that needs only `group` rows of storage in memory at a time: (chip,) int64.

    `rows` (chip,) says, by any numbering, which row of storage a chip is cut from. Rows are put in random order and
    taken `group` at a time; the chips of a group are mixed. A group is what other loaders call a shuffle buffer.
    """
    source = np.random.PCG64([seed, epoch])
    _, numbers = np.unique(rows, return_inverse=True)
    n_rows = int(numbers.max(initial=-1)) + 1
    rank = np.empty(n_rows, np.int64)
    rank[_order(source, n_rows)] = np.arange(n_rows)
    mixed = _order(source, len(rows))
    # Mixed chips sorted, without changing the mixture, by the group that their row came into.
    return mixed[np.argsort(rank[numbers[mixed]] // group, kind="stable")]


def _order(source: np.random.PCG64, count: int) -> Positions:
    # Sorting raw numbers: numpy promises these, but not what its own shuffle makes of them.
    return np.argsort(source.random_raw(count), kind="stable").astype(np.int64)


def _made_ahead(calls: Sequence[Any], ahead: int) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, thread_name_prefix="gcn-batches") as pool:
        yield from in_order(pool, calls, ahead)


def _fitting(array: Any, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    is_array = isinstance(array, np.ndarray) and array.flags.c_contiguous and array.flags.writeable
    if not is_array or array.shape != shape or array.dtype != PIXELS[name]:
        raise InputError(
            f"{name} of {getattr(array, 'shape', None)} {getattr(array, 'dtype', None)}, not {shape} {PIXELS[name]}",
            where="ChipReader.batch, out",
            fix="give a batch of as many chips of this reader, or none",
        )
    return cast("NDArray[Any]", array)
