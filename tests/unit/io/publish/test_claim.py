"""A claim is held by one run at a time, and never by a dead one."""

import errno
import fcntl
import os
import subprocess
import sys
import threading

import pytest

from gcn_luigi.io.publish.atomic import is_temporary, remove_dead_temporaries
from gcn_luigi.io.publish.claim import claimed
from gcn_luigi.io.publish.filesystems import this_machine

_HOLDER = """
import sys, time
from pathlib import Path
from gcn_luigi.io.publish.claim import claimed
with claimed(Path(sys.argv[1]), "shard", print):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
    """Return a process that holds the claim on a shard."""
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def _claim(directory, name, told, order):
    with claimed(directory, name, told.append) as has_waited:
        order.append((name, has_waited))


def test_a_claim_leaves_nothing_and_looks_like_a_temporary_file_meanwhile(tmp_path):
    with claimed(tmp_path / "new", "shard", print) as has_waited:
        assert not has_waited
        (path,) = (tmp_path / "new").iterdir()
        assert is_temporary(path)
        assert path.read_text() == this_machine()

    assert list((tmp_path / "new").iterdir()) == []


def test_whoever_comes_second_waits_and_hears_for_which_machine(tmp_path):
    told, order = [], []
    with claimed(tmp_path, "shard", told.append):
        second = threading.Thread(target=_claim, args=(tmp_path, "shard", told, order))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        order.append("first")
    second.join(5)

    assert order == ["first", ("shard", True)]
    assert told == [f"waits for another run, which makes this on {this_machine().partition(' ')[0]}"]
    assert list(tmp_path.iterdir()) == []


def test_the_claim_of_a_killed_run_is_free(holder, tmp_path):
    assert remove_dead_temporaries(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1
    order = []
    other = threading.Thread(target=_claim, args=(tmp_path, "shard", [], order))
    other.start()
    other.join(0.2)
    assert order == []
    holder.kill()
    other.join(5)

    assert order == [("shard", True)]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_swept(holder, tmp_path):
    holder.kill()
    holder.wait()
    remove_dead_temporaries(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("holder")
def test_claims_on_other_things_are_free(tmp_path):
    _claim(tmp_path, "other", [], order := [])

    assert order == [("other", False)]


def test_where_nothing_can_be_written_nobody_waits(tmp_path):
    (tmp_path / "file").write_text("")
    _claim(tmp_path / "file", "shard", [], order := [])

    assert order == [("shard", False)]


def test_no_link_is_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with claimed(tmp_path / "link", "shard", print):
        assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_claim_that_another_machine_removes_meanwhile_is_tried_again(tmp_path, monkeypatch):
    """What NFS and GlusterFS say about a file that is open here and was removed elsewhere."""
    answers = [BlockingIOError(), OSError(errno.ESTALE, "stale"), None]
    lock, read, shut = fcntl.flock, os.pread, os.close

    def flock(handle, how):
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        lock(handle, how)

    def pread(*arguments):
        if answers:
            raise OSError(errno.ESTALE, "stale")
        return read(*arguments)

    def close(handle):
        shut(handle)
        if answers:
            raise OSError(errno.ESTALE, "stale")

    monkeypatch.setattr("fcntl.flock", flock)
    monkeypatch.setattr("os.pread", pread)
    monkeypatch.setattr("os.close", close)
    _claim(tmp_path, "shard", told := [], order := [])

    assert order == [("shard", True)]
    assert told == answers == []
    assert list(tmp_path.iterdir()) == []


def test_without_locks_nobody_waits(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    _claim(tmp_path, "shard", [], order := [])

    assert order == [("shard", False)]
    assert list(tmp_path.iterdir()) == []
