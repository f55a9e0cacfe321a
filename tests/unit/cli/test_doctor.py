"""`gcn doctor`: every failure is reported as a finding, none ends the command."""

import errno
import json
import os
import socket
import sys
from collections import namedtuple
from importlib import metadata

import pytest
from click.testing import CliRunner

from gcn_luigi.cli import cli
from gcn_luigi.errors import ConfigError
from tests.reference.servers import Mail, served


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Give the command in a directory without settings; what it chooses ends with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUIGI_CONFIG_PATH", "")
    monkeypatch.delenv("LUIGI_CONFIG_PATH")


def findings(*options, code=0):
    """Return what the command found, by name."""
    result = CliRunner().invoke(cli, ["doctor", "--json", *options])
    assert result.exit_code == code, result.output
    return {finding["what"]: finding for finding in json.loads(result.stdout)}


def test_a_sound_machine_is_reported_line_by_line_and_nothing_is_left(tmp_path):
    result = CliRunner().invoke(cli, ["doctor", "--output", str(tmp_path / "not/there/yet")])

    assert result.exit_code == 0, result.output
    assert "broken" not in result.output
    assert all(name in result.output for name in ("numpy", "GDAL of rasterio", "HDF5", "kernels", "luigi.cfg"))
    assert list(tmp_path.iterdir()) == []


def test_a_finding_has_four_keys_and_whatever_is_not_ok_says_what_to_do():
    found = findings().values()

    assert {frozenset(finding) for finding in found} == {frozenset({"what", "found", "verdict", "fix"})}
    assert {finding["verdict"] for finding in found} <= {"ok", "look", "broken"}
    assert all(finding["fix"] for finding in found if finding["verdict"] != "ok")


def test_a_library_that_is_missing_or_too_old_is_broken(monkeypatch):
    real = metadata.version

    def version(name):
        if name == "scipy":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "numpy" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = findings(code=1)

    assert found["scipy"]["found"].startswith("not installed; >=")
    assert found["numpy"]["found"].startswith("0.1; >=")
    assert {what for what, finding in found.items() if finding["verdict"] == "broken"} == {"scipy", "numpy"}


def test_a_kernel_that_does_not_load_is_named_and_the_other_checks_go_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcn_luigi._core.legacy", None)

    found = findings(code=1)

    assert "gcn_luigi._core.legacy" in found["kernels"]["found"]
    assert found["scheduler"]


def test_a_codec_whose_library_is_missing_is_not_broken(monkeypatch):
    def check(codec):
        if codec == "zstd":
            raise ConfigError("no library", where="shards.codec", fix="pip install zstandard")

    monkeypatch.setattr("gcn_luigi.io.shard.codecs.check_codec", check)

    found = findings()

    assert found["codec deflate"]["found"] == "available"
    assert found["codec zstd"]["found"].endswith("stored with it: pip install zstandard")


@pytest.mark.parametrize(("free", "verdict"), [(10**8, "broken"), (5 * 10**9, "look"), (10**12, "ok")])
def test_room_is_reported(monkeypatch, free, verdict):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  as shutil's
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**13, 0, free))

    assert findings(code=int(verdict == "broken"))["disk"]["verdict"] == verdict


def test_a_place_that_cannot_be_written_is_broken(monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)

    assert "Permission denied" in findings(code=1)["disk"]["found"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("[core]\nautoload_range = maybe\n", "neither true nor false"), ("[corre]\nx = 1\n", "corre"), ("no section", "")],
)
def test_settings_that_luigi_would_not_hear_are_broken(tmp_path, text, said):
    (tmp_path / "luigi.cfg").write_text(text)

    finding = findings(code=1)["luigi.cfg"]

    assert finding["verdict"] == "broken"
    assert said in finding["found"]
    assert finding["fix"]


def test_settings_that_are_named_and_not_there_are_broken(monkeypatch):
    monkeypatch.setenv("LUIGI_CONFIG_PATH", "gone.cfg")

    assert "gone.cfg" in findings(code=1)["luigi.cfg"]["found"]


def test_a_port_that_another_program_holds_is_reported():
    for _ in range(5):
        with served(Mail) as port:
            held = findings("--port", str(port))["scheduler"]
        free = findings("--port", str(port))["scheduler"]
        # Any program may take the port in between.
        if free["verdict"] == "ok":
            break

    assert (held["verdict"], free["verdict"]) == ("look", "ok")
    assert "another program" in held["found"]


@pytest.mark.parametrize(("own", "verdict"), [(True, "ok"), (False, "look")])
def test_whose_scheduler_answers_is_reported(monkeypatch, own, verdict):
    monkeypatch.setattr("gcn_luigi.operate.luigid.answers", lambda _: True)
    monkeypatch.setattr("gcn_luigi.luigi_host.trust.is_own", lambda _: own)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        found = findings("--port", str(holder.getsockname()[1]))

    assert found["scheduler"]["verdict"] == verdict
