"""Read the chips of one split, one by one or in batches, in any layout."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, Self, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.shard.format import CONFIDENCE
from gcn_luigi.read.confidence import weights
from gcn_luigi.read.store.buffers import Batch, BufferPool
from gcn_luigi.read.store.pixels import PixelStore
from gcn_luigi.read.store.places import ShardPlace
from gcn_luigi.read.store.series import Series, join_series

if TYPE_CHECKING:
    import pandas as pd


Positions = NDArray[np.int64]


class Chip(TypedDict):
    """One sample.

    ``image`` (band, y, x) int16, or float32 if the stack is; ``label`` (y, x) uint8: values of `Dataset.classes`, 255
    ignore; ``flags`` (y, x) uint8, where set bits mean missing; ``chip_id`` str. If the dataset was built with a
    confidence of the label, also ``confidence`` (y, x) uint8, percent, 255 where the label is missing, and ``weight``
    (y, x) float32, the same as a share, 0 to 1, and 0 where the label is missing.
    """

    image: NDArray[Any]
    label: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    chip_id: str
    confidence: NotRequired[NDArray[np.uint8]]
    weight: NotRequired[NDArray[np.float32]]


class ChipReader:
    """The chips of one split, in the order of the index, for any layout and codec.

    Each process opens shards for itself when they are first needed, so a reader can be pickled and used after a fork.
    Forked processes share the memory that `preload` fills; it is not sent to spawned ones. Several threads can use one
    reader.

    Parameters
    ----------
    directory : Path or ShardPlace
        The directory of the shards, or where they are in a store.
    index : GeoDataFrame
        The rows of the index for this split.
    threads : int
        Number of threads that decode the chips of a batch.
    cache_mb : int
        Megabytes for the most recently decoded partitions, in the layout ``windows``.
    conditions : str
        The conditions by which the rows were chosen, for the message of a reader without chips.
    """

    def __init__(
        self,
        directory: Path | ShardPlace,
        index: "pd.DataFrame",
        *,
        threads: int = 1,
        cache_mb: int = 256,
        conditions: str = "",
    ) -> None:
        self._store = PixelStore(directory, index, threads=threads, cache_mb=cache_mb)
        self._conditions = conditions
        self._placed = index[[name for name in ("partition", "row", "col", "year", "left", "top") if name in index]]

    def __repr__(self) -> str:
        return f"<gcn_luigi.ChipReader: {len(self)} chips of {self._store.n_shards} shards>"

    def __len__(self) -> int:
        return len(self._store.ids)

    def __iter__(self) -> Iterator[Chip]:
        return (self[position] for position in range(len(self)))

    def __getitem__(self, position: int) -> Chip:
        """Return one chip. Negative positions count from the end.

        Raises
        ------
        IndexError
            There is no such chip.
        ShardError
            The shard is missing, damaged or incomplete.
        """
        batch: Mapping[str, Any] = self.batch([position])
        planes = {name: values[0] for name, values in batch.items() if name != "position"}
        return cast("Chip", {**planes, "chip_id": str(self._store.ids[position])})

    @property
    def layout(self) -> str:
        """``chips`` or ``windows``: how the shards store the chips."""
        return self._store.format()[1] if len(self) else "chips"

    @property
    def size(self) -> int:
        """Edge of a chip, in pixels."""
        return self._store.format()[0]["label"][-1]

    @property
    def edge(self) -> str:
        """What was done with chips over the edge of a partition; see ``chips.edge`` in the settings."""
        return self._store.edges()[0]

    @property
    def placed(self) -> "pd.DataFrame":
        """The partition, year, first row and first column of each chip, and the corner of its ground."""
        return self._placed

    @property
    def nbytes(self) -> int:
        """The memory that `preload` needs, in bytes."""
        return self._store.nbytes

    def check_not_empty(self) -> None:
        """Raise ConfigError if conditions left no chip: a training would otherwise end without having begun."""
        if self._conditions and not len(self):
            raise ConfigError(
                f"no chip of the split fulfils {self._conditions}",
                where="Dataset.chips",
                fix="relax the conditions; Dataset.chip_table shows the values of all chips",
            )

    def ids(self, positions: Sequence[int] | Positions) -> list[str]:
        """Return the ids of the chips at these positions."""
        return [str(self._store.ids[position]) for position in positions]

    def positions(self, indices: Sequence[int] | Positions) -> Positions:
        """Return positions from 0 on, (chip,) int64. Raise IndexError for chips beyond, InputError for other values."""
        positions = np.asarray(indices)
        if positions.size == 0:
            return np.empty(0, np.int64)
        if positions.ndim != 1 or positions.dtype.kind not in "iu":
            raise InputError(
                f"positions of shape {positions.shape} and dtype {positions.dtype} cannot be used",
                where="ChipReader.batch",
                fix="give a one-dimensional sequence of whole numbers",
            )
        wrong = (positions < -len(self)) | (positions >= len(self))
        if wrong.any():
            raise IndexError(f"chip {positions[wrong][0]} of {len(self)}")
        return np.where(positions < 0, positions + len(self), positions).astype(np.int64)

    def batch(self, indices: Sequence[int] | Positions, out: Batch | None = None) -> Batch:
        """Return several chips.

        Parameters
        ----------
        indices : sequence of int
            Positions in the reader, in any order, possibly repeated. Negative ones count from the end.
        out : Batch, optional
            An earlier batch with the same number of chips, whose arrays are filled and returned. This is faster than
            new memory.

        Returns
        -------
        Batch
            ``image`` (chip, band, y, x) int16 or float32, ``label`` and ``flags`` (chip, y, x) uint8, ``position``
            (chip,) int64, in the order of `indices`. If the dataset was built with a confidence of the label, also
            ``confidence`` (chip, y, x) uint8 and ``weight`` (chip, y, x) float32; see `Chip`.

        Raises
        ------
        IndexError
            There is no such chip.
        InputError
            `out` does not match.
        ConfigError
            The reader is empty, because no chip fulfils its conditions.
        ShardError
            A shard is missing, damaged or incomplete. The message names an affected chip.
        """
        self.check_not_empty()
        positions = self.positions(indices)
        shapes, types = self._shapes(positions), self._types(positions)
        if out is None:
            arrays: dict[str, NDArray[Any]] = {name: np.empty(shapes[name], dtype) for name, dtype in types.items()}
        else:
            arrays = {
                name: _fitting(cast("Any", out).get(name), name, shapes[name], dtype) for name, dtype in types.items()
            }
        self._store.fill(positions, {name: array for name, array in arrays.items() if name != "weight"})
        if "weight" in arrays:
            weights(arrays[CONFIDENCE], out=arrays["weight"])
        return cast("Batch", {**arrays, "position": positions})

    def series(self, place: str) -> Series:
        """Return what the chips of this reader show of a partition, or of the ground of one chip, year by year.

        Parameters
        ----------
        place : str
            The id of a partition, or a `place` of the index, which is the ground of one chip.

        Returns
        -------
        Series
            ``years`` (year,), ``image`` (year, band, y, x), ``label`` and ``flags`` (year, y, x). A dataset with the
            year rule ``all`` has several years of a place, others have one.

        Raises
        ------
        ConfigError
            No chip of this reader shows the place, or chips were stretched over edges (chips.edge = "legacy"), so that
            their pixels do not lie on one another.
        ShardError
            A shard is missing, damaged or incomplete.
        """
        self.check_not_empty()
        edge, fills = self._store.edges()
        if edge == "legacy":
            raise ConfigError(
                "chips that are stretched over the edge of a partition cannot be joined",
                where='ChipReader.series, chips.edge = "legacy"',
                fix='build the dataset with chips.edge = "clamp", "drop" or "pad"',
            )

        def pixels(positions: Positions) -> Mapping[str, Any]:
            return cast("Mapping[str, Any]", self.batch(positions))

        return join_series(place, self._placed, fills, pixels)

    def order(self, *, seed: int, epoch: int = 0, group: int | None = None) -> Positions:
        """Return the positions of all chips, each once, in an order that depends only on the arguments.

        Parameters
        ----------
        seed, epoch : int
            Not negative.
        group : int or None
            Number of partitions (in the layout ``chips``: of chips) that are mixed at a time, like a shuffle buffer,
            for datasets that do not fit in memory. None mixes all chips.

        Returns
        -------
        ndarray of int64
            (chip,).

        Raises
        ------
        ConfigError
            A number is too small, or no chip fulfils the conditions of the reader.
        """
        if min(seed, epoch) < 0 or (group is not None and group < 1):
            raise ConfigError(
                f"there is no order for seed {seed}, epoch {epoch} and group {group}",
                where="ChipReader.order",
                fix="use whole numbers: seed and epoch from 0, group from 1",
            )
        self.check_not_empty()
        if group is None:
            return shuffled(len(self), seed=seed, epoch=epoch)
        places = self._store.places(np.arange(len(self)))
        _, rows = np.unique(places[:, :2], axis=0, return_inverse=True)
        return shuffled_in_groups(rows.astype(np.int64), group, seed=seed, epoch=epoch)

    def batches(
        self, size: int, order: Positions | None = None, *, drop_last: bool = False, ahead: int = 2
    ) -> Iterator[Batch]:
        """Yield batches. Another thread prepares the next ones in the meantime.

        Arrays that nothing refers to any more are reused. Arrays that you keep do not change.

        Parameters
        ----------
        size : int
            Number of chips per batch.
        order : ndarray of int64, optional
            Positions, for example from `order`; by default all chips in the order of the index.
        drop_last : bool
            Leave out the last batch if it has fewer chips.
        ahead : int
            Number of batches to prepare in advance.

        Yields
        ------
        Batch
            As `batch`.

        Raises
        ------
        ConfigError
            `size` or `ahead` is below 1, or no chip fulfils the conditions of the reader.
        IndexError, ShardError
            As `batch`.
        """
        if min(size, ahead) < 1:
            raise ConfigError(
                f"batches of {size} chips, with {ahead} prepared in advance, are not possible",
                where="ChipReader.batches",
                fix="use at least 1 for both size and ahead",
            )
        self.check_not_empty()
        chosen = np.arange(len(self)) if order is None else self.positions(order)
        end = len(chosen) - (len(chosen) % size if drop_last else 0)
        # Buffers for batches that are ready, for the one in preparation, and for those that the caller still uses.
        buffers = BufferPool(ahead + 3)

        def make(first: int) -> Batch:
            part, following = chosen[first : min(first + size, end)], chosen[first + size : min(first + 2 * size, end)]
            # The disk reads the next batch while this one is decoded.
            self._store.prefetch(following)
            return self.batch(part, cast("Batch", buffers.take(self._shapes(part), self._types(part))))

        return _made_ahead([partial(make, first) for first in range(0, end, size)], ahead)

    def preload(self, *, progress: bool = False) -> Self:
        """Decode all pixels into memory once. Afterwards chips are cut from there.

        Parameters
        ----------
        progress : bool
            Say on standard error how much is read.

        Returns
        -------
        ChipReader
            This reader.

        Raises
        ------
        ConfigError
            The pixels do not fit in the free memory.
        ShardError
            A shard is missing, damaged or incomplete.
        """
        self._store.preload(progress=progress)
        return self

    def close(self) -> None:
        """Close all shards and free the memory. The next access opens them again."""
        self._store.close()

    def _shapes(self, positions: Positions) -> dict[str, tuple[int, ...]]:
        if not len(self):
            return {"image": (0, 0, 0, 0), "label": (0, 0, 0), "flags": (0, 0, 0)}
        shapes, _ = self._store.format(int(positions[0]) if len(positions) else 0)
        found = {name: (len(positions), *shape) for name, shape in shapes.items()}
        return {**found, "weight": found[CONFIDENCE]} if CONFIDENCE in found else found

    def _types(self, positions: Positions) -> dict[str, np.dtype[Any]]:
        found = self._store.types(int(positions[0]) if len(positions) else 0)
        return {**found, "weight": np.dtype(np.float32)} if CONFIDENCE in found else found


def shuffled(n_chips: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return the positions 0 to `n_chips` - 1 in random order, (chip,) int64. All orders are equally likely.

    Equal arguments, which must not be negative, give the same order on every machine and with every version of numpy.
    """
    return _order(np.random.PCG64([seed, epoch]), n_chips)


