"""Where the files of a dataset are, and their verified contents: a directory, or an object store."""

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from gcn_luigi.errors import ConfigError, ShardError
from gcn_luigi.io.objects.address import Address, address_of
from gcn_luigi.io.objects.answers import check_digest
from gcn_luigi.io.objects.cache import ObjectCache
from gcn_luigi.io.objects.store import ObjectStore
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import MANIFEST, ManifestEntry, manifest_content, read_manifest
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.read.store.places import ShardDirectory, ShardObjects, ShardPlace


class Files(Protocol):
    """The files of a dataset, by their names relative to ``dataset.json``."""

    description: dict[str, Any]

    @property
    def paths(self) -> DatasetPaths:
        """The paths of all files; ConfigError if they are not on this machine."""

    @property
    def shards(self) -> ShardPlace:
        """Where the shards are."""

    def title(self, name: str = "") -> str:
        """Return the place of a file, or of the dataset, for messages."""

    def verified(self, name: str) -> Path | io.BytesIO:
        """Return a file whose digest is that in ``dataset.json``; raise ShardError for any other."""


class LocalFiles:
    """The files of a dataset in a directory."""

    def __init__(self, directory: Path) -> None:
        self.paths = DatasetPaths(directory.resolve())
        self.description = read_manifest(self.paths.dataset)
        self.shards = ShardDirectory(self.paths.shards)

    def title(self, name: str = "") -> str:
        """Return the path of a file, or of the directory."""
        return str(self.paths.root / name)

    def verified(self, name: str) -> Path:
        """Return the path of a file that has not changed. Tables have no checksum of their own."""
        path = self.paths.root / name
        try:
            published, found = _published(self.description, name), digest(path)
        except (OSError, KeyError, TypeError) as error:
            raise self._lost(f"cannot be read: {error}", path) from error
        if [found] != published:
            raise self._lost("its bytes changed (SHA-256 differs)", path)
        return path

    def _lost(self, what: str, path: Path) -> ShardError:
        fix = "run the build again: gcn run --deep <region> rebuilds missing and damaged files"
        return ShardError(what, where=str(path), fix=fix)


class StoreFiles:
    """The files of a dataset in a store. Each file but the shards is read once, as a whole.

    Parameters
    ----------
    address : Address
        Where ``dataset.json`` is.
    cache : Path or None
        A directory for copies of whole files.
    """

    def __init__(self, address: Address, cache: Path | None) -> None:
        self._store = ObjectStore(address)
        self._cache = None if cache is None else ObjectCache(cache)
        where = address.of(MANIFEST)
        try:
            text = self._store.read(MANIFEST).tobytes()
        except ShardError as error:
            raise ShardError(
                f"no finished dataset here: {error.what}",
                where=where,
                fix="give the address in which dataset.json is, as in s3://BUCKET/REGION",
            ) from None
        self.description = manifest_content(text, where=where)
        self._entries = _entries(self.description, where)
        self.shards = ShardObjects(self._store, self._entries, self._cache)

    @property
    def paths(self) -> DatasetPaths:
        """Raise ConfigError: the files are not on this machine."""
        address = self._store.address
        raise ConfigError(
            "this needs the files of the dataset on this machine, but it is read from a store",
            where=str(address),
            fix=f"copy it first: {address.copying}",
        )

    def title(self, name: str = "") -> str:
        """Return the address of a file, or of the dataset."""
        return self._store.address.of(name) if name else str(self._store.address)

    def verified(self, name: str) -> Path | io.BytesIO:
        """Return a file that is as ``dataset.json`` lists it."""
        entry = self._entries.get(name)
        if entry is None:
            raise ShardError(
                "dataset.json does not list this file, so the dataset was built without it",
                where=self.title(name),
                fix="read a dataset that has it",
            )
        if self._cache is not None:
            return self._cache.file(self._store, name, entry.size, entry.sha256, verify=True)
        content = self._store.read(name)
        check_digest(hashlib.sha256(content.data).hexdigest(), entry.sha256, where=self.title(name))
        return io.BytesIO(content.tobytes())


def files_of(directory: str | os.PathLike[str], cache: str | os.PathLike[str] | None = None) -> Files:
    """Return the files of a dataset in a directory or at an address. Errors are those of `Dataset`."""
    address = address_of(os.fspath(directory), where="the place of the dataset")
    if isinstance(address, Address):
        return StoreFiles(address, None if cache is None else Path(cache))
    if cache is not None:
        raise ConfigError(
            "a dataset on this machine needs no cache",
            where=address,
            fix="omit cache; it keeps files of a dataset that is read from a store",
        )
    return LocalFiles(Path(address))


def _published(description: Mapping[str, Any], name: str) -> list[str]:
    return [entry["sha256"] for entry in description["files"] if entry["path"] == name]


def _entries(description: Mapping[str, Any], where: str) -> dict[str, ManifestEntry]:
    try:
        entries = [
            ManifestEntry(str(entry["path"]), int(entry["size"]), str(entry["sha256"]))
            for entry in description["files"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(
            "its list of files cannot be understood", where=where, fix="copy the whole dataset to the store again"
        ) from error
    return {entry.path: entry for entry in entries}
