"""What kind of file system a directory lies on, and which machine looks at it.

Two things that every disk of one machine does are not true of all file systems that several machines share: that a
lock taken on one machine is seen on another, and that a file which one machine has published is there for the next.
"""

import functools
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_OCTAL = re.compile(r"\\([0-7]{3})")
# Several machines share what lies there.
_SHARED = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3"}
)
# There a lock (flock) holds on all machines. On NFS and Lustre a mount option decides.
_LOCKS_EVERYWHERE = frozenset({"ceph", "gfs2", "gpfs", "ocfs2"})


@dataclass(frozen=True)
class FileSystem:
    """Type and mount options of a file system, as the kernel names them; both are empty if it does not tell."""

    kind: str
    options: frozenset[str] = frozenset()

    @property
    def is_shared(self) -> bool:
        """Whether several machines may share it; True for file systems of programs (FUSE), which may be anything."""
        return self.kind in _SHARED or self.kind == "fuse" or self.kind.startswith("fuse.")

    @property
    def locks_everywhere(self) -> bool:
        """Whether a lock that one machine takes is seen on all machines that share it.

        Linux turns flock into a lock of the server on NFS, unless ``nolock`` or ``local_lock`` say otherwise. Lustre
        does so with the option ``flock``.
        """
        if self.kind in ("nfs", "nfs4"):
            return not self.options & {"nolock", "local_lock=flock", "local_lock=all"}
        return self.kind in _LOCKS_EVERYWHERE or (self.kind == "lustre" and "flock" in self.options)


def file_system_of(path: Path) -> FileSystem:
    """Return the file system of an existing path, or of the nearest directory above it that exists."""
    try:
        text = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        # Not Linux.
        return FileSystem("")
    return find_mount(text, Path(os.path.realpath(path)))


def find_mount(mounts: str, path: Path) -> FileSystem:
    """Return the file system of an absolute path by the text of ``/proc/self/mountinfo``; the last mount counts."""
    found, depth = FileSystem(""), -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind_and_rest = before.split(), after.split()
        if len(fields) < 6 or not kind_and_rest:
            continue
        place = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if path.is_relative_to(place) and len(place.parts) >= depth:
            options = {*fields[5].split(","), *(kind_and_rest[2].split(",") if len(kind_and_rest) > 2 else ())}
            found, depth = FileSystem(kind_and_rest[0], frozenset(options)), len(place.parts)
    return found


@functools.lru_cache(maxsize=1)
def this_machine() -> str:
    """Return the name of this machine and what distinguishes the running kernel from any other: ``host boot-id``.

    Containers of one machine have names of their own, but one kernel, which keeps the locks of all of them.
    """
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}"


def is_elsewhere(machine: str) -> bool:
    """Return whether `machine`, from `this_machine`, is another machine than this one, now or before it was started."""
    name, _, boot = machine.partition(" ")
    own_name, _, own_boot = this_machine().partition(" ")
    return bool(name) and name != own_name and (not boot or boot != own_boot)
