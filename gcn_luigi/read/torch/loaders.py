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
    processes, kept or restarted, make the passes. Use `set_epoch` to continue with an epoch, or `state_dict` and
    `load_state_dict` to continue within one.

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
        # The epoch in turn and how many of its batches this process was given; after `load_state_dict`, the epoch in
        # which the next pass leaves out batches, and how many.
        self._epoch, self._given = -1, 0
        self._left_out: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch."""
        return len(self._parts(np.arange(len(self._reader))))

    @property
    def n_chips(self) -> int:
        """The number of chips of the reader, of all processes together."""
        return len(self._reader)

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
        self._epoch, self._given, self._left_out = epoch - 1, 0, {}

    def state_dict(self) -> dict[str, int]:
        """Return the epoch in turn and how many of its batches were given, for a checkpoint.

        Raises
        ------
        ConfigError
            Worker processes made the passes, so this process does not know how many batches they gave.
        """
        if self._epochs.next != self._epoch + (self._epoch not in self._left_out):
            raise ConfigError(
                "how many batches were given is not known, because worker processes read them",
                where="ChipStream.state_dict",
                fix="use num_workers=0, which is faster; or save stream.epoch and continue with set_epoch",
            )
        return {"epoch": self._epoch, "batches": self._given}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next pass go on after a checkpoint: with the rest of its epoch, or with the next one.

        Raises
        ------
        ConfigError
            The state is not one of `state_dict` for as many batches.
        """
        epoch, given = resumed(state, len(self), where="ChipStream.load_state_dict")
        goes_on = 0 < given < len(self)
        self.set_epoch(epoch if goes_on else epoch + 1)
        self._epoch, self._given, self._left_out = epoch, given, {epoch: given} if goes_on else {}

    def __iter__(self) -> Iterator[Tensors]:
        """Begin the next epoch, and yield the batches of this process or, in a worker, of this worker."""
        worker = get_worker_info()
        if worker is None:
            epoch = self._epochs.begin()
            return self._counted(epoch, self._parts(self._order(epoch)))
        # Torch draws one seed for a set of workers and adds the number of the worker. Kept workers make several passes.
        run = f"{worker.seed - worker.id} {worker.num_workers} {self._passes}"
        self._passes += 1
        epoch = self._epochs.begin(run, worker.id)
        left = self._parts(self._order(epoch))[self._left_out.get(epoch, 0) :]
        return self._batches(left[worker.id :: worker.num_workers])

    def _counted(self, epoch: int, parts: list[Positions]) -> Iterator[Tensors]:
        first = self._left_out.get(epoch, 0)
        self._epoch, self._given, self._left_out = epoch, first, {}
        return self._counting(first, parts[first:])

    def _counting(self, first: int, parts: list[Positions]) -> Iterator[Tensors]:
        for number, batch in enumerate(self._batches(parts), first + 1):
            self._given = number
            yield batch

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


def resumed(state: Mapping[str, int], n_batches: int, *, where: str) -> tuple[int, int]:
    """Return the epoch and the batches of a `state_dict` for `n_batches` an epoch; raise ConfigError for another."""
    epoch, given = (state.get(key) for key in ("epoch", "batches"))
    if not isinstance(epoch, int) or not isinstance(given, int) or epoch < -1 or not 0 <= given <= n_batches:
        raise ConfigError(
            f"{dict(state)} is no state of {n_batches} batches",
            where=where,
            fix="give what state_dict returned for the same chips, size, part and drop_last",
        )
    return epoch, given


def parts_of(order: Positions, size: int, *, drop_last: bool, part: tuple[int, int]) -> list[Positions]:
    """Return the positions of each batch of `size` chips that process ``part[0]`` of ``part[1]`` gets of `order`."""
    parts = [order[first : first + size] for first in range(0, len(order), size)]
    rank, world = part
    if drop_last:
        whole = [batch for batch in parts if len(batch) == size]
        parts = whole[: len(whole) // world * world]
    return parts[rank::world]
