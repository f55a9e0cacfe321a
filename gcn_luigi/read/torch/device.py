"""Chips that are cut on the device: partitions go there once, and each batch is cut, turned and normalised there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.read.normalise import scales_of
from gcn_luigi.read.reader import Positions
from gcn_luigi.read.torch.ground import grounds_of
from gcn_luigi.read.torch.loaders import Tensors, check_part, parts_of, resumed
from gcn_luigi.read.torch.orientation import dihedral
from gcn_luigi.read.transforms import orientations

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

# Dimensions of the plane of images: ground, band, y, x.
_OF_IMAGES = 4


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
    **chosen
        Passed on to `Dataset.chips`: fold, years, where.

    Raises
    ------
    ConfigError
        The device cannot be used, the pixels do not fit in its memory, or no chip fulfils the conditions.
    ShardError
        A shard is damaged, or the statistics lack a band.
    """

    def __init__(self, dataset: "Dataset", split: str, *, device: str | torch.device = "cuda", **chosen: Any) -> None:
        self.reader = dataset.chips(split, **chosen)
        self.reader.check_not_empty()
        self.device = _usable(device)
        mean, std = scales_of(dataset.statistics, [band.name for band in dataset.bands])
        missing = np.array([Flag[band.role.name] for band in dataset.bands], np.uint8).reshape(-1, 1, 1)
        self._mean, self._std, self._missing = (
            torch.from_numpy(values).to(self.device)
            for values in (mean.astype(np.float32), std.astype(np.float32), missing)
        )
        self._planes, self._places = self._load()

    def __len__(self) -> int:
        """Return the number of chips."""
        return len(self.reader)

    def batch(self, positions: Sequence[int] | Positions) -> Tensors:
        """Return chips as they are stored: the arrays of `ChipReader.batch`, equal to the bit."""
        where = torch.as_tensor(np.asarray(positions, np.int64)).to(self.device)
        ground, row, col = self._places[where].unbind(1)
        edge = self.reader.size
        cut = {}
        for name, plane in self._planes.items():
            # A view of all windows of a chip's size; indexing copies those that are asked for.
            windows = plane.unfold(-2, edge, 1).unfold(-2, edge, 1)
            cut[name] = windows[ground, :, row, col] if plane.ndim == _OF_IMAGES else windows[ground, row, col]
        return {**cut, "position": where}

    def normalise(self, image: torch.Tensor, flags: torch.Tensor) -> torch.Tensor:
        """Return images as `gcn_luigi.read.normalise` does, but in single precision, which devices are made for."""
        scaled = (image.float() - self._mean) / self._std
        return scaled.masked_fill_((flags.unsqueeze(1) & self._missing) != 0, 0.0)

    def batches(
        self,
        size: int,
        *,
        seed: int | None = None,
        turn: bool = False,
        drop_last: bool = False,
        part: tuple[int, int] = (0, 1),
    ) -> "DeviceBatches":
        """Return the batches of epochs; see `DeviceBatches`.

        Parameters
        ----------
        size : int
            Chips per batch.
        seed : int or None
            Seed of the order and of the orientations; None keeps the order of the index.
        turn : bool
            Give each chip one of the eight orientations, drawn anew in each epoch.
        drop_last, part
            As for `ChipStream`.

        Raises
        ------
        ConfigError
            An argument is out of range, or chips are turned without a seed.
        """
        check_part(size, part, where="DeviceChips.batches")
        if turn and seed is None:
            raise ConfigError(
                "turning chips is not possible without a seed", where="DeviceChips.batches", fix="give a seed"
            )

        def parts(epoch: int) -> list[Positions]:
            order = np.arange(len(self)) if seed is None else self.reader.order(seed=seed, epoch=epoch)
            return parts_of(order, size, drop_last=drop_last, part=part)

        return DeviceBatches(self, parts, seed if turn else None)

    def _load(self) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the pixels of every ground by name, (ground, ..., y, x), and the place of each chip, (chip, 3)."""
        grounds = list(grounds_of(self.reader))
        height, width = (max(getattr(one, side) for one in grounds) for side in ("height", "width"))
        places = np.empty((len(self.reader), 3), np.int64)
        planes: dict[str, torch.Tensor] = {}
        for number, ground in enumerate(grounds):
            places[ground.chips] = np.column_stack([np.full(len(ground.chips), number), ground.rows, ground.cols])
            for name, pixels in ground.planes(self.reader).items():
                if name not in planes:
                    shape = (len(grounds), *pixels.shape[:-2], height, width)
                    planes[name] = self._room(shape, torch.from_numpy(pixels).dtype, planes)
                planes[name][number, ..., : ground.height, : ground.width] = torch.from_numpy(pixels).to(self.device)
        return planes, torch.from_numpy(places).to(self.device)

    def _room(self, shape: tuple[int, ...], dtype: torch.dtype, planes: Mapping[str, torch.Tensor]) -> torch.Tensor:
        try:
            return torch.zeros(shape, dtype=dtype, device=self.device)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            taken = sum(plane.nbytes for plane in planes.values())
            needed = int(np.prod(shape)) * dtype.itemsize
            raise ConfigError(
                f"{(taken + needed) / 1e9:.1f} GB of pixels do not fit in the memory of {self.device}",
                where="DeviceChips",
                fix="use ChipStream, which reads from the shards; or choose fewer chips by years, fold or where",
            ) from error


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
    parts : callable
        Takes an epoch and returns the positions of each of its batches.
    turn_seed : int or None
        Seed of the orientations; None turns no chip.
    """

    def __init__(self, chips: DeviceChips, parts: Callable[[int], list[Positions]], turn_seed: int | None) -> None:
        self._chips, self._parts, self._turn_seed = chips, parts, turn_seed
        # The epoch in turn, how many of its batches were given, and how many the next pass leaves out.
        self._epoch, self._given, self._left_out = -1, 0, 0

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch."""
        return len(self._parts(0))

    def __iter__(self) -> Iterator[Tensors]:
        """Begin the next epoch and yield the batches of this process; after `load_state_dict`, go on in its epoch."""
        first, self._left_out = self._left_out, 0
        self._epoch, self._given = (self._epoch, first) if first else (self._epoch + 1, 0)
        turns = self._orientations(self._epoch)
        for number, positions in enumerate(self._parts(self._epoch)[first:], first + 1):
            raw = self._chips.batch(positions)
            if turns is not None:
                raw = dihedral(raw, turns[raw["position"]])
            self._given = number
            yield {**raw, "image": self._chips.normalise(raw["image"], raw["flags"])}

    def state_dict(self) -> dict[str, int]:
        """Return the epoch in turn and how many of its batches were given, for a checkpoint."""
        return {"epoch": self._epoch, "batches": self._given}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next pass go on after a checkpoint: with the rest of its epoch, or with the next one.

        Raises
        ------
        ConfigError
            The state is not one of `state_dict` for as many batches.
        """
        self._epoch, self._given = resumed(state, len(self), where="DeviceBatches.load_state_dict")
        self._left_out = self._given if self._given < len(self) else 0

    def _orientations(self, epoch: int) -> torch.Tensor | None:
        if self._turn_seed is None:
            return None
        # Random numbers of torch would depend on the device.
        drawn = orientations(len(self._chips), seed=self._turn_seed, epoch=epoch)
        return torch.from_numpy(drawn).to(self._chips.device)


def _usable(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (AssertionError, RuntimeError) as error:
        raise ConfigError(
            f"torch cannot use the device {device}: {str(error).partition(chr(10))[0]}",
            where="DeviceChips, device",
            fix='use device="cpu", or install a build of torch for this device',
        ) from error
    return found
