"""A shard stored another way: other layout, other codec, the same chips."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import GcnLuigiError, ShardError
from gcn_luigi.io.shard.format import PIXELS, ShardHeader
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.chips.metadata import Partition, empty_columns, empty_window_columns, window_columns
from gcn_luigi.prepare.chips.mosaic import reassemble
from gcn_luigi.settings import Codec, StorageLayout
from gcn_luigi.stages.shards.chip_encoder import ChipEncoder, Columns


@dataclass(frozen=True)
class Conversion:
    """How shards are to be stored.

    Attributes
    ----------
    layout, codec : str
        As in the settings' section ``shards``.
    places : mapping
        All partitions that shards hold chips of, by id.
    lattice : Lattice
        Of the region.
    """

    layout: StorageLayout
    codec: Codec
    places: Mapping[str, Partition]
    lattice: Lattice


def convert_shard(source: Path, out: Path, conversion: Conversion) -> None:
    """Write a shard anew.

    From ``windows`` to ``chips`` the result is the shard that a build of that layout makes, byte for byte. The other
    way round, pixels that no kept chip shows are unknown: they are missing in all roles. Chips are always equal to the
    bit.

    Parameters
    ----------
    source, out : Path
        A finished shard, and the file to write; the caller publishes it.
    conversion : Conversion
        How.

    Raises
    ------
    ShardError
        The source is damaged, or not of this dataset.
    ConfigError
        The library of a codec is not installed.
    """
    try:
        with ShardReader(source) as shard:
            shard.check()
            header = _header(shard, conversion)
            in_windows = conversion.layout == "windows"
            empty = empty_columns(header.region, header.split, conversion.lattice, in_windows=in_windows)
            empty_windows = empty_window_columns(conversion.lattice) if in_windows else {}
            with create_shard(out, header, conversion.codec) as writer:
                encoder = ChipEncoder(header, writer)
                for place, planes, origins, columns in _partitions(shard, conversion, list(empty)):
                    for call in encoder.calls(planes, origins, columns, window_columns(place)):
                        writer.write(*call())
                writer.finish(empty, shard.tables(), empty_windows)
    except GcnLuigiError:
        # A codec whose library is missing, for one, says itself what to do.
        raise
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ShardError(
            f"cannot be converted: {error}", where=str(source), fix="run the build again: it makes damaged shards anew"
        ) from error


def _header(shard: ShardReader, conversion: Conversion) -> ShardHeader:
    said = shard.attributes
    names, roles = json.loads(said["band_names"]), json.loads(said["band_roles"])
    windows = [place.window for place in conversion.places.values()]
    return ShardHeader(
        region=said["region"],
        split=said["split"],
        number=said["shard_number"],
        total=said["shard_total"],
        bands=tuple(Band(name, Role(role)) for name, role in zip(names, roles, strict=True)),
        crs=conversion.lattice.crs,
        size=shard.chip_size,
        step=said["chip_step"],
        nodata_mode=said["nodata_mode"],
        fill=said["fill"],
        edge=shard.edge,
        layout=conversion.layout,
        window=(max(window.height for window in windows), max(window.width for window in windows)),
    )


def _partitions(
    shard: ShardReader, conversion: Conversion, names: list[str]
) -> Iterator[tuple[Partition, Mapping[str, NDArray[Any]], NDArray[np.int64], Columns]]:
    """Yield each partition with its planes, the origins of its chips and their columns, in the shard's order."""
    stored = shard.columns("chip")
    columns = {name: stored[name] for name in names if name != "in_window"}
    origins = np.column_stack([stored["row"], stored["col"]]).astype(np.int64)
    ids = stored["partition"].astype(str)
    # Chips of a partition stand together.
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])) if len(ids) else np.empty(0, np.int64)
    for first, end in zip(starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True):
        place, part = conversion.places[ids[first]], slice(first, end)
        planes = {name: _plane(shard, name, place, (first, origins[part])) for name in PIXELS}
        yield place, planes, origins[part], {name: values[part] for name, values in columns.items()}


def _plane(shard: ShardReader, name: str, place: Partition, chips: tuple[int, NDArray[np.int64]]) -> NDArray[Any]:
    """Return one array of the partition whose chips start at a number and have these origins."""
    first, origins = chips
    array, extent = shard.arrays[name], (place.window.height, place.window.width)
    if shard.layout == "windows":
        whole = np.empty(array.shape[1:], array.dtype)
        shard.read_row(name, int(shard.places[first, 0]), whole)
        return np.ascontiguousarray(whole[..., : extent[0], : extent[1]])
    pixels = np.empty((len(origins), *array.shape[1:]), array.dtype)
    for position, pixel in enumerate(pixels):
        shard.read_row(name, first + position, pixel)
    return reassemble(pixels, origins, extent, edge=shard.edge, fill=shard.fills[name])
