"""`gcn doctor`: every failure is told as a finding, none ends the command."""

import errno
import fcntl
import json
import os
import socket
import sys
from collections import namedtuple
from importlib import metadata

import pytest
from click.testing import CliRunner

from gcn_luigi.cli import cli
from gcn_luigi.cli.doctor import PROBES, place, process, software
from gcn_luigi.cli.doctor.finding import Finding, Surroundings, Verdict, examine
from gcn_luigi.errors import ConfigError
from tests.reference.servers import Mail, served


@pytest.fixture
def around(tmp_path):
    return Surroundings(tmp_path, 8082, {}, tmp_path)


def _one(findings, what):
    (found,) = [finding for finding in findings if finding.what == what]
    return found


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Give the command in a directory without settings; what it chooses ends with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUIGI_CONFIG_PATH", "")
    monkeypatch.delenv("LUIGI_CONFIG_PATH")


@pytest.mark.usefixtures("elsewhere")
def test_a_sound_machine_is_told_line_by_line_and_nothing_is_left(tmp_path):

    result = CliRunner().invoke(cli, ["doctor", "--output", str(tmp_path / "not/there/yet")])

    assert result.exit_code == 0, result.output
    assert "broken" not in result.output
    assert all(name in result.output for name in ("numpy", "GDAL of rasterio", "HDF5", "kernels", "luigi.cfg"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("elsewhere")
def test_json_is_all_that_is_written():
    result = CliRunner().invoke(cli, ["doctor", "--json"])

    said = json.loads(result.stdout)
    assert {frozenset(finding) for finding in said} == {frozenset({"what", "found", "verdict", "fix"})}
    assert {finding["verdict"] for finding in said} <= {"ok", "look", "broken"}
    # Whatever is not ok says what to do.
    assert all(finding["fix"] for finding in said if finding["verdict"] != "ok")


@pytest.mark.parametrize("name", [name for name, _ in PROBES])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("lost\nits way"),
        ImportError("no such"),
        ConfigError("misspelt", where="here", fix="write it right"),
    ],
)
def test_a_probe_that_fails_is_a_finding_and_the_others_go_on(around, name, error):
    def failing(_):
        raise error

    def sound(_):
        yield Finding("x", "y")

    findings = examine([(one, failing if one == name else sound) for one, _ in PROBES], around)

    assert len(findings) == len(PROBES)
    broken = _one(findings, name)
    assert broken.verdict is Verdict.BROKEN
    assert broken.fix == getattr(error, "fix", "mend what is named here, then look again")
    assert "\n" not in broken.found


def test_something_broken_ends_with_1(monkeypatch):
    # The command bears the name of its package.
    package = sys.modules["gcn_luigi.cli.doctor"]
    monkeypatch.setattr(package, "PROBES", (("x", lambda _: iter([Finding("x", "y", Verdict.BROKEN)])),))

    assert CliRunner().invoke(cli, ["doctor"]).exit_code == 1


def test_a_library_that_is_missing_or_too_old_is_broken(around, monkeypatch):
    real = metadata.version

    def version(name):
        if name == "scipy":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "numpy" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    findings = list(software.probe_libraries(around))

    assert _one(findings, "scipy").found.startswith("not installed; >=")
    assert _one(findings, "numpy").found.startswith("0.1; >=")
    assert {f.what for f in findings if f.verdict is Verdict.BROKEN} == {"scipy", "numpy"}


