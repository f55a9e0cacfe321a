"""Part of a shard, cut and compressed: a batch of chips, or one partition stored whole."""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.shard.format import ShardHeader
from gcn_luigi.io.shard.writer import EncodedRows, ShardWriter
from gcn_luigi.prepare.chips.chips import cut_chips

# Chips cut and compressed at once: 10 MB of pixels of ten bands, whatever the step.
BATCH = 32

Columns = Mapping[str, NDArray[Any]]
Planes = Mapping[str, NDArray[Any]]


class EncodedChips(NamedTuple):
    """What `ShardWriter.write` takes: pixels, metadata of the chips and, where it is stored whole, of the partition."""

    rows: EncodedRows
    columns: Columns
    windows: Columns


class ChipEncoder:
    """Cuts and compresses chips, in any thread; each thread has buffers of its own, used again and again.

    `in_threads` says whether threads other than the one that writes do the work.
    """

    def __init__(self, header: ShardHeader, writer: ShardWriter, *, in_threads: bool = False) -> None:
        self.header, self._writer = header, writer
        # What is not compressed is written out of the buffers, and by then a thread may be at its next part.
        self._is_reused = not (in_threads and writer.codec == "none")
        self._n_windows = 0
        # Touching fresh memory costs more than cutting.
        self._buffers = threading.local()

    def calls(
        self, planes: Planes, origins: NDArray[np.int64], columns: Columns, windows: Columns
    ) -> Iterator[Callable[[], EncodedChips]]:
        """Yield the calls that encode one partition; without chips there is none.

        `planes` are ``image`` (band, y, x) int16, ``label`` and ``flags`` (y, x) uint8 of the partition, not to be
        changed before the calls are done; `origins` (chip, 2), row and column of its chips; `columns` and `windows` the
        metadata of the chips (chip, ...) and of the partition (1, ...).
        """
        if not len(origins):
            return
        if self.header.layout == "windows":
            numbers = np.full(len(origins), self._n_windows, np.int32)
            self._n_windows += 1
            yield partial(self._encode_window, planes, {**columns, "in_window": numbers}, windows)
            return
        for first in range(0, len(origins), BATCH):
            batch = slice(first, first + BATCH)
            part = {name: values[batch] for name, values in columns.items()}
            yield partial(self._encode_chips, planes, origins[batch], part)

    def _encode_chips(self, planes: Planes, origins: NDArray[np.int64], columns: Columns) -> EncodedChips:
        header, pixels = self.header, {}
        for name, plane in planes.items():
            out = self._buffer(name, (BATCH, *plane.shape[:-2], header.size, header.size), plane.dtype)[: len(origins)]
            pixels[name] = cut_chips(plane, origins, header.size, edge=header.edge, fill=header.fills[name], out=out)
        return EncodedChips(self._writer.encode(pixels), columns, {})

    def _encode_window(self, planes: Planes, columns: Columns, windows: Columns) -> EncodedChips:
        header, pixels = self.header, {}
        for name, plane in planes.items():
            pixels[name] = plane[np.newaxis]
            if plane.shape[-2:] != header.window:
                height, width = plane.shape[-2:]
                pixels[name] = self._buffer(name, (1, *plane.shape[:-2], *header.window), plane.dtype)
                pixels[name][...] = header.fills[name]
                pixels[name][0, ..., :height, :width] = plane
        return EncodedChips(self._writer.encode(pixels), columns, windows)

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        buffer: NDArray[Any] | None = getattr(self._buffers, name, None) if self._is_reused else None
        if buffer is None:
            buffer = np.empty(shape, dtype)
            setattr(self._buffers, name, buffer)
        return buffer
