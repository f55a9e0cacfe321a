"""Where shards are: in a directory, or in an object store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gcn_luigi.errors import ShardError
from gcn_luigi.io.objects.cache import ObjectCache
from gcn_luigi.io.objects.store import ObjectStore
from gcn_luigi.io.publish.manifest import MANIFEST, ManifestEntry
from gcn_luigi.io.publish.safe_names import inside
from gcn_luigi.io.shard.object import ObjectShard
from gcn_luigi.io.shard.reader import ShardReader


class ShardPlace(Protocol):
    """Where the shards of a dataset are. It can be pickled, and used after a fork."""

    @property
    def fix(self) -> str:
        """What to do about a damaged shard."""

    @property
    def is_far(self) -> bool:
        """Whether it takes long until the first byte comes."""

    def check(self, names: Sequence[str]) -> None:
        """Raise ShardError if a name leads elsewhere."""

    def open(self, name: str) -> ShardReader:
        """Open a shard. Raise OSError, or the error of h5py for a damaged file."""

    def title(self, name: str) -> str:
        """Return the place of a shard for messages."""


class ShardDirectory:
    """Shards in a directory."""

    fix = "run the build again: gcn run --deep <region> rebuilds a missing or damaged shard"
    is_far = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def check(self, names: Sequence[str]) -> None:
        """Raise ShardError if a name leads out of the directory."""
        for name in names:
            inside(self.directory, name, where=self.directory.parent / "index.parquet")

    def open(self, name: str) -> ShardReader:
        """Open a shard."""
        return ShardReader(self.directory / name)

    def title(self, name: str) -> str:
        """Return the path of a shard."""
        return str(self.directory / name)


class ShardObjects:
    """Shards in a store.

    Parameters
    ----------
    store : ObjectStore
        The store.
    entries : mapping
        Size and digest of each file of the dataset, by name.
    cache : ObjectCache or None
        Where whole shards are kept. Without it, only the bytes that are needed are read.
    """

    is_far = True

    def __init__(self, store: ObjectStore, entries: Mapping[str, ManifestEntry], cache: ObjectCache | None) -> None:
        self._store, self._cache = store, cache
        self._entries = {name: entry for name, entry in entries.items() if name.startswith("shards/")}

    @property
    def fix(self) -> str:
        """What to do about a damaged shard."""
        copied = "copy this shard to the store again; gcn validate checks a dataset before it is copied"
        return copied if self._cache is None else f"delete {self._cache.directory}, and if that does not help, {copied}"

    def check(self, names: Sequence[str]) -> None:
        """Raise ShardError if a name leads elsewhere, or is not listed."""
        where = self._store.address.of("index.parquet")
        for name in names:
            inside(Path("shards"), name, where=where)
            if f"shards/{name}" not in self._entries:
                raise ShardError(
                    f"names the shard {name[:80]!r}, which dataset.json does not list",
                    where=where,
                    fix="copy the whole dataset to the store again",
                )

    def open(self, name: str) -> ShardReader:
        """Open a shard."""
        entry = self._entries[f"shards/{name}"]
        if self._cache is not None:
            return ShardReader(self._cache.file(self._store, entry.path, entry.size, entry.sha256))
        found = ObjectShard(self._store, entry.path, entry.size)
        # It may be a shard of a later build with the same size: then dataset.json has changed as well.
        self._store.read(MANIFEST, 0, 1)
        return ShardReader(Path(entry.path), found)

    def title(self, name: str) -> str:
        """Return the address of a shard."""
        return self._store.address.of(f"shards/{name}")
