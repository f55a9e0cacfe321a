"""Chips for torch: a map-style dataset that reads whole batches, and a stream of ready batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, default_collate, get_worker_info

from gcn_luigi.errors import ConfigError
from gcn_luigi.read.epochs import EpochCounter
from gcn_luigi.read.reader import ChipReader, Positions
from gcn_luigi.read.store.buffers import Batch

Tensors = dict[str, torch.Tensor]


def tensors(batch: Batch) -> Tensors:
    """Return the arrays of a batch as tensors that share their memory."""
    arrays: Mapping[str, Any] = batch
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def collate(samples: Tensors | Sequence[Tensors]) -> Tensors:
    """Return a batch unchanged, or join several samples: the ``collate_fn`` for a DataLoader of `ChipDataset`."""
    if isinstance(samples, dict):
        return samples
    batch: Tensors = default_collate(list(samples))
    return batch


class ChipDataset(Dataset[Tensors]):
    """A map-style dataset, for any sampler.

    Samples are dicts of tensors: ``image`` (band, y, x) int16, ``label`` and ``flags`` (y, x) uint8, ``position`` ()
    int64; with a confidence of the label also ``confidence`` uint8 and ``weight`` float32 (y, x), which is 0 to 1, and
    0 where the label is missing. Normalise on the device, as in `gcn_luigi.read.normalise`. A DataLoader requests one
    batch at a time, and `collate` returns it unchanged: ``DataLoader(ChipDataset(reader), batch_size=64,
    collate_fn=collate)``.

    Parameters
    ----------
    reader : ChipReader
        The chips. Each worker process opens the shards for itself.
    """

    def __init__(self, reader: ChipReader) -> None:
        reader.check_not_empty()
        self._reader = reader

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, position: int) -> Tensors:
        """Return one sample."""
        return {name: values[0] for name, values in tensors(self._reader.batch([position])).items()}

    def __getitems__(self, positions: Sequence[int]) -> Tensors:
        """Return a whole batch. Torch calls this method if it exists, and passes the result to ``collate_fn``."""
        return tensors(self._reader.batch(positions))


class ChipStream(IterableDataset[Tensors]):
    """Ready batches in a reproducible order, which a thread of the same process prepares in advance.

    A thread shares memory with the training loop, whereas a worker process has to send every batch. So one stream with
    ``num_workers=0`` is the fastest way to feed one device. If there are worker processes, they divide the batches of
    an epoch among themselves. Processes of a distributed training do the same with `part`.

    Each pass is the next epoch, from epoch 0, with its own order. You need not call anything for this, even if worker
    processes, kept or restarted, make the passes. Use `set_epoch` to continue after an interruption.

    Parameters
    ----------
    reader : ChipReader
        The chips.
    size : int
        Number of chips per batch.
    seed : int or None
        Seed of the order; None keeps the order of the index.
    group : int or None
        As in `ChipReader.order`, for datasets that do not fit in memory.
    drop_last : bool
        Leave out the last batch if it has fewer chips.
    part : tuple of int
        Rank of this process, and number of processes. With `drop_last` each has the same number of batches.

    Raises
    ------
    ConfigError
        The rank is not below the number of processes, the size is below 1, or no chip fulfils the conditions of the
        reader.
    PublishError
        The small temporary file in which worker processes look up the epoch cannot be written.
    """

    def __init__(
        self,
        reader: ChipReader,
        size: int,
        *,
        seed: int | None = None,
        group: int | None = None,
        drop_last: bool = False,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        reader.check_not_empty()
        check_part(size, part, where="ChipStream")
        self._reader, self._size, self._seed, self._group = reader, size, seed, group
        self._drop_last, self._part = drop_last, part
        self._epochs, self._passes = EpochCounter(), 0

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch."""
        return len(self._parts(np.arange(len(self._reader))))

    @property
    def epoch(self) -> int:
        """The epoch of the next pass. Save it in a checkpoint for `set_epoch`."""
        return self._epochs.next

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass, to continue after an interruption. Later passes follow automatically.

        Parameters
        ----------
        epoch : int
            Not negative. With worker processes it applies to the next pass that the loader begins.
        """
        self._epochs.set(epoch)

    def __iter__(self) -> Iterator[Tensors]:
        """Begin the next epoch, and yield the batches of this process or, in a worker, of this worker."""
        worker = get_worker_info()
        if worker is None:
            return self._batches(self._parts(self._order(self._epochs.begin())))
        # Torch draws one seed for a set of workers and adds the number of the worker. Kept workers make several passes.
        run = f"{worker.seed - worker.id} {worker.num_workers} {self._passes}"
        self._passes += 1
        order = self._order(self._epochs.begin(run, worker.id))
        return self._batches(self._parts(order)[worker.id :: worker.num_workers])

    def _batches(self, parts: list[Positions]) -> Iterator[Tensors]:
        if parts:
            yield from (tensors(batch) for batch in self._reader.batches(self._size, np.concatenate(parts)))

    def _order(self, epoch: int) -> Positions:
        if self._seed is None:
            return np.arange(len(self._reader))
        return self._reader.order(seed=self._seed, epoch=epoch, group=self._group)

    def _parts(self, order: Positions) -> list[Positions]:
        return parts_of(order, self._size, drop_last=self._drop_last, part=self._part)


def check_part(size: int, part: tuple[int, int], *, where: str) -> None:
    """Raise ConfigError about `where` if process ``part[0]`` of ``part[1]`` cannot get batches of `size` chips."""
    rank, world = part
    if not 0 <= rank < world or size < 1:
        raise ConfigError(
            f"batches of {size} chips are not possible for process {rank} of {world}",
            where=where,
            fix="use a size of at least 1; part is one of (0, n) to (n - 1, n) for n processes",
        )


def parts_of(order: Positions, size: int, *, drop_last: bool, part: tuple[int, int]) -> list[Positions]:
    """Return the positions of each batch of `size` chips that process ``part[0]`` of ``part[1]`` gets of `order`."""
    parts = [order[first : first + size] for first in range(0, len(order), size)]
    rank, world = part
    if drop_last:
        whole = [batch for batch in parts if len(batch) == size]
        parts = whole[: len(whole) // world * world]
    return parts[rank::world]
