"""Temporaries are held by a lock; those of dead writers are swept, those of living ones never."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from gcn_luigi.io.publish import atomic, filesystems
from gcn_luigi.io.publish.atomic import dead_temporaries, is_temporary, remove_dead_temporaries, temporary_sibling

_WRITER = """
import sys, time
from pathlib import Path
from gcn_luigi.io.publish.atomic import temporary_sibling
with temporary_sibling(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    temporary.with_name(temporary.name + "-journal").write_text("half")
    print("writing", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def writer():
    """Return a function that starts a process that holds a temporary of a path."""
    started = []

    def start(final):
        process = subprocess.Popen([sys.executable, "-c", _WRITER, final], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_nothing_is_left_whatever_was_laid_beside_the_temporary(tmp_path):
    with temporary_sibling(tmp_path / "a.gpkg") as temporary:
        assert all(is_temporary(path) for path in tmp_path.iterdir())
        temporary.write_text("x")
        temporary.with_name(temporary.name + "-wal").write_text("x")
        assert temporary.name.endswith(".a.gpkg")

    assert _names(tmp_path) == []


@pytest.mark.fault
def test_a_killed_writers_temporary_is_swept_by_the_next_writer_of_the_same_file(writer, tmp_path):
    process = writer(tmp_path / "a.gpkg")
    process.kill()
    process.wait()
    assert len(_names(tmp_path)) == 3
    assert len(dead_temporaries(tmp_path)) == 2

    with temporary_sibling(tmp_path / "a.gpkg") as temporary:
        assert _names(tmp_path) == [f"{temporary.name}.lock"]


@pytest.mark.fault
def test_a_living_writers_temporary_is_left_alone(writer, tmp_path):
    process = writer(tmp_path / "a.gpkg")
    before = _names(tmp_path)

    assert remove_dead_temporaries(tmp_path) == []
    assert dead_temporaries(tmp_path) == []
    assert _names(tmp_path) == before

    process.kill()
    process.wait()
    assert len(remove_dead_temporaries(tmp_path)) == 2
    assert _names(tmp_path) == []


@pytest.mark.fault
def test_temporaries_of_other_files_wait_for_their_own_writer(writer, tmp_path):
    process = writer(tmp_path / "b.gpkg")
    process.kill()
    process.wait()

    with temporary_sibling(tmp_path / "a.gpkg"):
        pass

    assert len(_names(tmp_path)) == 3
    assert len(remove_dead_temporaries(tmp_path, "b.gpkg")) == 2


def test_what_only_looks_alike_and_links_are_left_alone(tmp_path):
    (tmp_path / ".0123abcd.a.gpkg").write_text("no lock: whose it is, nobody knows")
    (tmp_path / ".hidden.a.gpkg.lock").write_text("")
    (tmp_path / "target").write_text("mine")
    (tmp_path / ".89abcdef.a.gpkg.lock").symlink_to(tmp_path / "target")
    before = _names(tmp_path)

    assert remove_dead_temporaries(tmp_path) == []
    assert _names(tmp_path) == before


def test_where_there_are_no_locks_temporaries_are_never_taken_for_dead(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with temporary_sibling(tmp_path / "a.h5") as temporary:
        temporary.write_text("x")
        assert _names(tmp_path) == [temporary.name]
        assert remove_dead_temporaries(tmp_path) == []
        assert temporary.exists()

    assert _names(tmp_path) == []


def test_a_sweeper_that_is_faster_makes_the_writer_take_another_name(tmp_path, monkeypatch):
    opened, lock = [], fcntl.flock

    def stolen_once(handle, how):
        lock(handle, how)
        if not opened:
            opened.append(handle)
            for path in tmp_path.iterdir():
                path.unlink()

    monkeypatch.setattr(atomic.fcntl, "flock", stolen_once)
    with temporary_sibling(tmp_path / "a.h5") as temporary:
        temporary.write_text("x")
        assert _names(tmp_path) == [temporary.name, f"{temporary.name}.lock"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        (".0123abcd.a.h5", True),
        (".0123abcd.a.h5.lock", True),
        (".0123abcx.a.h5", False),
        ("a.h5", False),
        (".gcn", False),
    ],
)
def test_temporaries_are_told_by_their_names(tmp_path, name, answer):
    assert is_temporary(tmp_path / name) == answer


@pytest.mark.fault
@pytest.mark.parametrize(
    ("machine", "kind", "age_days", "is_swept"),
    [
        ("node8 2222", "fuse.sshfs", 0, False),
        ("node8 2222", "fuse.sshfs", 2, True),
        # The kernel of a disk's only machine cannot be mistaken, but its disk may be another machine's by the network.
        ("node8 2222", "ext4", 0, False),
        ("node8 2222", "nfs4", 0, True),
        # The same machine before it was started again, and a lock that names no machine.
        ("node7 0000", "fuse.sshfs", 0, True),
        ("", "fuse.sshfs", 0, True),
    ],
)
def test_a_lock_that_is_free_here_may_be_held_elsewhere(
    writer, tmp_path, monkeypatch, machine, kind, age_days, is_swept
):
    process = writer(tmp_path / "a.gpkg")
    process.kill()
    process.wait()
    (lock,) = tmp_path.glob(".*.lock")
    assert lock.read_text() == filesystems.this_machine()
    lock.write_text(machine)
    written = lock.stat().st_mtime - 86_400 * age_days
    os.utime(lock, (written, written))
    monkeypatch.setattr(filesystems, "this_machine", lambda: "node7 1111")
    monkeypatch.setattr(atomic, "file_system_of", lambda _: filesystems.FileSystem(kind))

    assert len(dead_temporaries(tmp_path)) == 2 * is_swept
    with temporary_sibling(tmp_path / "a.gpkg"):
        assert lock.exists() != is_swept
