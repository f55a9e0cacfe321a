"""Where locks hold between machines, and which machine is meant."""

from pathlib import Path

import pytest

from gcn_luigi.io.publish import filesystems
from gcn_luigi.io.publish.filesystems import FileSystem, file_system_of, find_mount, is_elsewhere, this_machine

MOUNTS = r"""22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
30 22 0:24 / /data rw,relatime shared:7 - nfs4 server:/data rw,vers=4.2,local_lock=none,addr=10.0.0.1
31 22 0:25 / /old rw,relatime - nfs server:/old rw,vers=3,nolock,local_lock=all
32 30 0:26 / /data/fast rw - lustre mds@o2ib:/fast rw,flock,lazystatfs
33 22 0:27 / /with\040blank rw,relatime - fuse.sshfs me@there:/ rw,user_id=0
34 22 0:28 / /data/fast/here rw - tmpfs tmpfs rw
this line is none
"""


@pytest.mark.parametrize(
    ("path", "kind", "is_shared", "locks"),
    [
        ("/", "ext4", False, False),
        ("/home/me", "ext4", False, False),
        ("/data", "nfs4", True, True),
        ("/data/alaska/output", "nfs4", True, True),
        ("/database", "ext4", False, False),
        ("/old/x", "nfs", True, False),
        ("/data/fast/x", "lustre", True, True),
        ("/data/fast/here/x", "tmpfs", False, False),
        ("/with blank/x", "fuse.sshfs", True, False),
    ],
)
def test_the_innermost_mount_decides(path, kind, is_shared, locks):
    found = find_mount(MOUNTS, Path(path))

    assert (found.kind, found.is_shared, found.locks_everywhere) == (kind, is_shared, locks)


def test_lustre_needs_its_option():
    assert not FileSystem("lustre", frozenset({"localflock"})).locks_everywhere


def test_a_later_mount_at_the_same_place_counts():
    text = MOUNTS + "40 30 0:30 / /data rw - cifs //server/data rw\n"

    assert find_mount(text, Path("/data/x")).kind == "cifs"


def test_the_directory_of_a_test_is_on_some_file_system(tmp_path):
    assert file_system_of(tmp_path / "not/there/yet").kind
    assert not file_system_of(tmp_path).is_shared


def test_where_the_kernel_does_not_tell_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "none")

    assert file_system_of(tmp_path) == FileSystem("")
    assert not file_system_of(tmp_path).is_shared


@pytest.mark.parametrize(
    ("machine", "elsewhere"),
    [
        ("node7 1111", False),
        # Another container of this machine.
        ("box 1111", False),
        # This machine before it was started.
        ("node7 0000", False),
        ("node8 2222", True),
        ("node8 ", True),
        # The lock of an earlier version names none.
        ("", False),
    ],
)
def test_another_kernel_and_another_name_are_another_machine(monkeypatch, machine, elsewhere):
    monkeypatch.setattr(filesystems, "this_machine", lambda: "node7 1111")

    assert is_elsewhere(machine) == elsewhere


def test_this_machine_is_not_elsewhere():
    assert not is_elsewhere(this_machine())
