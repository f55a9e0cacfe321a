"""Everything that the benchmark asks of gcn_luigi, in one place: a change of the package is answered here alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import deflate
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

import gcn_luigi
from benchmarks.place import region_of
from benchmarks.rows import LeftOut
from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.io.publish.atomic import atomic_write, digest
from gcn_luigi.io.publish.manifest import ManifestEntry
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.shard import codecs
from gcn_luigi.io.shard.format import ShardHeader
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.prepare.chips.chips import chip_origins, cut_chips
from gcn_luigi.prepare.chips.metadata import Partition, chip_columns, empty_columns
from gcn_luigi.prepare.chips.selection import count_chips
from gcn_luigi.prepare.missing.fill import Corrected, outside_flags, strict_nodata
from gcn_luigi.settings import Codec, RegionSettings, ShardSettings
from gcn_luigi.stages.dataset.manifest import write_manifest
from gcn_luigi.stages.dataset.summary import write_index
from gcn_luigi.stages.shards.shard import BATCH, ShardRequest, build_shard

Batch = dict[str, npt.NDArray[Any]]

DEFAULT_CODEC: Codec = ShardSettings().codec
PLANES = ("image", "label", "flags")
# Partitions mixed at once.
GROUP = 16


def _silent(_message: str, _share: float | None = None) -> None:
    """Tell nobody."""


# --- settings -------------------------------------------------------------------------------------------------------


def variant(
    settings: RegionSettings, layout: str = "chips", codec: str = DEFAULT_CODEC, *, step: int = 32, mode: str = "strict"
) -> RegionSettings:
    """Return settings with another layout, codec, step or nodata mode.

    Raises
    ------
    LeftOut
        This version of the package does not offer it.
    """
    tables = settings.model_dump(mode="json")
    tables["shards"]["codec"] = codec
    tables["shards"]["layout"] = layout
    tables["chips"]["step"] = step
    tables["nodata"]["mode"] = mode
    try:
        return RegionSettings.model_validate(tables)
    except ValidationError as error:
        raise LeftOut(f"this version of gcn_luigi offers no layout {layout} with codec {codec}") from error


def shards_toml(total: int) -> str:
    """Return the ``[shards]`` section for a run through Luigi."""
    return f'\n[shards]\ntrain = {total}\ndev = 1\ncodec = "{DEFAULT_CODEC}"\nlayout = "windows"\n'


# --- building -------------------------------------------------------------------------------------------------------


def build(
    paths: DatasetPaths, settings: RegionSettings, out: Path, *, number: int = 0, total: int = 1, threads: int = 1
) -> None:
    """Build one shard of train and publish it: synced, then renamed."""
    request = ShardRequest(region_of(paths, settings), paths, "train", number, total, threads)
    with atomic_write(out) as temporary:
        build_shard(request, temporary, _silent)


def finish(paths: DatasetPaths, settings: RegionSettings) -> None:
    """Build all shards of a place and its index, so that it can be opened; its quality page is left out."""
    totals = {"train": settings.shards.n_train, "dev": settings.shards.n_dev}
    region = region_of(paths, settings)
    for split in SPLITS:
        for number in range(totals[split]):
            with atomic_write(paths.shard(split, number, totals[split])) as temporary:
                build_shard(ShardRequest(region, paths, split, number, totals[split], 1), temporary, _silent)
    with (
        atomic_write(paths.index) as index,
        atomic_write(paths.index_map) as map_,
        atomic_write(paths.metadata_log) as log,
    ):
        write_index(settings, paths, index, map_, log)
    # Of what a reader asks for; the rest of a dataset is not made here.
    name = paths.index.relative_to(paths.root).as_posix()
    index = ManifestEntry(name, paths.index.stat().st_size, digest(paths.index))
    write_manifest(settings, [index], {}, paths.dataset)


# --- kernels and writing --------------------------------------------------------------------------------------------


class MaskAndCut:
    """Mask and cut partitions in memory as a build does: batch by batch, into buffers that are used again."""

    def __init__(self, settings: RegionSettings, shape: tuple[int, int]) -> None:
        self._settings, self._schema = settings, settings.schema_bands
        self._fills = {
            "image": settings.nodata.fill,
            "label": LABEL_IGNORE,
            "flags": int(outside_flags(self._schema)),
        }
        self._origins = chip_origins(shape, settings.chips.size, settings.chips.step, settings.chips.edge)
        self._planes = Corrected.empty(self._schema, shape)
        chip = (settings.chips.size, settings.chips.size)
        n_bands, n_chips = len(self._schema) - 1, min(BATCH, len(self._origins))
        self._buffers: Batch = {
            "image": np.empty((n_chips, n_bands, *chip), np.int16),
            "label": np.empty((n_chips, *chip), np.uint8),
            "flags": np.empty((n_chips, *chip), np.uint8),
        }

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the buffers."""
        return sum(array.nbytes for array in self._buffers.values())

    @property
    def n_bytes(self) -> int:
        """Bytes of one partition's chips."""
        return self.buffer_bytes // len(self._buffers["image"]) * len(self._origins)

    def __call__(self, stack: npt.NDArray[np.int16]) -> Iterator[Batch]:
        """Yield the chips of a stack (band, y, x); the next batch takes the memory of the one before."""
        chips = self._settings.chips
        strict_nodata(stack, self._schema, fill=self._settings.nodata.fill, out=self._planes)
        for first in range(0, len(self._origins), BATCH):
            origins = self._origins[first : first + BATCH]
            batch = {name: buffer[: len(origins)] for name, buffer in self._buffers.items()}
            for name, out in batch.items():
                plane = getattr(self._planes, name)
                cut_chips(plane, origins, chips.size, edge=chips.edge, fill=self._fills[name], out=out)
            yield batch


