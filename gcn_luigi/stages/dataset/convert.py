"""A finished dataset stored another way, in a directory of its own."""

import secrets
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gcn_luigi.errors import ConfigError, PublishError, ShardError
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import ManifestEntry, read_manifest
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.shard.codecs import check_codec
from gcn_luigi.old_keys import renew
from gcn_luigi.settings import Codec, RegionSettings, StorageLayout
from gcn_luigi.stages import Say
from gcn_luigi.stages.dataset.convert_shard import Conversion, convert_shard
from gcn_luigi.stages.dataset.data_card import write_card
from gcn_luigi.stages.dataset.manifest import write_manifest
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.shard import used_partitions


def convert_dataset(source: Path, target: Path, layout: StorageLayout | None, codec: Codec | None, say: Say) -> None:
    """Write a dataset with other shards and the same chips, tables and figures.

    Virtual rasters are left out: they point at the tiles by paths from where they lie. The result is moved to `target`
    when it is whole; whatever goes wrong before leaves nothing there.

    Parameters
    ----------
    source : Path
        A finished dataset.
    target : Path
        A directory that is not there yet.
    layout, codec : str or None
        How the shards are to be stored; None leaves it as it is.
    say : callable
        Told a line and the share of work done after each file.

    Raises
    ------
    ConfigError
        `target` is there already, or the library of the codec, old or new, is not installed.
    ShardError
        `source` is no finished dataset, or a file of it is damaged.
    PublishError
        `target` cannot be written.
    """
    manifest = DatasetPaths(source).dataset
    description = _read(manifest)
    settings = _stored_otherwise(description, layout, codec, manifest)
    for needed in (description["configuration"]["shards"]["codec"], settings.shards.codec):
        check_codec(needed)
    if target.exists() or target.is_symlink():
        raise ConfigError(
            "there is something already", where=str(target), fix="name a directory that does not exist, or remove it"
        )
    draft = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        draft.mkdir(parents=True)
        files = _convert_files(source, draft, description, settings, say)
        origin = {"dataset.json": digest(manifest), **description["fingerprints"]}
        write_manifest(settings, files, origin, DatasetPaths(draft).dataset)
        draft.rename(target)
    except PermissionError as error:
        raise PublishError(
            f"could not be written: {error.strerror}", where=str(target), fix="check the rights of its directory"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _read(manifest: Path) -> dict[str, Any]:
    description = read_manifest(manifest)
    if {"files", "configuration", "fingerprints"} <= description.keys():
        return description
    raise ShardError("is no description of a dataset", where=str(manifest), fix="build it again: gcn run <region>")


def _stored_otherwise(
    description: dict[str, Any], layout: StorageLayout | None, codec: Codec | None, manifest: Path
) -> RegionSettings:
    try:
        # Where the sources lie is not written down, and not needed here.
        settings = RegionSettings.model_validate({**renew(description["configuration"])[0], "data_root": "."})
    except ValidationError as error:
        raise ShardError(
            f"was made with other settings than this version knows: {error.error_count()} cannot be used",
            where=str(manifest),
            fix="convert it with the version that made it, or build it again",
        ) from error
    changes = {name: value for name, value in (("layout", layout), ("codec", codec)) if value is not None}
    return settings.model_copy(update={"shards": settings.shards.model_copy(update=changes)})


def _convert_files(
    source: Path, draft: Path, description: dict[str, Any], settings: RegionSettings, say: Say
) -> list[ManifestEntry]:
    old, new = DatasetPaths(source), DatasetPaths(draft)
    lattice = read_inventory(old).lattice
    places = {place.partition: place for split in SPLITS for place in used_partitions(old, lattice, split)}
    conversion = Conversion(settings.shards.layout, settings.shards.codec, places, lattice)
    written = (new.readme, new.citation)
    # A style of a virtual raster goes with it.
    left_out = {entry["path"] for entry in description["files"] if entry["path"].endswith(".vrt")}
    left_out |= {path.removesuffix(".vrt") + ".qml" for path in left_out}
    entries = [entry for entry in description["files"] if entry["path"] not in left_out]
    copied = []
    for done, entry in enumerate(entries, 1):
        path = draft / entry["path"]
        if not path.resolve().is_relative_to(draft.resolve()):
            raise ShardError(f"{entry['path']} lies outside the dataset", where=str(old.dataset), fix="build it again")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent == new.shards:
            convert_shard(source / entry["path"], path, conversion)
        elif path not in written:
            _copy(source / entry["path"], path, entry["sha256"])
        copied.append(path)
        say(entry["path"], done / len(entries))
    write_card(settings, new, *written)
    if old.report.is_file():
        # No part of the dataset, but people look for it.
        shutil.copyfile(old.report, new.report)
    return [ManifestEntry(path.relative_to(draft).as_posix(), path.stat().st_size, digest(path)) for path in copied]


def _copy(source: Path, path: Path, sha256: str) -> None:
    try:
        shutil.copyfile(source, path)
    except FileNotFoundError as error:
        raise ShardError(
            "is missing", where=str(source), fix="run the build again: it makes a lost file anew"
        ) from error
    if digest(path) != sha256:
        raise ShardError(
            "its bytes changed (SHA-256 differs)", where=str(source), fix="delete it and run the build again"
        )
