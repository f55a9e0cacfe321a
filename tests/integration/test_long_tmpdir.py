"""Where the path of TMPDIR is too long for the sockets by which workers are started."""

import multiprocessing
import socket

import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.luigi_host import worker as process
from tests.integration.commands import make_tiny


def test_workers_are_started_with_a_temporary_directory_that_holds_no_socket(commands, tmp_path):
    tiny = make_tiny(tmp_path)
    deep = tmp_path / ("t" * 60) / ("u" * 50)
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(OSError, match="too long"):
        one.bind(str(deep / "listener"))

    ended = commands.start(
        "gcn", "plan", tiny.config / "tiny.toml", "--quick", "--output", tmp_path / "out", TMPDIR=str(deep)
    ).wait()

    assert ended.code == 0, ended.text
    assert "train: " in ended.out
    assert list(deep.iterdir()) == []


def test_where_no_other_place_is_left_it_is_said_so(monkeypatch):
    monkeypatch.setattr(process, "_SHORT_PLACES", ())
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", "/" + "t" * 100)

    with pytest.raises(ConfigError, match="too long for the sockets") as caught:
        process.use_short_sockets.__wrapped__()

    assert caught.value.where == f"TMPDIR=/{'t' * 100}"
    assert "shorter" in caught.value.fix


def test_a_short_temporary_directory_is_left_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    before = dict(multiprocessing.current_process()._config)

    process.use_short_sockets.__wrapped__()

    assert multiprocessing.current_process()._config == before
    assert list(tmp_path.iterdir()) == []