def test_a_kernel_that_does_not_load_is_named_with_the_reason(around, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcn_luigi._core.legacy", None)

    (found,) = software.probe_kernels(around)

    assert found.verdict is Verdict.BROKEN
    assert found.found.startswith("legacy: ")


def test_a_kernel_that_computes_wrongly_is_found(around, monkeypatch):
    monkeypatch.setattr("gcn_luigi.io.shard.codecs.unshuffled", lambda _stored, out: out * 0)

    (found,) = software.probe_kernels(around)

    assert (found.verdict, found.found) == (Verdict.BROKEN, "compute wrong results")


@pytest.mark.parametrize(
    ("flags", "said"),
    [("fpu sse2", "loops for any"), ("sse2 avx2", "loops in AVX2"), ("avx2 avx512f", "copies in AVX-512")],
)
def test_the_instruction_set_is_what_the_loader_picks(tmp_path, flags, said):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")

    (found,) = software.probe_kernels(Surroundings(tmp_path, 1, root=tmp_path))

    assert said in found.found


@pytest.mark.parametrize(("lost", "verdict"), [("GPKG", Verdict.BROKEN), ("FlatGeobuf", Verdict.LOOK)])
def test_a_driver_that_is_missing_is_named(around, monkeypatch, lost, verdict):
    import pyogrio  # noqa: PLC0415

    known = {name: mode for name, mode in pyogrio.list_drivers().items() if name != lost}
    monkeypatch.setattr(pyogrio, "list_drivers", lambda: known)

    found = _one(software.probe_drivers(around), "vector drivers")

    assert (found.verdict, lost in found.found) == (verdict, True)


def test_projections_that_differ_are_broken(around, monkeypatch):
    monkeypatch.setattr("rasterio.warp.transform", lambda *_: ([float("nan")], [0.0]))

    (found,) = software.probe_projections(around)

    assert found.verdict is Verdict.BROKEN
    assert "PROJ_LIB" in found.fix


def test_what_is_optional_is_never_broken(around, monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)

    findings = list(software.probe_codecs(around))

    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert all("not installed" in finding.found for finding in findings)


@pytest.mark.parametrize(
    ("free", "verdict"), [(10**8, Verdict.BROKEN), (5 * 10**9, Verdict.LOOK), (10**12, Verdict.OK)]
)
def test_room_is_judged(around, monkeypatch, free, verdict):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  as shutil's
    monkeypatch.setattr(place.shutil, "disk_usage", lambda _: usage(10**13, 0, free))

    assert _one(place.probe_disk(around), "disk").verdict is verdict


def test_a_place_that_cannot_be_written_is_broken(around, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(place.tempfile, "mkdtemp", refuse)

    (found,) = place.probe_file_system(around)
    (clock,) = place.probe_clock(around)

    assert found.verdict is Verdict.BROKEN
    assert "Permission denied" in found.found
    assert clock.verdict is Verdict.LOOK


@pytest.mark.parametrize("lost", ["replaces", "locks", "keeps_times"])
def test_what_a_file_system_lacks_is_told(around, monkeypatch, lost):
    monkeypatch.setattr(place, lost, lambda _: False)

    (found,) = place.probe_file_system(around)

    assert found.verdict is (Verdict.BROKEN if lost == "replaces" else Verdict.LOOK)
    assert list(around.output.iterdir()) == []


def test_a_file_system_without_locks_is_noticed(monkeypatch, tmp_path):
    assert place.locks(tmp_path)

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert not place.locks(tmp_path)
    # Locks that keep nobody out are none.
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert not place.locks(tmp_path)


def test_times_that_are_rounded_are_noticed(tmp_path, monkeypatch):
    assert place.keeps_times(tmp_path)
    real = os.utime

    monkeypatch.setattr(os, "utime", lambda path, ns: real(path, ns=(ns[0] // 10**9 * 10**9,) * 2))

    assert not place.keeps_times(tmp_path)


def test_the_nearest_mount_decides_and_a_network_is_told(tmp_path):
    inner = tmp_path / "data set"
    (inner / "out").mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    spelt = str(inner).replace(" ", "\\040")
    (tmp_path / "proc/self/mounts").write_text(f"/dev/vda / ext4 rw 0 0\nhost:/x {spelt} nfs4 rw 0 0\n")
    around = Surroundings(inner / "out", 1, root=tmp_path)

    (found,) = place.probe_file_system(around)

    assert place.file_system(around) == "nfs4"
    assert found.verdict is Verdict.LOOK
    assert "is not on this machine" in found.found


@pytest.mark.parametrize(("now", "verdict"), [(86400.0, Verdict.BROKEN), (4e9, Verdict.LOOK), (None, Verdict.OK)])
def test_a_clock_that_is_off_is_told(around, monkeypatch, now, verdict):
    if now is not None:
        monkeypatch.setattr(place.time, "time", lambda: now)

    (found,) = place.probe_clock(around)

    assert found.verdict is verdict


def _memory_limited(tmp_path, limit, kills=0):
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (group / "memory.max").write_text(f"{limit}\n")
    (group / "memory.events").write_text(f"oom 1\noom_kill {kills}\n")
    return Surroundings(tmp_path, 1, root=tmp_path)


def test_a_control_group_that_allows_little_is_told_and_so_are_kills(tmp_path):
    findings = list(process.probe_memory(_memory_limited(tmp_path, 10**9, kills=3)))

    assert _one(findings, "memory").verdict is Verdict.LOOK
    assert "may hold 0.7 GB" in _one(findings, "memory").found
    assert _one(findings, "memory so far").found.startswith("3 processes")


def test_a_plain_fork_is_broken(around, monkeypatch):
    monkeypatch.setattr(process.multiprocessing, "get_start_method", lambda **_: "fork")

    (found,) = process.probe_start_method(around)

    assert found.verdict is Verdict.BROKEN


@pytest.mark.parametrize(
    ("text", "said"),
    [("[core]\nautoload_range = maybe\n", "neither true nor false"), ("[corre]\nx = 1\n", "corre"), ("no section", "")],
)
def test_settings_that_luigi_would_not_hear_are_broken(tmp_path, text, said):
    (tmp_path / "luigi.cfg").write_text(text)
    around = Surroundings(tmp_path, 1, {}, tmp_path)

    (found,) = examine([("luigi.cfg", process.probe_settings)], around)

    assert found.verdict is Verdict.BROKEN
    assert said in found.found
    assert found.fix


def test_settings_that_are_named_and_not_there_are_broken(tmp_path):
    around = Surroundings(tmp_path, 1, {"LUIGI_CONFIG_PATH": "gone.cfg"}, tmp_path)

    (found,) = examine([("luigi.cfg", process.probe_settings)], around)

    assert "gone.cfg" in found.found


def test_a_port_that_something_else_holds_is_told(tmp_path):
    with served(Mail) as port:
        (held,) = process.probe_port(Surroundings(tmp_path, port))
    (free,) = process.probe_port(Surroundings(tmp_path, port))

    assert (held.verdict, free.verdict) == (Verdict.LOOK, Verdict.OK)
    assert "something else" in held.found


@pytest.mark.parametrize(("own", "verdict"), [(True, Verdict.OK), (False, Verdict.LOOK)])
def test_whose_scheduler_answers_is_told(tmp_path, monkeypatch, own, verdict):
    monkeypatch.setattr("gcn_luigi.operate.luigid.answers", lambda _: True)
    monkeypatch.setattr("gcn_luigi.luigi_host.trust.is_own", lambda _: own)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        (found,) = process.probe_port(Surroundings(tmp_path, holder.getsockname()[1]))

    assert found.verdict is verdict


@pytest.mark.parametrize(
    ("environ", "verdict"),
    [
        ({}, Verdict.OK),
        ({"http_proxy": "http://p:1"}, Verdict.LOOK),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "localhost,127.0.0.1"}, Verdict.OK),
        ({"http_proxy": "http://p:1", "NO_PROXY": "*"}, Verdict.OK),
    ],
)
def test_proxies_between_worker_and_scheduler_are_told(tmp_path, environ, verdict):
    (found,) = process.probe_proxies(Surroundings(tmp_path, 1, environ))

    assert found.verdict is verdict


def test_another_encoding_is_told(around, monkeypatch):
    monkeypatch.setattr(process.sys, "getfilesystemencoding", lambda: "latin-1")

    (found,) = process.probe_locale(around)

    assert found.verdict is Verdict.LOOK
    assert "file names latin-1" in found.found
