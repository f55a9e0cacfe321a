"""Pieces of a shard: a batch of chips, or one partition stored whole, cut and compressed."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.shard.format import PIXELS, ShardHeader
from gcn_luigi.io.shard.writer import EncodedRows, ShardWriter
from gcn_luigi.prepare.chips.chips import cut_chips

# Chips cut and compressed at once: 10 MB of pixels of ten bands, whatever the step.
BATCH = 32

Columns = Mapping[str, NDArray[Any]]
Planes = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Piece:
    """Part of a partition, ready to be written.

    Attributes
    ----------
    rows : EncodedRows
        Pixels.
    columns, windows : mapping
        Metadata of its chips and, where partitions are stored whole, of the window.
    """

    rows: EncodedRows
    columns: Columns
    windows: Columns = field(default_factory=dict)

    def write(self, writer: ShardWriter) -> None:
        """Add it to the shard."""
        writer.write(self.rows, self.columns, self.windows)


class PieceMaker:
    """Makes pieces, in any thread; each thread has buffers of its own, used again and again.

    Parameters
    ----------
    header : ShardHeader
        Sizes, edge policy and fills.
    writer : ShardWriter
        Compresses.
    in_threads : bool
        Whether threads other than the one that writes make the pieces.
    """

    def __init__(self, header: ShardHeader, writer: ShardWriter, *, in_threads: bool = False) -> None:
        self._header, self._writer = header, writer
        # What is not compressed is written out of the buffers, and by then a thread may be at its next piece.
        self._is_reused = not (in_threads and writer.codec == "none")
        self._n_windows = 0
        # Touching fresh memory costs more than cutting.
        self._buffers = threading.local()

    def calls(
        self, planes: Planes, origins: NDArray[np.int64], columns: Columns, windows: Columns
    ) -> Iterator[Callable[[], Piece]]:
        """Yield the calls that make the pieces of one partition.

        Parameters
        ----------
        planes : mapping
            ``image`` (band, y, x) int16, ``label`` and ``flags`` (y, x) uint8: the partition; not to be changed
            before the calls are done.
        origins : ndarray of int64
            (chip, 2): row and column of its chips; none gives no piece.
        columns, windows : mapping
            Metadata of the chips (chip, ...) and of the partition (1, ...).

        Yields
        ------
        callable
            Returns a piece.
        """
        if not len(origins):
            return
        if self._header.layout == "windows":
            numbers = np.full(len(origins), self._n_windows, np.int32)
            self._n_windows += 1
            yield partial(self._window, planes, {**columns, "in_window": numbers}, windows)
            return
        for first in range(0, len(origins), BATCH):
            batch = slice(first, first + BATCH)
            yield partial(self._chips, planes, origins[batch], {name: part[batch] for name, part in columns.items()})

    def _chips(self, planes: Planes, origins: NDArray[np.int64], columns: Columns) -> Piece:
        header, pixels = self._header, {}
        for name, plane in planes.items():
            shape = (BATCH, *plane.shape[:-2], header.size, header.size)
            out = self._buffer(name, shape, plane.dtype)[: len(origins)]
            fill = header.fills[name]
            pixels[name] = cut_chips(plane, origins, header.size, edge=header.edge, fill=fill, out=out)
        return Piece(self._writer.encode(pixels), columns)

    def _window(self, planes: Planes, columns: Columns, windows: Columns) -> Piece:
        header, pixels = self._header, {}
        for name, plane in planes.items():
            pixels[name] = plane[np.newaxis]
            if plane.shape[-2:] != header.window:
                height, width = plane.shape[-2:]
                padded = self._buffer(name, (1, *plane.shape[:-2], *header.window), PIXELS[name])
                padded[...] = header.fills[name]
                padded[0, ..., :height, :width] = plane
                pixels[name] = padded
        return Piece(self._writer.encode(pixels), columns, windows)

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        buffer: NDArray[Any] | None = getattr(self._buffers, name, None) if self._is_reused else None
        if buffer is None:
            buffer = np.empty(shape, dtype)
            setattr(self._buffers, name, buffer)
        return buffer