def shuffled_in_groups(rows: NDArray[np.int64], group: int, *, seed: int, epoch: int = 0) -> Positions:
    """Return an order that needs only `group` rows of storage in memory at a time: (chip,) int64.

    `rows` (chip,) gives, in any numbering, the row of storage that each chip is cut from. Rows are put in random order
    and taken `group` at a time, and the chips of a group are mixed. Other loaders call such a group a shuffle buffer.
    """
    source = np.random.PCG64([seed, epoch])
    _, numbers = np.unique(rows, return_inverse=True)
    n_rows = int(numbers.max(initial=-1)) + 1
    rank = np.empty(n_rows, np.int64)
    rank[_order(source, n_rows)] = np.arange(n_rows)
    mixed = _order(source, len(rows))
    # Sort the mixed chips by the group of their row. The stable sort keeps the random order within a group.
    return mixed[np.argsort(rank[numbers[mixed]] // group, kind="stable")]


def _order(source: np.random.PCG64, count: int) -> Positions:
    # Sort raw random numbers: numpy guarantees these, but not the result of its own shuffle.
    return np.argsort(source.random_raw(count), kind="stable").astype(np.int64)


def _made_ahead(calls: Sequence[Any], ahead: int) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, thread_name_prefix="gcn-batches") as pool:
        yield from in_order(pool, calls, ahead)


def _fitting(array: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    is_array = isinstance(array, np.ndarray) and array.flags.c_contiguous and array.flags.writeable
    if not is_array or array.shape != shape or array.dtype != dtype:
        raise InputError(
            f"{name} of {getattr(array, 'shape', None)} {getattr(array, 'dtype', None)}, not {shape} {dtype}",
            where="ChipReader.batch, out",
            fix="give a batch with the same number of chips from this reader, or omit it",
        )
    return cast("NDArray[Any]", array)
