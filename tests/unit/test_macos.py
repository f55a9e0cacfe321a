"""What macOS lacks is done without, and its way to the disk is taken."""

import errno
import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

from gcn_luigi.io.publish import atomic
from gcn_luigi.io.shard import codecs
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.luigi_host import worker
from tests.reference.shards import write_shard

F_FULLFSYNC = 51
# Everything that CPython's os and signal have on Linux and not on every macOS.
_LACKING = """
import os, pathlib, signal, sys
# Libraries first, and a module of Python that would look for one of macOS.
import h5py, numpy, pandas, pyarrow, urllib.request
for name in "preadv posix_fadvise posix_fallocate fdatasync sched_getaffinity".split():
    delattr(os, name)
for name in "sigtimedwait sigwaitinfo".split():
    delattr(signal, name)
plainly = open
def is_linux(path):
    return str(path).startswith(("/proc/", "/sys/"))
def refuse(path, *rest, **more):
    if is_linux(path):
        raise FileNotFoundError(2, "there is none on macOS", path)
    return plainly(path, *rest, **more)
import builtins, io
builtins.open = io.open = refuse
sys.platform = "darwin"
import gcn_luigi
data = gcn_luigi.open_dataset(sys.argv[1])
chips = data.chips("train")
total = sum(int(batch["image"].astype("int64").sum()) for batch in chips.batches(4))
print(len(chips), total, len(data.chip_table))
"""


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "train-00000-of-00001.h5"
    return path, write_shard(path, 5)


def rows_of(path):
    with ShardReader(path) as reader:
        return np.stack([reader.pixels("image", row) for row in range(len(reader))])


def test_pixels_are_the_same_without_preadv_and_without_advice_to_the_disk(shard, monkeypatch):
    path, pixels = shard
    monkeypatch.delattr(os, "preadv")
    monkeypatch.delattr(os, "posix_fadvise")

    with ShardReader(path) as reader:
        reader.prefetch(np.arange(5))

    np.testing.assert_array_equal(rows_of(path), pixels["image"])


def test_a_file_that_is_too_short_is_noticed_without_preadv(shard, monkeypatch):
    path, _ = shard
    monkeypatch.delattr(os, "preadv")
    with ShardReader(path) as reader:
        reader.arrays["image"].offsets[4] = path.stat().st_size - 1

        with pytest.raises(OSError, match="beyond the end of the file"):
            reader.stored("image", 4)


def test_a_dataset_is_read_where_linux_calls_and_files_are_missing(small_output):
    command = [sys.executable, "-c", _LACKING, small_output]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr

    import gcn_luigi  # noqa: PLC0415

    data = gcn_luigi.open_dataset(small_output)
    chips = data.chips("train")
    total = sum(int(batch["image"].astype("int64").sum()) for batch in chips.batches(4))
    assert told.stdout.split() == [str(len(chips)), str(total), str(len(data.chip_table))]


def test_a_published_file_is_synced_past_the_cache_of_the_drive(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", F_FULLFSYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda handle, what: asked.append((os.fstat(handle).st_ino, what)))

    with atomic.atomic_write(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")

    both = [(tmp_path / "file.txt").stat().st_ino, tmp_path.stat().st_ino]
    assert asked == [(inode, F_FULLFSYNC) for inode in both]


def test_a_file_system_without_that_sync_is_synced_as_elsewhere(tmp_path, monkeypatch):
    synced = []

    def refuse(*_):
        raise OSError(errno.ENOTSUP, "not on this file system")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", F_FULLFSYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))

    atomic.sync(tmp_path)

    assert synced == [tmp_path.stat().st_ino]


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_worker_learns_without_sigtimedwait_whether_it_is_told_to_stop(monkeypatch, is_sent):
    monkeypatch.delattr(signal, "sigtimedwait")
    monkeypatch.setattr(worker, "_LOOK_S", 0.01)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        if is_sent:
            # To this thread: other threads of the test have not blocked it.
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        heard = worker._is_told_to_stop()
    finally:
        if signal.SIGTERM in signal.sigpending():
            signal.sigwait({signal.SIGTERM})
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    assert heard is is_sent


@pytest.mark.parametrize(("platform", "is_loaded_once"), [("linux", True), ("darwin", False)])
def test_the_server_of_workers_loads_no_library_where_a_fork_would_copy_frameworks(
    monkeypatch, platform, is_loaded_once
):
    chosen, preloaded = [], []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda **_: None)
    monkeypatch.setattr(multiprocessing, "set_start_method", chosen.append)
    monkeypatch.setattr(multiprocessing, "set_forkserver_preload", preloaded.extend)

    worker.use_forkserver()

    assert chosen == ["forkserver"]
    assert ("gcn_luigi.tasks" in preloaded) is is_loaded_once


def test_the_library_of_bitshuffle_is_found_by_the_name_it_has_on_macos(tmp_path, monkeypatch):
    (tmp_path / "libh5bshuf.dylib").touch()
    loaded = []

    def load(path):
        loaded.append(path)
        return types.SimpleNamespace(
            **{
                f"bshuf_{name}": types.SimpleNamespace()
                for name in ("compress_lz4", "decompress_lz4", "compress_lz4_bound", "default_block_size")
            }
        )

    monkeypatch.setattr(codecs, "import_module", lambda _: types.SimpleNamespace(PLUGIN_PATH=str(tmp_path)))
    monkeypatch.setattr(codecs.ctypes, "CDLL", load)

    codecs.bitshuffle_library.__wrapped__()

    assert loaded == [str(tmp_path / "libh5bshuf.dylib")]
