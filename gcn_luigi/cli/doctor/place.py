"""Probes of where datasets go: room, what the file system can do, and its clock."""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gcn_luigi.cli.doctor.finding import Finding, Surroundings, Verdict

_GB = 1_000_000_000
_LITTLE, _LEAST = 20 * _GB, _GB // 2
_FEW_FILES = 20_000
_NETWORK = ("nfs", "cifs", "smb", "fuse", "9p", "lustre", "gpfs", "beegfs", "ceph", "glusterfs")
# Nobody builds before this program was written: 2024-01-01.
_EARLIEST_S = 1_704_067_200
_MOST_SKEW_S = 2.0
_ODD_NS = 1_600_000_000_123_456_789


def probe_disk(surroundings: Surroundings) -> Iterator[Finding]:
    """Look how much room there is."""
    place = surroundings.place
    free = shutil.disk_usage(place).free
    said = f"{free / _GB:,.1f} GB free at {place}"
    fix = "name another --output, or make room; `gcn plan REGION` says what a dataset weighs"
    if free < _LEAST:
        yield Finding("disk", said, Verdict.BROKEN, fix)
    elif free < _LITTLE:
        yield Finding("disk", said, Verdict.LOOK, fix)
    else:
        yield Finding("disk", said)
    status = os.statvfs(place)
    # Some file systems make inodes as they need them, and state none.
    if status.f_files and status.f_favail < _FEW_FILES:
        found = f"{status.f_favail:,} more can be made at {place}"
        yield Finding("files", found, Verdict.LOOK, "remove small files, or name another --output")


def probe_file_system(surroundings: Surroundings) -> Iterator[Finding]:
    """Try what builds rely on, in a hidden directory that is removed again."""
    kind = file_system(surroundings)
    try:
        with _scratch(surroundings.place) as scratch:
            yield from _tried(scratch, kind)
    except OSError as error:
        fix = "give this user the rights to write there, or name another --output"
        yield Finding("file system", f"{surroundings.place}: {error.strerror}", Verdict.BROKEN, fix)


def probe_clock(surroundings: Surroundings) -> Iterator[Finding]:
    """Compare the clock of this machine with that of the file system."""
    now = time.time()
    if now < _EARLIEST_S:
        said = time.strftime("%Y-%m-%d", time.gmtime(now))
        yield Finding("clock", f"it is said to be {said}", Verdict.BROKEN, "set the clock: timedatectl set-ntp true")
        return
    try:
        with _scratch(surroundings.place) as scratch:
            before = time.time()
            (scratch / "now").write_bytes(b"")
            written = (scratch / "now").stat().st_mtime
    except OSError as error:
        yield Finding(
            "clock", f"no file could be made to compare it: {error.strerror}", Verdict.LOOK, "see file system"
        )
        return
    skew = written - before
    if abs(skew) > _MOST_SKEW_S:
        fix = "let both keep time by one server; a source that changes meanwhile may be missed"
        yield Finding("clock", f"files are stamped {skew:+.0f} s off this machine's clock", Verdict.LOOK, fix)
    else:
        yield Finding("clock", "agrees with that of the file system")


def file_system(surroundings: Surroundings) -> str:
    """Return the type of the file system that holds the output, empty where the system does not say."""
    try:
        text = (surroundings.root / "proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    mounts = [line.split(" ") for line in text.splitlines()]
    held = [
        (len(Path(fields[1]).parts), number, fields[2])
        for number, fields in enumerate(mounts)
        if len(fields) > 2 and surroundings.place.is_relative_to(fields[1].replace("\\040", " "))
    ]
    return max(held)[2] if held else ""


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    scratch = Path(tempfile.mkdtemp(prefix=".gcn-doctor-", dir=place))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _tried(scratch: Path, kind: str) -> Iterator[Finding]:
    broken, weak = [], []
    if not replaces(scratch):
        broken.append("renaming does not replace a file")
    if not locks(scratch):
        weak.append("has no locks: drafts of killed builds must be removed by hand")
    if not keeps_times(scratch):
        weak.append("rounds times of files: their bytes are compared more often, which takes longer")
    if kind.startswith(_NETWORK):
        weak.append("is not on this machine: shards are built slower, and read slower in training")
    what = f"{kind or 'unknown'} at {scratch.parent}"
    fix = "name an --output on a local disk"
    if broken:
        yield Finding("file system", f"{what}: {'; '.join([*broken, *weak])}", Verdict.BROKEN, fix)
    elif weak:
        yield Finding("file system", f"{what}: {'; '.join(weak)}", Verdict.LOOK, fix)
    else:
        yield Finding("file system", f"{what}: renames, locks and keeps times")


def replaces(scratch: Path) -> bool:
    """Return whether a rename replaces a file in one step."""
    old, new = scratch / "old", scratch / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    handle = os.open(new, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    new.replace(old)
    return old.read_bytes() == b"new" and not new.exists()


def locks(scratch: Path) -> bool:
    """Return whether a lock keeps a second one out."""
    path = scratch / "lock"
    path.write_bytes(b"")
    with path.open("rb") as first, path.open("rb") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in {errno.EAGAIN, errno.EACCES}
    return False


def keeps_times(scratch: Path) -> bool:
    """Return whether times of files are kept to better than a microsecond."""
    path = scratch / "time"
    path.write_bytes(b"")
    os.utime(path, ns=(_ODD_NS, _ODD_NS))
    return abs(path.stat().st_mtime_ns - _ODD_NS) < 1000
