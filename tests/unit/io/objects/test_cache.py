"""Whole objects are kept by their digests: fetched once, verified, and never seen half."""

import hashlib
import multiprocessing
import os

import pytest

from gcn_luigi.errors import PublishError, ShardError
from gcn_luigi.io.objects.address import Address
from gcn_luigi.io.objects.cache import ObjectCache
from gcn_luigi.io.objects.store import ObjectStore
from tests.stores import serving

pytest.importorskip("obstore")

CONTENT = bytes(range(256)) * 400
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served/a.h5").write_bytes(CONTENT)
    with serving(tmp_path / "served") as running:
        yield running


@pytest.fixture
def store(server):
    made = ObjectStore(Address("http", server.url))
    yield made
    made.close()


def drafts(directory):
    return [path.name for path in directory.iterdir() if path.name.startswith(".draft")]


def test_an_object_is_fetched_once(store, server, tmp_path):
    cache = ObjectCache(tmp_path / "new/cache")

    first = cache.file(store, "a.h5", len(CONTENT), DIGEST)
    again = ObjectCache(tmp_path / "new/cache").file(store, "a.h5", len(CONTENT), DIGEST)

    assert first == again == tmp_path / f"new/cache/{DIGEST}.h5"
    assert first.read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert drafts(cache.directory) == []


def test_a_copy_that_was_cut_short_is_fetched_again(store, tmp_path):
    cache = ObjectCache(tmp_path / "cache")
    path = cache.file(store, "a.h5", len(CONTENT), DIGEST)
    os.truncate(path, 100)

    assert cache.file(store, "a.h5", len(CONTENT), DIGEST).read_bytes() == CONTENT


def test_a_flipped_bit_in_a_copy_is_noticed_where_it_is_asked_for(store, tmp_path):
    cache = ObjectCache(tmp_path / "cache")
    path = cache.file(store, "a.h5", len(CONTENT), DIGEST)
    path.write_bytes(b"x" + CONTENT[1:])

    assert cache.file(store, "a.h5", len(CONTENT), DIGEST).read_bytes() != CONTENT
    assert cache.file(store, "a.h5", len(CONTENT), DIGEST, verify=True).read_bytes() == CONTENT


def test_other_bytes_than_those_listed_are_never_kept(store, server, tmp_path):
    (server.root / "a.h5").write_bytes(CONTENT[::-1])
    cache = ObjectCache(tmp_path / "cache")

    with pytest.raises(ShardError, match="SHA-256 differs") as caught:
        cache.file(store, "a.h5", len(CONTENT), DIGEST)

    assert caught.value.where == f"{server.url}/a.h5"
    assert [path for path in cache.directory.iterdir() if path.suffix == ".h5"] == []
    assert drafts(cache.directory) == []


def test_a_digest_that_is_a_path_is_refused(store, server, tmp_path):
    with pytest.raises(ShardError, match="lists no SHA-256"):
        ObjectCache(tmp_path / "cache").file(store, "a.h5", 5, "../../x")

    assert server.asked == []


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(PublishError, match="cache cannot be used"):
        ObjectCache(tmp_path / "file/cache")


def _fetch(store, directory, gate):
    gate.wait()
    path = ObjectCache(directory).file(store, "a.h5", len(CONTENT), DIGEST)
    return path.read_bytes() == CONTENT


def _fetch_all(arguments):
    return _fetch(*arguments)


def test_two_processes_fetch_it_once_and_both_have_it(store, server, tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(2) as pool:
        gate = manager.Barrier(2)
        found = pool.map(_fetch_all, [(store, tmp_path / "cache", gate)] * 2, chunksize=1)

    assert found == [True, True]
    assert len(server.asked) == 1
    assert drafts(tmp_path / "cache") == []
