"""Chips that are cut on the device: partitions go there once, and each batch is cut, turned and normalised there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError
from gcn_luigi.read.reader import Positions
from gcn_luigi.read.store.orders import checked_positions
from gcn_luigi.read.torch.ground import grounds_of
from gcn_luigi.read.torch.loaders import Tensors, check_part, parts_of, resumed
from gcn_luigi.read.torch.orientation import dihedral
from gcn_luigi.read.torch.pixels import DevicePixels, GroupedPixels, free_memory, ground_bytes
from gcn_luigi.read.torch.scaling import DeviceScaling
from gcn_luigi.read.transforms import orientations

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

_MEGABYTE = 1_000_000
# Of the free memory of a device, if nothing else is said: a model needs some as well.
_SHARE = 0.5
# Partitions for which there must be room: one that is used, and one that comes.
_FEWEST = 2
# Tells the random numbers of years from those of the order and of orientations.
_YEARS = 1000


class DeviceChips:
    """The chips of one split on a device: partitions are copied there once, and batches are cut there.

    A partition is kept as its pixels, however many chips show them. `batches` gives the batches of epochs.

    Parameters
    ----------
    dataset : Dataset
        The dataset; its statistics normalise the images.
    split : str
        As for `Dataset.chips`.
    device : str or torch.device
        Where the pixels are kept.
    memory_mb : float, optional
        Megabytes of the device's memory that pixels may take; by default half of what is free. What does not fit is
        read group by group in each epoch: while one group of partitions is used, the next one comes. Then only the
        chips of a group are mixed.
    **chosen
        Passed on to `Dataset.chips`: fold, years, where.

    Raises
    ------
    ConfigError
        The device cannot be used, the pixels do not fit in its memory, or no chip fulfils the conditions.
    ShardError
        A shard is damaged, or the statistics lack a band.
    """

    def __init__(
        self,
        dataset: "Dataset",
        split: str,
        *,
        device: str | torch.device = "cuda",
        memory_mb: float | None = None,
        **chosen: Any,
    ) -> None:
        self.reader = dataset.chips(split, **chosen)
        self.reader.check_not_empty()
        self.device = usable_device(device, where="DeviceChips, device")
        self._scaling = DeviceScaling(dataset, self.device)
        self._memory_mb, self.pixels = memory_mb, self._pixels(memory_mb)

    def __len__(self) -> int:
        """Return the number of chips."""
        return len(self.reader)

    def batch(self, positions: Sequence[int] | Positions) -> Tensors:
        """Return chips as they are stored: the arrays of `ChipReader.batch`, equal to the bit, and its errors."""
        return self.pixels.cut(checked_positions(positions, len(self)))

    def normalise(self, image: torch.Tensor, flags: torch.Tensor) -> torch.Tensor:
        """Return images as `gcn_luigi.read.normalise` does, but in single precision, which devices are made for."""
        return self._scaling(image, flags)

    def batches(
        self,
        size: int,
        *,
        seed: int | None = None,
        turn: bool = False,
        mix_years: bool = False,
        drop_last: bool = False,
        part: tuple[int, int] = (0, 1),
    ) -> "DeviceBatches":
        """Return the batches of epochs; see `DeviceBatches`.

        Parameters
        ----------
        size : int
            Chips per batch.
        seed : int or None
            Seed of the order, of the orientations and of the years; None keeps the order of the index.
        turn : bool
            Give each chip one of the eight orientations, drawn anew in each epoch.
        mix_years : bool
            Show each place once in an epoch, in one of its years, drawn anew in each epoch. This is for datasets with
            several years of a place (``[year] rule = "all"``), whose chips are much alike.
        drop_last, part
            As for `ChipStream`.

        Raises
        ------
        ConfigError
            An argument is out of range, chips are turned or years mixed without a seed, or pixels that do not fit are
            to be divided among processes without `memory_mb`.
        """
        check_part(size, part, where="DeviceChips.batches")
        if part[1] > 1 and self.pixels.group and self._memory_mb is None:
            raise ConfigError(
                "the pixels do not fit, and how many do may differ between processes, which then would not agree on "
                "the order",
                where="DeviceChips",
                fix="give memory_mb, the same in each process, or use ChipStream",
            )
        if seed is None and (turn or mix_years):
            raise ConfigError(
                f"{'turning chips' if turn else 'mixing years'} is not possible without a seed",
                where="DeviceChips.batches",
                fix="give a seed",
            )

        def order(epoch: int) -> Positions:
            found = self.pixels.order(seed, epoch)
            return found if seed is None or not mix_years else found[self._chosen_years(seed, epoch)[found]]

        parts = partial(parts_of, size=size, drop_last=drop_last, part=part)
        return DeviceBatches(self, order, parts, seed if turn else None)

    def _chosen_years(self, seed: int, epoch: int) -> NDArray[np.bool_]:
        """Return which chips an epoch with mixed years shows, (chip,): one of each place."""
        table = self.reader.placed
        keys = [table[name].to_numpy() for name in ("partition", "row", "col")]
        places = [np.unique(key.astype(str) if key.dtype == object else key, return_inverse=True)[1] for key in keys]
        drawn = np.random.PCG64([seed, epoch, _YEARS]).random_raw(len(self))
        order = np.lexsort((drawn, *places))
        same = np.logical_and.reduce([np.diff(place[order], prepend=-1) == 0 for place in places])
        chosen = np.zeros(len(self), bool)
        chosen[order[~same]] = True
        return chosen

    def _pixels(self, memory_mb: float | None) -> DevicePixels | GroupedPixels:
        grounds = list(grounds_of(self.reader))
        most = _SHARE * free_memory(self.device) if memory_mb is None else memory_mb * _MEGABYTE
        each = ground_bytes(self.reader, grounds)
        fits = most / each
        # All of them if memory is infinite, and none if it is no number.
        fitting = int(min(fits, len(grounds))) if fits > 0 else 0
        if fitting >= len(grounds):
            whole = DevicePixels(self.reader, grounds, self.device, len(grounds))
            whole.fill(range(len(grounds)))
            return whole
        if fitting < _FEWEST:
            raise ConfigError(
                f"{most / 1e6:,.0f} MB hold fewer than {_FEWEST} partitions of {each / 1e6:.1f} MB",
                where="DeviceChips, memory_mb",
                fix="allow more memory, or use ChipStream, which reads from the shards",
            )
        return GroupedPixels(self.reader, grounds, self.device, fitting // 2)


class DeviceBatches:
    """Batches on a device, as dicts of tensors. Each pass is the next epoch, from epoch 0.

    ``image`` (chip, band, y, x) float32, normalised with the statistics of the dataset, where missing pixels are 0;
    ``label`` and ``flags`` (chip, y, x) uint8; ``position`` (chip,) int64, the position in the reader; with a
    confidence of the label also ``confidence`` uint8 and ``weight`` float32 (chip, y, x). The order is that of
    `ChipStream` with the same seed, size and part.

    Parameters
    ----------
    chips : DeviceChips
        The chips.
    order : callable
        Takes an epoch and returns its positions.
    parts : callable
        Takes the positions of an epoch and returns those of each batch of this process.
    turn_seed : int or None
        Seed of the orientations; None turns no chip.
    """

    def __init__(
        self,
        chips: DeviceChips,
        order: Callable[[int], Positions],
        parts: Callable[[Positions], list[Positions]],
        turn_seed: int | None,
    ) -> None:
        self._chips, self._order, self._parts, self._turn_seed = chips, order, parts, turn_seed
        # The last epoch of which batches were given, how many, and whether the next pass is the rest of it.
        self._epoch, self._given, self._goes_on = -1, 0, False

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch, which is the same for all epochs."""
        return self._n_batches

    @cached_property
    def _n_batches(self) -> int:
        # An order is drawn for it, and trainers ask often.
        return len(self._parts(self._order(0)))

    def __iter__(self) -> Iterator[Tensors]:
        """Begin the next epoch and yield the batches of this process; after `load_state_dict`, go on in its epoch."""
        first = self._given if self._goes_on else 0
        epoch = self._epoch if self._goes_on else self._epoch + 1
        order, turns = self._order(epoch), self._orientations(epoch)
        batches = self._chips.pixels.batches(order, self._parts(order)[first:])
        for number, raw in enumerate(batches, first + 1):
            if turns is not None:
                raw = dihedral(raw, turns[raw["position"]])  # noqa: PLW2901
            batch = {**raw, "image": self._chips.normalise(raw["image"], raw["flags"])}
            # An epoch of which no batch was given has not begun.
            self._epoch, self._given, self._goes_on = epoch, number, False
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch in turn and how many of its batches were given, for a checkpoint.

        If pixels come in groups of partitions, on which the order depends, the size of a group is in it as well.
        """
        return {"epoch": self._epoch, "batches": self._given, "group": self.group}

    @property
    def group(self) -> int:
        """How many partitions are on the device at a time while chips are mixed; 0 if all are."""
        return self._chips.pixels.group

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next pass go on after a checkpoint: with the rest of its epoch, or with the next one.

        Raises
        ------
        ConfigError
            The state is not one of `state_dict` for as many batches, or for other groups of partitions.
        """
        epoch, given = resumed(state, len(self), where="DeviceBatches.load_state_dict")
        if 0 < given < len(self) and state.get("group", 0) != self.group:
            raise ConfigError(
                f"the epoch was begun with groups of {state.get('group', 0) or 'all'} partitions on the device, and "
                f"now there are {self.group or 'all'}, so the rest of it is not known",
                where="DeviceBatches.load_state_dict",
                fix="give DeviceChips the same memory_mb in both runs, or a state from the end of an epoch",
            )
        self._epoch, self._given = epoch, given
        self._goes_on = 0 < self._given < len(self)

    def _orientations(self, epoch: int) -> torch.Tensor | None:
        if self._turn_seed is None:
            return None
        # Random numbers of torch would depend on the device.
        drawn = orientations(len(self._chips), seed=self._turn_seed, epoch=epoch)
        return torch.from_numpy(drawn).to(self._chips.device)


def usable_device(device: str | torch.device, *, where: str) -> torch.device:
    """Return a device; raise ConfigError about `where` if torch cannot use it."""
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (AssertionError, RuntimeError) as error:
        raise ConfigError(
            f"torch cannot use the device {device}: {str(error).partition(chr(10))[0]}",
            where=where,
            fix="use the device cpu, or install a build of torch for this device",
        ) from error
    return found
