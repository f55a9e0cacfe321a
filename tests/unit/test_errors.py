"""Every deliberate error says what, where and how to mend it, also from another process."""

import copy
import pickle

import pytest

from gcn_luigi import errors
from gcn_luigi.errors import (
    ClusterError,
    ConfigError,
    GcnLuigiError,
    InputError,
    LatticeError,
    PublishError,
    ResourceError,
    SchedulerError,
    ShardError,
    StoreError,
)

LEAVES = {
    ConfigError: ValueError,
    LatticeError: ValueError,
    InputError: ValueError,
    ShardError: ValueError,
    PublishError: OSError,
    ResourceError: MemoryError,
    ClusterError: RuntimeError,
    SchedulerError: RuntimeError,
    StoreError: OSError,
}


def make(kind):
    return kind("a tile is damaged", where="tiles/0123/nbr.tif", fix="copy it again")


def test_the_tree_holds_no_other_error():
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}

    assert defined == {GcnLuigiError, *LEAVES}


@pytest.mark.parametrize(("kind", "builtin"), LEAVES.items(), ids=lambda kind: kind.__name__)
def test_an_error_is_caught_by_the_root_and_by_its_builtin_kind(kind, builtin):
    for caught in (GcnLuigiError, builtin):
        with pytest.raises(caught):
            raise make(kind)


@pytest.mark.parametrize("kind", [GcnLuigiError, *LEAVES], ids=lambda kind: kind.__name__)
def test_an_error_shows_what_where_and_fix_one_a_line(kind):
    assert str(make(kind)) == "a tile is damaged\n  where: tiles/0123/nbr.tif\n  fix:   copy it again"


@pytest.mark.parametrize("kind", [GcnLuigiError, *LEAVES], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])  # noqa: S301
def test_an_error_survives_the_way_from_a_worker(kind, again):
    error = make(kind)

    back = again(error)

    assert type(back) is kind
    assert (back.what, back.where, back.fix) == (error.what, error.where, error.fix)
    assert str(back) == str(error)
    assert back.args == error.args


@pytest.mark.parametrize("missing", ["where", "fix"])
def test_an_error_without_a_place_or_a_remedy_cannot_be_made(missing):
    parts = {"where": "here", "fix": "so"}
    del parts[missing]

    with pytest.raises(TypeError, match=missing):
        InputError("broken", **parts)
