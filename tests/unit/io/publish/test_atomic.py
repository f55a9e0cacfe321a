"""A file is published whole, or it is as if nothing had been tried."""

import errno
import hashlib
import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from gcn_luigi.errors import InputError, PublishError
from gcn_luigi.io.publish import atomic as staging
from gcn_luigi.io.publish.atomic import atomic_write, digest


def publish(path, content=b"whole"):
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_half(path, failure):
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        raise failure


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_file_appears_under_its_name_with_directories_it_needs(tmp_path):
    publish(tmp_path / "shards" / "deep" / "a.h5")

    assert (tmp_path / "shards" / "deep" / "a.h5").read_bytes() == b"whole"
    assert names(tmp_path / "shards" / "deep") == ["a.h5"]


def test_the_temporary_is_a_hidden_sibling_with_the_same_suffixes(tmp_path):
    with atomic_write(tmp_path / "grid.tar.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".grid.tar.gz")
        assert not (tmp_path / "grid.tar.gz").exists()
        temporary.touch()


@pytest.mark.fault
@pytest.mark.parametrize("old", [None, b"older"])
@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("a bug"),
        KeyboardInterrupt(),
        SystemExit(1),
        InputError("damaged", where="a.tif", fix="copy it"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_failed_write_publishes_nothing_and_leaves_the_older_file(tmp_path, old, failure):
    final = tmp_path / "a.h5"
    if old is not None:
        final.write_bytes(old)

    with pytest.raises((type(failure), PublishError)):
        write_half(final, failure)

    assert names(tmp_path) == ([] if old is None else ["a.h5"])
    assert old is None or final.read_bytes() == old


@pytest.mark.fault
def test_a_writer_that_writes_nothing_publishes_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.h5"):
        pass

    assert names(tmp_path) == []


def test_an_older_file_is_replaced_in_one_step(tmp_path):
    final = tmp_path / "a.h5"
    publish(final, b"older")
    with final.open("rb") as reader:
        with atomic_write(final) as temporary:
            temporary.write_bytes(b"newer")
            assert final.read_bytes() == b"older"

        assert final.read_bytes() == b"newer"
        assert reader.read() == b"older"


def test_of_two_writers_the_last_one_wins_and_both_files_are_whole(tmp_path):
    final = tmp_path / "a.h5"

    with atomic_write(final) as first:
        first.write_bytes(b"first")
        with atomic_write(final) as second:
            assert second != first
            second.write_bytes(b"second")
        assert final.read_bytes() == b"second"

    assert final.read_bytes() == b"first"
    assert names(tmp_path) == ["a.h5"]


def test_a_reader_never_sees_half_a_file_while_many_write(tmp_path):
    final, seen = tmp_path / "a.bin", set()
    publish(final, b"\0" * 40_000)

    def write(value):
        for _ in range(8):
            publish(final, bytes([value]) * 40_000)

    writers = [threading.Thread(target=write, args=(value,)) for value in range(1, 5)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen.add(final.read_bytes())
    for writer in writers:
        writer.join()

    assert {len(content) for content in seen} == {40_000}
    assert all(len(set(content)) == 1 for content in seen)
    assert names(tmp_path) == ["a.bin"]


def test_data_is_synced_before_the_name_and_the_directory_after_it(tmp_path, monkeypatch):
    final, order = tmp_path / "a.h5", []

    def fsync(handle):
        kind = "directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        order.append((kind, final.exists()))

    monkeypatch.setattr(os, "fsync", fsync)

    publish(final)

    assert order == [("file", False), ("directory", True)]


@pytest.mark.fault
@pytest.mark.parametrize(
    "code",
    [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM],
    ids=lambda code: errno.errorcode[code],
)
def test_a_refusal_of_the_file_system_is_told_with_the_final_name(tmp_path, code):
    final = tmp_path / "a.h5"

    with pytest.raises(PublishError, match="could not be written") as caught, atomic_write(final):
        raise OSError(code, os.strerror(code))

    assert os.strerror(code) in caught.value.what
    assert caught.value.where == str(final)


@pytest.mark.fault
def test_a_refusal_while_syncing_leaves_the_older_file(tmp_path, monkeypatch):
    final = tmp_path / "a.h5"
    publish(final, b"older")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(staging, "sync", full)

    with pytest.raises(PublishError, match="No space left"):
        publish(final, b"newer")

    assert names(tmp_path) == ["a.h5"]
    assert final.read_bytes() == b"older"


@pytest.mark.fault
@pytest.mark.parametrize("parts", [("taken", "a.h5"), ("taken", "deep", "a.h5")], ids=len)
def test_a_directory_that_is_a_file_is_told(tmp_path, parts):
    (tmp_path / "taken").write_bytes(b"x")

    with pytest.raises(PublishError) as caught:
        publish(tmp_path.joinpath(*parts))

    assert caught.value.where == str(tmp_path.joinpath(*parts))
    assert (tmp_path / "taken").read_bytes() == b"x"


@pytest.mark.fault
def test_a_name_taken_by_a_directory_is_told(tmp_path):
    (tmp_path / "a.h5").mkdir()

    with pytest.raises(PublishError, match="directory"):
        publish(tmp_path / "a.h5")

    assert names(tmp_path) == ["a.h5"]


@pytest.mark.fault
@pytest.mark.parametrize("code", [errno.EACCES, errno.EISDIR, errno.ENOTDIR], ids=lambda code: errno.errorcode[code])
def test_a_source_that_cannot_be_read_is_not_blamed_on_the_output(tmp_path, code):
    source = tmp_path / "input" / "rejects.csv"

    with pytest.raises(OSError, match=r"rejects\.csv") as caught, atomic_write(tmp_path / "out" / "a.h5"):
        raise OSError(code, os.strerror(code), str(source))

    assert not isinstance(caught.value, PublishError)
    assert caught.value.errno == code


def test_an_error_that_is_no_refusal_passes_as_it_is(tmp_path):
    class LibraryError(OSError):
        pass

    for error in (OSError(errno.EIO, "Input/output error"), LibraryError(errno.ENOSPC, "theirs")):
        with pytest.raises(type(error)) as caught, atomic_write(tmp_path / "a.h5"):
            raise error
        assert caught.value is error


@pytest.mark.fault
def test_a_killed_writer_leaves_at_most_a_hidden_temporary(tmp_path):
    final = tmp_path / "a.h5"
    publish(final, b"older")
    child = os.fork()
    if child == 0:
        with atomic_write(final) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    assert final.read_bytes() == b"older"
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["a.h5"]


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 9000])
def test_a_digest_is_the_sha256_of_the_bytes(tmp_path, content):
    (tmp_path / "a").write_bytes(content)

    assert digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()


@pytest.mark.fault
@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("sqlite3_exec(CREATE TABLE gpkg_contents) failed: database or disk is full"),
        OSError(errno.ENOSPC, "Can't close file (file write failed: errno = 28, buf = 0x557ea584be90)"),
        RuntimeError(f"block write failed: {os.strerror(errno.ENOSPC)}"),
    ],
)
def test_a_full_disk_is_told_plainly_whatever_the_library_says(tmp_path, failure):
    with pytest.raises(PublishError) as caught:
        write_half(tmp_path / "index.gpkg", failure)

    assert caught.value.what == "could not be written: No space left on device"
    assert caught.value.where == str(tmp_path / "index.gpkg")
    assert names(tmp_path) == []


@pytest.mark.fault
def test_a_library_that_only_says_that_it_failed_is_asked_by_a_probe_that_goes_with_it(tmp_path, monkeypatch):
    opened = Path.open

    def full(path, *arguments):
        if path.name.endswith(".probe"):
            opened(path, *arguments).close()
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(PublishError, match="could not be written: Disk quota exceeded"):
        write_half(tmp_path / "mosaic.tif", RuntimeError("TIFFAppendToStrip: write error"))

    assert names(tmp_path) == []


def test_a_failure_that_is_no_lack_of_room_passes_as_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="a bug"):
        write_half(tmp_path / "mosaic.tif", RuntimeError("a bug"))

    assert names(tmp_path) == []
