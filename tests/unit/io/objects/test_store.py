"""A store is asked for ranges of one version of an object; what goes wrong is told in our words, without secrets."""

import json
import os
import pickle
import re
import time
import traceback
from importlib import import_module
from pathlib import Path

import numpy as np
import psutil
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, ShardError, StoreError
from gcn_luigi.io.objects.address import Address
from gcn_luigi.io.objects.forked import HelperAsker
from gcn_luigi.io.objects.store import ObjectStore
from tests.stores import KEY, SECRET, s3, serving

pytest.importorskip("obstore")

CONTENT = np.random.default_rng(1).integers(0, 256, 100_000, np.uint8)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "bucket/region").mkdir(parents=True)
    (tmp_path / "bucket/region/a.h5").write_bytes(CONTENT.tobytes())
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def store(server):
    made = ObjectStore(Address("http", f"{server.url}/bucket/region"))
    yield made
    made.close()


def test_the_bytes_of_a_range_are_those_of_the_file(store, server):
    np.testing.assert_array_equal(store.read("a.h5", 10, 500), CONTENT[10:500])
    np.testing.assert_array_equal(store.read("a.h5"), CONTENT)
    end, size = store.read_end("a.h5", 300)
    np.testing.assert_array_equal(end, CONTENT[-300:])
    assert size == len(CONTENT)
    np.testing.assert_array_equal(store.read_end("a.h5", 10**6)[0], CONTENT)
    np.testing.assert_array_equal(np.concatenate([*store.parts("a.h5")]), CONTENT)
    assert [size for _, _, size in server.asked] == [490, 100_000, 300, 100_000, 100_000]


def test_a_body_that_is_cut_once_is_continued_where_it_ended(store, server):
    server.fault = "cut once"

    np.testing.assert_array_equal(store.read("a.h5", 1000, 3000), CONTENT[1000:3000])
    assert server.asked == [("bucket/region/a.h5", 1000, 2000), ("bucket/region/a.h5", 2000, 1000)]


@pytest.mark.parametrize(
    ("fault", "told", "most"),
    [
        ("cut", "cannot be reached, or its answer was cut off", 9),
        ("503", r"cannot be reached, or its answer was cut off \((SlowDown|HTTP status 503)\)", 9),
        ("403", r"does not permit reading \(AccessDenied\)", 1),
        ("whole", "whole files only", 1),
    ],
)
def test_a_store_that_fails_is_asked_a_bounded_number_of_times(store, server, fault, told, most):
    server.fault = fault

    with pytest.raises(StoreError, match=told) as caught:
        store.read("a.h5", 0, 50_000)

    assert caught.value.where == f"{server.url}/bucket/region/a.h5"
    assert 1 <= len(server.asked) <= most
    text = "".join(traceback.format_exception(caught.value)) + str(caught.value)
    assert KEY not in text
    assert SECRET not in text


def test_a_server_that_falls_silent_is_given_up(server, monkeypatch):
    quick = {"read_timeout": "100ms", "connect_timeout": "1s"}
    monkeypatch.setattr("gcn_luigi.io.objects.direct._CLIENT", quick)
    server.fault = "stall"

    with pytest.raises(StoreError, match="cannot be reached, or its answer was cut off"):
        ObjectStore(Address("http", f"{server.url}/bucket/region")).read("a.h5", 0, 50_000)

    assert 1 <= len(server.asked) <= 9


@pytest.mark.parametrize("place", ["my data/r+1", "größe/a=b&c", "dot.d/~me"])
def test_unusual_places_are_found(server, place):
    (server.root / place).mkdir(parents=True)
    (server.root / place / "a.h5").write_bytes(b"abcdef")

    assert ObjectStore(Address("http", f"{server.url}/{place}")).read("a.h5", 1, 3).tobytes() == b"bc"


def test_one_module_knows_the_library():
    sources = Path(gcn_luigi.__file__).parent.rglob("*.py")
    knows = re.compile(r'import_module\("obstore|^\s*(import|from) obstore', re.MULTILINE)

    assert [path.name for path in sources if knows.search(path.read_text(encoding="utf-8"))] == ["direct.py"]


def test_a_server_that_is_not_there_is_told():
    gone = ObjectStore(Address("http", "http://127.0.0.1:9/region"))

    with pytest.raises(StoreError, match="cannot be reached") as caught:
        gone.read("a.h5")

    assert "network" in caught.value.fix


def test_what_is_missing_or_shorter_is_told(store):
    with pytest.raises(ShardError, match="no such object"):
        store.read("b.h5", 0, 10)
    for start, end in ((99_990, 100_010), (200_000, 200_010)):
        with pytest.raises(ShardError, match="cut short"):
            store.read("a.h5", start, end)


