"""What travels to a node and back: plain values that keep everything an error says."""

import json

import pytest

from gcn_luigi.engine.order import Order, describe_error, error_from
from gcn_luigi.engine.versions import differences, versions
from gcn_luigi.errors import ClusterError, InputError
from gcn_luigi.tasks.shards import ChipShard

_ORDER = {"key": "k", "topic": "t", "versions": {"numpy": "1"}}


def _shard(**others):
    return ChipShard(region="demo", split="train", number=3, total=4, **others)


def test_an_order_is_json_and_names_the_same_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = _shard(output_root="out", config_dir="config", dask="local", threads=2)

    plain = json.loads(json.dumps(Order.of(task, **_ORDER, memory_mb=0).plain()))
    made = Order.read(plain).task()

    assert made.name == task.name
    assert (made.output_root, made.config_dir) == (str(tmp_path / "out"), str(tmp_path / "config"))
    assert (made.threads, made.data_root) == (2, "")
    # The node makes it, and does not pass it on.
    assert made.dask == ""


@pytest.mark.parametrize(
    ("own", "node", "least"), [(0, 0, 0), (500, 0, 500), (0, 700, 700), (500, 700, 500), (900, 700, 700)]
)
def test_the_smaller_limit_holds(own, node, least):
    order = Order.of(_shard(memory_mb=9999), **_ORDER, memory_mb=own)

    assert order.within(node).task().memory_mb == least


def test_a_deliberate_error_arrives_whole_with_the_name_of_the_node():
    described = json.loads(json.dumps(describe_error(InputError("it is blue", where="tiles/7", fix="take another"))))

    error = error_from(described, name="gcn.TileQuality(dem)", node="n2")

    assert type(error) is InputError
    assert (error.what, error.where, error.fix) == ("it is blue", "tiles/7 (on node n2)", "take another")


def test_any_other_error_arrives_with_its_traceback():
    try:
        {}["missing"]
    except KeyError as caught:
        described = describe_error(caught)

    error = error_from(described, name="gcn.ChipShard(train, 3, 4)", node="n2")

    assert type(error) is ClusterError
    assert "KeyError: 'missing'" in error.what
    assert "test_order.py" in error.what
    assert error.where == "gcn.ChipShard(train, 3, 4) (on node n2)"


@pytest.mark.parametrize("kind", ["SystemExit", "functools", "few", "nothing"])
def test_only_the_own_errors_are_made_again(kind):
    described = {"kind": kind, "what": "w", "where": "x", "fix": "y"}

    assert type(error_from(described, name="t", node="n")) is ClusterError


def test_versions_tell_what_decides_bytes():
    here = versions()

    assert {"gcn_luigi", "kernels", "numpy", "GDAL", "HDF5"} <= here.keys()
    assert all(here.values())
    assert differences(here, versions()) == []
    other = {name: version for name, version in here.items() if name != "HDF5"} | {"kernels": "0123"}
    assert differences(here, other) == [
        f"kernels 0123 instead of {here['kernels']}",
        f"HDF5 missing instead of {here['HDF5']}",
    ]
