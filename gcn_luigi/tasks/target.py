"""Output files: a file counts as absent unless it is complete (fully published) and current (fingerprint matches)."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import luigi

from gcn_luigi.errors import InputError, few
from gcn_luigi.io.publish.atomic import atomic_write, digest
from gcn_luigi.io.publish.safe_names import check_links
from gcn_luigi.io.publish.sidecar import Record, fingerprint_of, read_record
from gcn_luigi.prepare.disagreements import source_files

# A result's location relative to its sources decides its bytes, but not what it shows.
_NOT_CONTENT = frozenset({"place"})


class PublishedFile(luigi.Target):
    """One output file, with the sidecar that holds its fingerprint, size and digest at publication.

    `parts` returns everything that decides the file's content at present; see `fingerprint_of`. A file that is
    `by_reference` names other files instead of holding their pixels, so its bytes alone do not say what it shows.
    """

    def __init__(
        self, path: Path, sidecar: Path, parts: Callable[[], Mapping[str, Any]], *, by_reference: bool = False
    ) -> None:
        self.path = path
        self.sidecar = sidecar
        self.parts = parts
        self.by_reference = by_reference

    def __str__(self) -> str:
        return str(self.path)

    def record(self) -> Record | None:
        """Return the record in the sidecar; None if the sidecar is missing or damaged."""
        return read_record(self.sidecar)

    def content(self) -> str | None:
        """Return what represents the published content: equal answers mean that a reader sees equal values.

        None if nothing was published.
        """
        record = self.record()
        return None if record is None else self.content_of(record)

    def content_of(self, record: Record) -> str:
        """Return what represents the content that was published with `record`."""
        if not self.by_reference:
            return record.sha256
        return fingerprint_of({name: part for name, part in record.parts.items() if name not in _NOT_CONTENT})

    def exists(self) -> bool:
        """Return whether the file is fully published and current."""
        return self.matches(fingerprint_of(self.parts()))

    def matches(self, fingerprint: str) -> bool:
        """Return whether the file is fully published under `fingerprint`."""
        record = self.record()
        return record is not None and record.is_of(fingerprint) and self.is_intact(record)

    def is_intact(self, record: Record, *, deep: bool = False) -> bool:
        """Return whether the file's bytes are those that were published, by its sidecar's `record`.

        The sidecar's own time is set to the time when the file's inode last changed. As long as both agree, nobody has
        touched the file, and it is not read. Otherwise (it was changed, or only copied) its bytes are compared with
        their digest. With `deep` they always are, because a disk that loses bits does not report it.
        """
        try:
            status = self.path.stat()
            if status.st_size != record.size:
                return False
            if not deep and self.sidecar.stat().st_mtime_ns == status.st_ctime_ns:
                return True
            if digest(self.path) != record.sha256:
                return False
        except OSError:
            return False
        self._stamp(status.st_ctime_ns)
        return True

    @contextmanager
    def atomic_write(self) -> Iterator[Path]:
        """Yield a temporary path; on success publish it, then its sidecar.

        The old sidecar is removed first, so a file between two states never counts as complete. Raises InputError, and
        publishes nothing, if a source or setting changed while the file was made; PublishError if the file system
        refuses.
        """
        parts = self.parts()
        check_links(Path(os.path.commonpath((self.path, self.sidecar))), self.path, self.sidecar)
        with atomic_write(self.path) as temporary:
            yield temporary
            self._refuse_changed(parts, self.parts())
            record = Record(parts, temporary.stat().st_size, digest(temporary))
            inode = temporary.stat().st_ino
            # Keep the sidecar if another build has just published the same file: it checks for completeness now.
            published = self.record()
            if published is None or published.fingerprint != record.fingerprint:
                self.sidecar.unlink(missing_ok=True)
        with atomic_write(self.sidecar) as temporary:
            temporary.write_text(record.to_json(), encoding="utf-8")
        with suppress(OSError):
            status = self.path.stat()
            # Another build may have replaced the file in the meantime; the next check then compares the bytes.
            if status.st_ino == inode:
                self._stamp(status.st_ctime_ns)

    def _stamp(self, changed_ns: int) -> None:
        # If the sidecar's time cannot be set, the bytes are compared every time.
        with suppress(OSError):
            os.utime(self.sidecar, ns=(changed_ns, changed_ns))

    def _refuse_changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        if fingerprint_of(before) == fingerprint_of(after):
            return
        changed = [
            str(name)
            for part in sorted(before.keys() | after.keys())
            for name in sorted(_names(part, before.get(part), after.get(part)), key=str)
        ]
        raise InputError(
            f"this changed while {self.path.name} was made from it; nothing was published",
            where=few(changed),
            fix="do not change sources or settings while a build runs, then run again",
        )


def _names(part: str, before: Any, after: Any) -> set[str]:
    """Return which entries of a part differ; for sources, which files."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return set() if before == after else {str(after)}
    if part == "sources":
        before, after = source_files(before), source_files(after)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
