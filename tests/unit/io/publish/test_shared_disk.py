"""Two machines that try a disk at once; threads stand for them, because locks distinguish open files."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish import shared_disk
from gcn_luigi.io.publish.shared_disk import try_shared_disk


def _try(directory, *names):
    with ThreadPoolExecutor(len(names)) as threads:
        return dict(
            zip(names, threads.map(lambda name: try_shared_disk(directory, len(names), name), names), strict=True)
        )


def test_on_one_disk_everything_holds_and_nothing_is_left(tmp_path):
    seen = _try(tmp_path, "b", "a", "c")

    assert {one.machines for one in seen.values()} == {("a", "b", "c")}
    assert {name: one.locks_hold for name, one in seen.items()} == {"a": None, "b": True, "c": True}
    assert {one.n_first for one in seen.values()} == {1}
    assert all(0 <= one.lag_s < 60 and abs(one.clock_s) < 60 for one in seen.values())
    assert list(tmp_path.iterdir()) == []


def test_locks_that_nobody_else_sees_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_disk.fcntl, "flock", lambda *_: None)

    assert _try(tmp_path, "a", "b")["b"].locks_hold is False


def test_a_file_that_two_create_first_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_disk.os, "O_EXCL", 0)

    assert {one.n_first for one in _try(tmp_path, "a", "b").values()} == {2}


def test_a_late_file_is_timed(tmp_path, monkeypatch):
    wait_for_edition = shared_disk._wait_for_edition
    monkeypatch.setattr(shared_disk, "_wait_for_edition", lambda path, n: wait_for_edition(path, n) - 7)

    seen = _try(tmp_path, "a", "b")

    assert seen["b"].lag_s >= 6
    assert seen["a"].lag_s == 0


def test_machines_that_do_not_come_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_disk, "_PATIENCE_S", 0.2)

    with pytest.raises(ConfigError, match=r"only 1 of 2 machines are seen \(alone\)"):
        try_shared_disk(tmp_path, 2, "alone")