@pytest.mark.parametrize("fault", ["", "bare", "weak"])
def test_an_object_that_changed_is_noticed(store, server, tmp_path, fault):
    server.fault = fault
    store.read("a.h5", 0, 10)
    path = tmp_path / "bucket/region/a.h5"
    path.write_bytes(CONTENT[::-1].tobytes())
    os.utime(path, (1e9, 1e9))

    with pytest.raises(ShardError, match="changed while the dataset is being read"):
        store.read("a.h5", 0, 10)
    # A copy of the handle knows as well which version it was.
    with pytest.raises(ShardError, match="changed while the dataset is being read"):
        pickle.loads(pickle.dumps(store)).read("a.h5", 0, 10)  # noqa: S301  our own
    # Opened again, it is another dataset.
    fresh = ObjectStore(store.address)
    np.testing.assert_array_equal(fresh.read("a.h5", 0, 10), CONTENT[::-1][:10])


def test_requests_at_the_same_time_do_not_mix(store):
    calls = [store.later(store.read, "a.h5", start, start + 700) for start in range(0, 90_000, 700)]

    np.testing.assert_array_equal(np.concatenate([call.result() for call in calls]), CONTENT[: 700 * len(calls)])


def test_a_forked_process_reads_by_way_of_a_helper_that_ends_with_it(store, tmp_path):
    store.read("a.h5", 0, 10)
    child = os.fork()
    if child == 0:
        is_right = np.array_equal(store.read("a.h5", 5, 5000), CONTENT[5:5000])
        calls = [store.later(store.read, "a.h5", start, start + 700) for start in range(0, 7000, 700)]
        is_right &= np.array_equal(np.concatenate([call.result() for call in calls]), CONTENT[:7000])
        try:
            store.read("b.h5")
        except ShardError as error:
            is_right &= "no such object" in error.what
        (tmp_path / "helper").write_text(str(store._asker._process.pid))
        os._exit(0 if is_right and isinstance(store._asker, HelperAsker) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    helper = int((tmp_path / "helper").read_text())
    assert _ends(helper)


def _ends(process, patience_s=20.0):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_google_is_asked_as_well(server, tmp_path, monkeypatch):
    account = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": "", "private_key": SECRET}
    (tmp_path / "account.json").write_text(json.dumps({**account, "private_key_id": KEY}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
    monkeypatch.setenv("GOOGLE_ALLOW_HTTP", "true")
    store = ObjectStore(Address("gs", "gs://bucket/region"))

    np.testing.assert_array_equal(store.read("a.h5", 10, 500), CONTENT[10:500])
    assert server.asked == [("bucket/region/a.h5", 10, 490)]
    server.fault = "403"
    with pytest.raises(StoreError, match="does not permit") as caught:
        store.read("a.h5")
    assert "GOOGLE_SERVICE_ACCOUNT" in caught.value.fix


def test_s3_says_which_bucket_or_object_is_missing(monkeypatch):
    with s3(monkeypatch) as client:
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="region/a.h5", Body=CONTENT.tobytes())
        store = ObjectStore(Address("s3", "s3://bucket/region"))

        np.testing.assert_array_equal(store.read("a.h5", 10, 500), CONTENT[10:500])
        with pytest.raises(ShardError, match="no such object"):
            store.read("b.h5")
        with pytest.raises(StoreError, match="no such bucket"):
            ObjectStore(Address("s3", "s3://elsewhere/region")).read("a.h5")
        client.put_object(Bucket="bucket", Key="region/a.h5", Body=CONTENT[::-1].tobytes())
        with pytest.raises(ShardError, match="changed"):
            store.read("a.h5", 10, 500)


def test_without_credentials_the_way_to_give_them_is_told(server, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    # Where the library asks the machine itself for credentials.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", server.url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")

    with pytest.raises(StoreError) as caught:
        ObjectStore(Address("s3", "s3://bucket/region")).read("a.h5")

    assert "AWS_ACCESS_KEY_ID" in caught.value.fix


def test_the_library_is_asked_for_only_when_a_store_is_opened(monkeypatch):
    def missing(name):
        if name.partition(".")[0] == "obstore":
            raise ModuleNotFoundError("No module named 'obstore'")
        return import_module(name)

    monkeypatch.setattr("gcn_luigi.io.objects.direct.import_module", missing)
    with pytest.raises(ConfigError, match="needs obstore, which is not installed") as caught:
        ObjectStore(Address("s3", "s3://bucket/region"))

    assert "gcn-luigi[remote]" in caught.value.fix
    assert "aws s3 sync s3://bucket/region DIRECTORY" in caught.value.fix
