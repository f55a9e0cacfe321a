"""The floor of a build: inflate what must be read, compress what must be stored, write it, and nothing else.

The libraries do all of it: no pixel is placed, masked, counted or cut, and no column is written. What a build takes
beyond that is its own doing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import deflate
import numpy as np
import numpy.typing as npt
import rasterio

from benchmarks import competent, ours
from benchmarks.place import places_of
from gcn_luigi.io.parallel import in_order
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.prepare.chips.metadata import Partition
from gcn_luigi.settings import Codec

# Partitions whose chunks are kept ready; the others are taken to be like them.
_READY = 8

Compress = Callable[[], object]


@dataclass(frozen=True)
class Floor:
    """What one build has to read and write.

    Attributes
    ----------
    blocks : list of (bytes, int)
        Deflated blocks of the sources, each once, and how many bytes each of them holds.
    chunks : list of list of (callable, bytes)
        By partition, in a cycle: the library's call that compresses a chunk, and what is stored of it.
    n_partitions : int
        Partitions of the build.
    """

    blocks: Sequence[tuple[bytes, int]]
    chunks: Sequence[Sequence[tuple[Compress, bytes]]]
    n_partitions: int

    def run(self, out: Path, threads: int) -> None:
        """Inflate, compress and write, and the file to the disk."""
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            with ThreadPoolExecutor(threads) as pool:
                for stored in in_order(pool, self._calls(), 2 * threads) if threads > 1 else self._alone():
                    for part in stored:
                        os.write(handle, part)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _alone(self) -> Iterator[list[bytes]]:
        return (call() for call in self._calls())

    def _calls(self) -> Iterator[Callable[[], list[bytes]]]:
        """Yield one call a partition: its share of the blocks, and its chunks."""
        for number in range(self.n_partitions):
            part = slice(
                number * len(self.blocks) // self.n_partitions, (number + 1) * len(self.blocks) // self.n_partitions
            )
            yield partial(_done, self.blocks[part], self.chunks[number % len(self.chunks)])


def floor_of(place: DatasetPaths, layout: str, codec: Codec, step: int) -> Floor:
    """Return the floor of the build of a place.

    `layout` is ``windows``, where a partition is stored whole whatever the step, or ``chips``.
    """
    places = places_of(place)
    chunks = [
        [(ours.compression(codec, array), ours.stored(codec, array)) for array in _arrays(place, one, layout, step)]
        for one in places[:: max(1, len(places) // _READY)][:_READY]
    ]
    return Floor(_blocks(place, places), chunks, len(places))


def _done(blocks: Sequence[tuple[bytes, int]], chunks: Sequence[tuple[Compress, bytes]]) -> list[bytes]:
    for packed, size in blocks:
        deflate.zlib_decompress(packed, size)
    for compress, _ in chunks:
        compress()
    return [stored for _, stored in chunks]


def _arrays(place: DatasetPaths, one: Partition, layout: str, step: int) -> Iterator[npt.NDArray[np.generic]]:
    """Yield what a build stores of a partition, chunk by chunk: image, label and flags."""
    with rasterio.open(place.stack(one.year)) as source:
        window = one.window
        pixels = source.read(window=rasterio.windows.Window(window.col, window.row, window.width, window.height))
        competent.fill_missing(pixels, source.nodatavals)
    if layout == "windows":
        chips = pixels[np.newaxis]
    else:
        n_chips = ((pixels.shape[1] - competent.CHIP) // step + 1) ** 2
        chips = competent.cut(pixels, step, np.empty((n_chips, len(pixels), competent.CHIP, competent.CHIP), np.int16))
    for chip in chips:
        yield np.ascontiguousarray(chip[: competent.LABEL])
        yield np.ascontiguousarray(chip[competent.LABEL].astype(np.uint8))
        yield np.zeros(chip.shape[1:], np.uint8)


def _blocks(place: DatasetPaths, places: Sequence[Partition]) -> list[tuple[bytes, int]]:
    """Return the deflated blocks below all partitions, each once, with the bytes that they hold."""
    found: dict[tuple[Path, int, int, int], tuple[bytes, int]] = {}
    for year in sorted({one.year for one in places}):
        with rasterio.open(place.stack(year)) as stack:
            origin = stack.transform
        for path in _files(place.stack(year)):
            with rasterio.open(path) as source, path.open("rb") as stream:
                if source.compression is None or source.compression.name != "deflate":
                    continue
                # Where the corner of the stack is in pixels of this file.
                left, top = ~source.transform * (origin.c, origin.f)
                height, width = source.block_shapes[0]
                for one in places:
                    if one.year != year:
                        continue
                    row, col = one.window.row + round(top), one.window.col + round(left)
                    for key in _keys(row, col, one, source):
                        if (path, *key) in found:
                            continue
                        band, block_row, block_col = key
                        name = f"_{block_col}_{block_row}"
                        start, size = (
                            int(source.get_tag_item(f"{what}{name}", "TIFF", bidx=band) or 0)
                            for what in ("BLOCK_OFFSET", "BLOCK_SIZE")
                        )
                        if size:
                            stream.seek(start)
                            itemsize = np.dtype(source.dtypes[band - 1]).itemsize
                            found[path, *key] = stream.read(size), height * width * itemsize
    return list(found.values())


def _keys(row: int, col: int, one: Partition, source: rasterio.DatasetReader) -> Iterator[tuple[int, int, int]]:
    """Yield band, row and column of the blocks of a file that a partition touches."""
    height, width = source.block_shapes[0]
    rows = range(max(row, 0) // height, -(-min(row + one.window.height, source.height) // height))
    cols = range(max(col, 0) // width, -(-min(col + one.window.width, source.width) // width))
    for band in source.indexes:
        for block_row in rows:
            for block_col in cols:
                yield band, block_row, block_col


def _files(path: Path) -> list[Path]:
    """Return the GeoTIFFs that a VRT shows, also through other VRTs."""
    if path.suffix != ".vrt":
        return [path]
    found: dict[Path, None] = {}
    for element in ET.parse(path).iter("SourceFilename"):  # noqa: S314  our own stack
        name = str(element.text)
        below = (path.parent / name) if element.get("relativeToVRT") == "1" else Path(name)
        found.update(dict.fromkeys(_files(below.resolve())))
    return list(found)
