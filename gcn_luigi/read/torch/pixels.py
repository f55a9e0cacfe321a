"""Pixels on a device, from which chips are cut: of all partitions, or of two groups of them at a time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.parallel import in_order
from gcn_luigi.read.reader import ChipReader, Positions
from gcn_luigi.read.store.memory import free_bytes
from gcn_luigi.read.store.orders import shuffled_in_groups
from gcn_luigi.read.torch.ground import Ground
from gcn_luigi.read.torch.loaders import Tensors, tensors

# Dimensions of the plane of images: ground, band, y, x.
_OF_IMAGES = 4

# Of a plane: its shape without the grounds, and its type.
_Form = tuple[tuple[int, ...], torch.dtype]


class DevicePixels:
    """Room for the pixels of some grounds on a device, from which chips are cut.

    Parameters
    ----------
    reader : ChipReader
        The chips.
    grounds : sequence of Ground
        What they show.
    device : torch.device
        Where the room is.
    count : int
        For how many grounds there is room.

    Raises
    ------
    ConfigError
        There is not as much memory on the device.
    """

    def __init__(self, reader: ChipReader, grounds: Sequence[Ground], device: torch.device, count: int) -> None:
        self._reader, self._grounds, self._device = reader, grounds, device
        # Grounds of a group, whose chips alone are mixed; 0 if all are.
        self.group = 0
        forms = _forms(reader, grounds)
        try:
            self._planes = {
                name: torch.zeros((count, *shape), dtype=dtype, device=device) for name, (shape, dtype) in forms.items()
            }
        except (torch.OutOfMemoryError, RuntimeError) as error:
            raise ConfigError(
                f"{count * ground_bytes(reader, grounds) / 1e9:.1f} GB of pixels do not fit in the memory of {device}",
                where="DeviceChips",
                fix="give memory_mb, how much of it the pixels may take; or choose fewer chips by years, fold or where",
            ) from error
        # The slot of each ground; -1 without.
        self._slots = np.full(len(grounds), -1, np.int64)
        # The ground of each chip, and its first row and column there.
        self.ground_of = np.empty(len(reader), np.int64)
        self._corner = np.empty((len(reader), 2), np.int64)
        for number, ground in enumerate(grounds):
            self.ground_of[ground.chips] = number
            self._corner[ground.chips] = np.column_stack([ground.rows, ground.cols])

    def fill(self, numbers: Sequence[int]) -> None:
        """Put the pixels of these grounds in place of those that are here. Nothing may be cut meanwhile."""
        self._slots[:] = -1
        for slot, number in enumerate(numbers):
            ground = self._grounds[number]
            for name, pixels in ground.planes(self._reader).items():
                target = self._planes[name][slot, ..., : ground.height, : ground.width]
                # What another ground left beyond this one is no chip's.
                target.copy_(_sendable(pixels, self._device), non_blocking=True)
            self._slots[number] = slot

    def cut(self, positions: Positions) -> Tensors:
        """Return chips as they are stored: the arrays of `ChipReader.batch`, equal to the bit."""
        slots, corners = self._slots[self.ground_of[positions]], self._corner[positions]
        cut = copied if self._device.type == "cpu" else indexed
        found = {name: cut(plane, slots, corners, self._reader.size) for name, plane in self._planes.items()}
        return {**found, "position": torch.from_numpy(positions).to(self._device)}

    def order(self, seed: int | None, epoch: int) -> Positions:
        """Return the positions of an epoch, each once: of the index, or with a seed those of `ChipReader.order`."""
        return np.arange(len(self._reader)) if seed is None else self._reader.order(seed=seed, epoch=epoch)

    def batches(self, order: Positions, parts: Sequence[Positions]) -> Iterator[Tensors]:
        """Yield the chips of each of `parts`, which are pieces of `order`."""
        del order
        return map(self.cut, parts)


def indexed(plane: torch.Tensor, slots: NDArray[np.int64], corners: NDArray[np.int64], edge: int) -> torch.Tensor:
    """Return windows of a plane (ground, ..., y, x) by one operation, which suits a GPU.

    `slots` (chip,) are grounds, `corners` (chip, 2) the first row and column of each window, and `edge` its rows.
    """
    ground, row, col = (
        torch.from_numpy(np.ascontiguousarray(values)).to(plane.device) for values in (slots, *corners.T)
    )
    # A view of all windows; indexing copies those that are asked for.
    windows = plane.unfold(-2, edge, 1).unfold(-2, edge, 1)
    return windows[ground, :, row, col] if plane.ndim == _OF_IMAGES else windows[ground, row, col]


def copied(plane: torch.Tensor, slots: NDArray[np.int64], corners: NDArray[np.int64], edge: int) -> torch.Tensor:
    """Return what `indexed` does, window by window. On a processor this takes a tenth of the time."""
    found = torch.empty((len(slots), *plane.shape[1:-2], edge, edge), dtype=plane.dtype, device=plane.device)
    for chip, (slot, (row, col)) in enumerate(zip(slots.tolist(), corners.tolist(), strict=True)):
        found[chip].copy_(plane[slot, ..., row : row + edge, col : col + edge])
    return found


class GroupedPixels:
    """Pixels of grounds that do not fit on a device together: those of the next group come while one is used.

    Parameters
    ----------
    reader, grounds, device
        As for `DevicePixels`.
    count : int
        Grounds of a group. There is room for two groups.
    """

    def __init__(self, reader: ChipReader, grounds: Sequence[Ground], device: torch.device, count: int) -> None:
        self._reader, self._device, self.group = reader, device, count
        self._rooms = [DevicePixels(reader, grounds, device, count) for _ in range(2)]
        self._ground_of = self._rooms[0].ground_of

    def order(self, seed: int | None, epoch: int) -> Positions:
        """Return all positions, group by group. With a seed, grounds are mixed, and the chips of each group."""
        if seed is None:
            return np.argsort(self._ground_of // self.group, kind="stable").astype(np.int64)
        return shuffled_in_groups(self._ground_of, self.group, seed=seed, epoch=epoch)

    def cut(self, positions: Positions) -> Tensors:
        """Return chips as they are stored, of whichever ground: a few are read from the shards."""
        return {name: values.to(self._device) for name, values in tensors(self._reader.batch(positions)).items()}

    def batches(self, order: Positions, parts: Sequence[Positions]) -> Iterator[Tensors]:
        """Yield the chips of each of `parts`, which are pieces of `order`, in turn."""
        group_of_ground = self._groups(order)
        group_of = group_of_ground[self._ground_of]
        numbers = np.unique(group_of[np.concatenate(parts)]) if parts else np.empty(0, np.int64)
        groups = [np.flatnonzero(group_of_ground == number) for number in numbers.tolist()]
        with ThreadPoolExecutor(1, thread_name_prefix="gcn-device") as lane:
            turns = _Turns(self._device)
            calls = (partial(turns.fill, self._rooms[turn % 2], turn, group) for turn, group in enumerate(groups))
            with closing(in_order(lane, calls, 1)) as filled:
                turn, room = -1, self._rooms[0]
                for part in parts:
                    pieces = []
                    own = np.searchsorted(numbers, group_of[part])
                    # A batch may be of two groups, or of more if groups are small.
                    for wanted in np.unique(own).tolist():
                        while turn < wanted:
                            turns.release(turn)
                            room, turn = next(filled), turn + 1
                        pieces.append(room.cut(part[own == wanted]))
                    yield {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}

    def _groups(self, order: Positions) -> NDArray[np.int64]:
        """Return the group of each ground, (ground,) in the order of their use; -1 for one that `order` does not need.

        No chip of a group comes before the last one of an earlier group. Where years are mixed, some grounds of a group
        of `order` are not needed, so groups cannot be counted off.
        """
        grounds = self._ground_of[order]
        needed, first = np.unique(grounds, return_index=True)
        last = len(grounds) - 1 - np.unique(grounds[::-1], return_index=True)[1]
        turn = np.argsort(first)
        # Grounds whose chips are mixed with one another stay together.
        starts = np.flatnonzero(first[turn][1:] > np.maximum.accumulate(last[turn])[:-1]) + 1
        found = np.full(int(self._ground_of.max()) + 1, -1, np.int64)
        number = taken = 0
        for together in np.split(needed[turn], starts):
            if taken + len(together) > self.group:
                number, taken = number + 1, 0
            found[together], taken = number, taken + len(together)
        return found


class _Turns:
    """Fill two rooms in turn, on a stream of the device other than that on which chips are cut."""

    def __init__(self, device: torch.device) -> None:
        # Torch gives its streams and events no types.
        self._cuda: Any = torch.cuda
        self._stream: Any = self._cuda.Stream(device) if device.type == "cuda" else None
        self._cut: list[Any] = [None, None]

    def release(self, turn: int) -> None:
        """Note that all chips of a turn were asked for; the device may still have to cut some of them."""
        if self._stream is not None and turn >= 0:
            event = self._cuda.Event()
            event.record(self._cuda.current_stream(self._stream.device))
            self._cut[turn % 2] = event

    def fill(self, room: DevicePixels, turn: int, numbers: NDArray[np.int64]) -> DevicePixels:
        """Fill a room, once what was cut from it before is done, and return it when the pixels are there."""
        if self._stream is None:
            room.fill(numbers.tolist())
            return room
        event = self._cut[turn % 2]
        if event is not None:
            self._stream.wait_event(event)
        with self._cuda.stream(self._stream):
            room.fill(numbers.tolist())
        self._stream.synchronize()
        return room


def ground_bytes(reader: ChipReader, grounds: Sequence[Ground]) -> int:
    """Return the bytes of a ground on a device, where all have the size of the largest one."""
    return sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in _forms(reader, grounds).values())


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a device; of another one than a GPU, in the memory of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_bytes()


def _forms(reader: ChipReader, grounds: Sequence[Ground]) -> dict[str, _Form]:
    """Return the shape and type of each plane of a ground, by name."""
    height, width = (max(getattr(one, side) for one in grounds) for side in ("height", "width"))
    return {
        name: ((*pixels.shape[1:-2], height, width), pixels.dtype)
        for name, pixels in tensors(reader.batch([0])).items()
        if name != "position"
    }


def _sendable(pixels: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Return pixels as a tensor, in memory from which a GPU copies by itself."""
    found = torch.from_numpy(pixels)
    return found.pin_memory() if device.type == "cuda" else found