def write_chips(path: Path, settings: RegionSettings, place: Partition, partitions: Sequence[Mapping[str, Any]]) -> int:
    """Write ready chips to a shard and publish it, as a build does after cutting; return the bytes of the pixels."""
    size, lattice = settings.chips.size, place.lattice
    header = ShardHeader(
        region=settings.region,
        split="train",
        number=0,
        total=1,
        bands=settings.schema_bands.image,
        crs=lattice.crs,
        size=size,
        step=settings.chips.step,
        nodata_mode=settings.nodata.mode,
        fill=settings.nodata.fill,
    )
    origins = chip_origins((place.window.height, place.window.width), size, settings.chips.step, settings.chips.edge)
    plane = np.zeros((place.window.height, place.window.width), np.uint8)
    counts = count_chips(plane, plane, origins, size, edge=settings.chips.edge, beyond=header.fills["flags"])
    columns = chip_columns(settings.region, place, origins, counts, size)
    with atomic_write(path) as temporary, create_shard(temporary, header, settings.shards.codec) as writer:
        for pixels in partitions:
            writer.write(writer.encode(pixels), columns)
        writer.finish(empty_columns(settings.region, "train", lattice), {})
    return sum(array.nbytes for pixels in partitions for array in pixels.values())


def stored(codec: Codec, chunk: npt.NDArray[Any]) -> bytes:
    """Return what a build stores of a chunk."""
    return bytes(codecs.encode(codec, chunk))


def compression(codec: Codec, chunk: npt.NDArray[Any]) -> Callable[[], object]:
    """Return the call of a library that a build cannot do without to store a chunk; what it works on is ready.

    Bands of noise are stored as they are in a deflated chunk, so they are not compressed here either.
    """
    if codec == "none":
        return bytes
    if codec == "bitshuffle-lz4":
        return partial(codecs.bitshuffle_compressed, np.ascontiguousarray(chunk))
    mixed = codecs.shuffled(chunk)
    if codec == "zstd":
        return partial(import_module("zstandard").ZstdCompressor(level=1).compress, mixed.data)
    packed = codecs.deflated(chunk)
    # A first block that is stored, and those after it: RFC 1951, 3.2.4.
    n_stored, place = 0, 2
    while packed[place] == 0:
        length = int.from_bytes(packed[place + 1 : place + 3], "little")
        n_stored, place = n_stored + length, place + 5 + length
    return partial(deflate.deflate_compress, mixed[n_stored:].data, 1)


# --- reading --------------------------------------------------------------------------------------------------------


class Reader:
    """The chips of a finished place in batches.

    Parameters
    ----------
    paths : DatasetPaths
        Where `finish` was called.
    preload : bool
        Whether all of it is held in memory.
    cache_mb : int
        For partitions decoded last, where it is not.
    """

    def __init__(self, paths: DatasetPaths, *, preload: bool = False, cache_mb: int = 256) -> None:
        self.chips = gcn_luigi.open_dataset(paths.root).chips("train", cache_mb=cache_mb)
        self._out: Batch | None = None
        if preload:
            self.preload()

    def __len__(self) -> int:
        return len(self.chips)

    def batch(self, numbers: npt.NDArray[np.int64]) -> Batch:
        """Return image, label and flags of the chips `numbers`, in arrays that the next call uses again."""
        reused = self._out if self._out is not None and len(self._out["image"]) == len(numbers) else None
        self._out = self.chips.batch(numbers, out=reused)
        return self._out

    def grouped(self, size: int, seed: int) -> Iterator[Batch]:
        """Yield an epoch in batches, in random order within groups of partitions: a shuffle buffer."""
        order = self.chips.order(seed=seed, group=GROUP)
        for first in range(0, len(order), size):
            yield self.batch(order[first : first + size])

    def preload(self) -> None:
        """Decode everything into memory."""
        self.chips.preload()

    def close(self) -> None:
        """Close the shards and give back the memory, so that nothing holds their pages."""
        self.chips.close()


def loader_of(reader: Reader, way: str, size: int, change: Callable[[Any], Any]) -> Any:
    """Return a torch DataLoader that gives batches of `size` chips, shuffled.

    Parameters
    ----------
    reader : Reader
        The chips.
    way : {"0 workers", "2 workers", "stream"}
        A map-style dataset with so many worker processes; or a stream made ahead by a thread.
    size : int
        Chips of a batch.
    change : callable
        Gets the tensors of a batch by name and returns what the training loop wants.
    """
    from torch.utils.data import DataLoader  # noqa: PLC0415  optional

    from gcn_luigi.read.torch import ChipDataset, ChipStream  # noqa: PLC0415

    if way == "stream":
        return DataLoader(ChipStream(reader.chips, size, seed=8), batch_size=None, collate_fn=change)
    workers = int(way.split(maxsplit=1)[0])
    return DataLoader(
        ChipDataset(reader.chips),
        batch_size=size,
        shuffle=True,
        num_workers=workers,
        collate_fn=change,
        persistent_workers=workers > 0,
    )
