"""Convert a finished dataset to another layout or codec: the same chips, in a new directory."""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gcn_luigi.errors import ConfigError, GcnLuigiError, PublishError, ShardError
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import ManifestEntry, is_data, read_manifest
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.codecs import check_codec
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.lattice import Lattice
from gcn_luigi.old_keys import renew
from gcn_luigi.prepare.chips.metadata import Partition, empty_columns, empty_window_columns, window_columns
from gcn_luigi.prepare.chips.mosaic import reassemble
from gcn_luigi.settings import Codec, RegionSettings, StorageLayout
from gcn_luigi.stages import Say
from gcn_luigi.stages.dataset.data_card import write_card
from gcn_luigi.stages.dataset.manifest import write_manifest
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.metadata.write import write_all
from gcn_luigi.stages.shards.shard import ChipEncoder, Columns, Planes, shard_header, used_partitions


def convert_dataset(source: Path, target: Path, layout: StorageLayout | None, codec: Codec | None, say: Say) -> None:
    """Write a finished dataset with another layout or codec, but the same chips, tables and figures; None keeps either.

    Virtual rasters are left out, because they name the tiles by paths relative to their own position. The result is
    moved to `target` when it is complete; after an error nothing is left there. Raise ConfigError if `target` exists or
    the library of the old or new codec is not installed, ShardError if `source` is not a finished dataset or a file in
    it is damaged, and PublishError if `target` cannot be written.
    """
    manifest = DatasetPaths(source).dataset
    description = _read(manifest)
    settings = _stored_otherwise(description, layout, codec, manifest)
    for needed in (description["configuration"]["shards"]["codec"], settings.shards.codec):
        check_codec(needed)
    if target.exists() or target.is_symlink():
        raise ConfigError(
            "something already exists there",
            where=str(target),
            fix="name a directory that does not exist, or remove it",
        )
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        temporary.mkdir(parents=True)
        files = _convert_files(source, temporary, description, settings, say)
        origin = {"dataset.json": digest(manifest), **description["fingerprints"]}
        write_manifest(settings, files, origin, DatasetPaths(temporary).dataset)
        temporary.rename(target)
    except PermissionError as error:
        raise PublishError(
            f"could not be written: {error.strerror}", where=str(target), fix="check the permissions of its directory"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(manifest: Path) -> dict[str, Any]:
    description = read_manifest(manifest)
    if {"files", "configuration", "fingerprints"} <= description.keys():
        return description
    raise ShardError("does not describe a dataset", where=str(manifest), fix="build it again: gcn run <region>")


def _stored_otherwise(
    description: dict[str, Any], layout: StorageLayout | None, codec: Codec | None, manifest: Path
) -> RegionSettings:
    try:
        # The location of the sources is not recorded, and not needed here.
        settings = RegionSettings.model_validate({**renew(description["configuration"])[0], "data_root": "."})
    except ValidationError as error:
        raise ShardError(
            f"was made with settings that this version does not know: {error.error_count()} cannot be used",
            where=str(manifest),
            fix="convert it with the version that made it, or build it again",
        ) from error
    changes = {name: value for name, value in (("layout", layout), ("codec", codec)) if value is not None}
    return settings.model_copy(update={"shards": settings.shards.model_copy(update=changes)})


def _convert_files(
    source: Path, temporary: Path, description: dict[str, Any], settings: RegionSettings, say: Say
) -> list[ManifestEntry]:
    old, new = DatasetPaths(source), DatasetPaths(temporary)
    lattice = read_inventory(old).lattice
    places = {
        (place.partition, place.year): place
        for split in settings.splits
        for place in used_partitions(old.catalog, lattice, split)
    }
    cards = (new.readme, new.citation)
    written = {*cards, new.croissant, new.datasheet, new.citation_file}
    # The style of a virtual raster is left out as well.
    left_out = {entry["path"] for entry in description["files"] if entry["path"].endswith(".vrt")}
    left_out |= {path.removesuffix(".vrt") + ".qml" for path in left_out}
    entries = [entry for entry in description["files"] if entry["path"] not in left_out]
    copied = []
    for done, entry in enumerate(entries, 1):
        path = temporary / entry["path"]
        if not path.resolve().is_relative_to(temporary.resolve()):
            raise ShardError(f"{entry['path']} is outside the dataset", where=str(old.dataset), fix="build it again")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent == new.shards:
            _check_bytes(source / entry["path"], entry["sha256"])
            convert_shard(source / entry["path"], path, settings, places, lattice)
        elif path not in written and path.parent != new.stac.parent:
            _check_bytes(source / entry["path"], entry["sha256"], copied_to=path)
        copied.append(path)
        say(entry["path"], done / len(entries))
    write_card(settings, new, *cards)
    found = {path: _entry(path, temporary) for path in copied if is_data(path.relative_to(temporary).as_posix())}
    if new.croissant in copied:
        # A dataset of an earlier version has no descriptions.
        write_all(settings, new, found.values())
    if old.report.is_file():
        # The page is not part of the dataset, but people look for it.
        shutil.copyfile(old.report, new.report)
    return [found.get(path) or _entry(path, temporary) for path in copied]


def _entry(path: Path, root: Path) -> ManifestEntry:
    return ManifestEntry(path.relative_to(root).as_posix(), path.stat().st_size, digest(path))


def _check_bytes(source: Path, sha256: str, copied_to: Path | None = None) -> None:
    """Raise ShardError if a file, or its new copy, differs from the one in the manifest."""
    try:
        found = digest(source if copied_to is None else Path(shutil.copyfile(source, copied_to)))
    except FileNotFoundError as error:
        raise ShardError("is missing", where=str(source), fix="run the build again: it rebuilds a lost file") from error
    if found != sha256:
        raise ShardError(
            "its bytes changed (SHA-256 differs)", where=str(source), fix="delete it and run the build again"
        )


def convert_shard(
    source: Path, out: Path, settings: RegionSettings, places: Mapping[tuple[str, int], Partition], lattice: Lattice
) -> None:
    """Convert a finished shard and write it to `out`, which the caller publishes. `places`: partitions by id and year.

    From ``windows`` to ``chips`` the result is byte for byte the shard that a build with that layout makes. In the
    other direction, pixels that no kept chip shows are unknown, so they are missing in all roles. Chips are always
    equal to the bit. Raise ShardError if the source is damaged or from another dataset, ConfigError if the library of a
    codec is not installed.
    """
    try:
        with ShardReader(source) as shard:
            shard.check()
            number = (shard.attributes[name] for name in ("split", "shard_number", "shard_total"))
            header = shard_header(settings, places.values(), lattice, *number)
            empty = empty_columns(header.region, header.split, lattice, in_windows=header.layout == "windows")
            with create_shard(out, header, settings.shards.codec) as writer:
                encoder = ChipEncoder(header, writer)
                for place, planes, origins, columns in _partitions(shard, places, list(empty)):
                    for call in encoder.calls(planes, origins, columns, window_columns(place)):
                        writer.write(*call())
                writer.finish(empty, shard.tables(), empty_window_columns(lattice))
    except GcnLuigiError:
        # For example, a codec whose library is missing. Such an error has its own fix.
        raise
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ShardError(
            f"cannot be converted: {error}", where=str(source), fix="run the build again: it rebuilds damaged shards"
        ) from error


def _partitions(
    shard: ShardReader, places: Mapping[tuple[str, int], Partition], names: list[str]
) -> Iterator[tuple[Partition, Planes, NDArray[np.int64], Columns]]:
    """Yield each partition with its planes, the origins of its chips and their columns, in the shard's order."""
    stored = shard.columns("chip")
    columns = {name: stored[name] for name in names if name != "in_window"}
    origins = np.column_stack([stored["row"], stored["col"]]).astype(np.int64)
    ids, years = stored["partition"].astype(str), stored["year"].astype(np.int64)
    # The chips of a partition and year are consecutive.
    is_next = (ids[1:] != ids[:-1]) | (years[1:] != years[:-1])
    starts = np.flatnonzero(np.append(True, is_next)) if len(ids) else np.empty(0, np.int64)
    for first, end in zip(starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True):
        place, part = places[ids[first], int(years[first])], slice(first, end)
        planes = {name: _plane(shard, name, place, (first, origins[part])) for name in shard.arrays}
        yield place, planes, origins[part], {name: values[part] for name, values in columns.items()}


def _plane(shard: ShardReader, name: str, place: Partition, chips: tuple[int, NDArray[np.int64]]) -> NDArray[Any]:
    """Return one array of a partition. `chips` are the number of its first chip, and the origins of its chips."""
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
