"""Probes of what surrounds a build: memory, scheduler, Luigi's settings, proxies, locale."""

import locale
import multiprocessing
import socket
import sys
from collections.abc import Iterator

import psutil

from gcn_luigi.cli.doctor.finding import Finding, Surroundings, Verdict

_GB = 1_000_000_000
_LITTLE = 2 * _GB
_PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def probe_memory(surroundings: Surroundings) -> Iterator[Finding]:
    """Look what the machine, the control group and the shell allow."""
    from gcn_luigi.luigi_host.cgroup import allowed_bytes, oom_kills, own_limit  # noqa: PLC0415

    machine = psutil.virtual_memory()
    allowed, limit = allowed_bytes(surroundings.root), own_limit()
    said = (
        f"{machine.total / _GB:,.1f} GB in the machine, {machine.available / _GB:,.1f} GB free; a build may hold "
        f"{allowed / _GB:,.1f} GB"
    )
    if limit is not None:
        said += f", a process {limit / _GB:,.1f} GB (ulimit)"
    least = min(value for value in (allowed, machine.available, limit) if value is not None)
    if least < _LITTLE:
        yield Finding(
            "memory", said, Verdict.LOOK, "end other programs, raise the limit, or use --workers 1 --memory MB"
        )
    else:
        yield Finding("memory", said)
    if kills := oom_kills(surroundings.root):
        found = f"{kills} processes were ended for want of memory since this machine or control group started"
        yield Finding("memory so far", found, Verdict.LOOK, "fewer --workers, or a smaller --memory, leave room")


def probe_start_method(_: Surroundings) -> Iterator[Finding]:
    """Look how workers are started."""
    import gcn_luigi.tasks  # noqa: PLC0415

    del gcn_luigi
    method = multiprocessing.get_start_method(allow_none=True)
    if method == "fork":
        fix = "leave multiprocessing.set_start_method out, or use forkserver: a fork shares offsets of open files"
        yield Finding("start method", "fork: workers may read wrong pixels", Verdict.BROKEN, fix)
    else:
        yield Finding("start method", str(method))


def probe_settings(surroundings: Surroundings) -> Iterator[Finding]:
    """Read Luigi's settings as `gcn run` does."""
    from gcn_luigi.luigi_host.cfg_check import check_files  # noqa: PLC0415
    from gcn_luigi.luigi_host.cfg_files import find_files  # noqa: PLC0415

    files = find_files(surroundings.environ, surroundings.directory)
    check_files(files)
    yield Finding("luigi.cfg", ", ".join(map(str, files)) or "none found: gcn uses the one it ships")


def probe_port(surroundings: Surroundings) -> Iterator[Finding]:
    """Look what is at the scheduler's port."""
    from gcn_luigi.luigi_host.trust import is_own  # noqa: PLC0415
    from gcn_luigi.operate.luigid import LOOPBACK, answers  # noqa: PLC0415

    port = surroundings.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            pass
        else:
            yield Finding("scheduler", f"port {port} is free: gcn run starts a scheduler there")
            return
    if not answers(port):
        fix = "nothing to do: gcn run takes another port; luigid needs --port"
        yield Finding("scheduler", f"something else holds port {port}", Verdict.LOOK, fix)
    elif is_own(port):
        yield Finding("scheduler", f"a scheduler of yours answers at port {port}: gcn run uses it")
    else:
        fix = "nothing to do: gcn run starts its own; never point --scheduler-url at it"
        yield Finding("scheduler", f"another user's scheduler answers at port {port}", Verdict.LOOK, fix)


def probe_proxies(surroundings: Surroundings) -> Iterator[Finding]:
    """Look whether a proxy would stand between the worker and the scheduler on this machine."""
    named = sorted({name for name in _PROXIES if surroundings.environ.get(name)})
    direct = ",".join(surroundings.environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    if not named:
        yield Finding("proxies", "none set")
    elif "127.0.0.1" in direct or direct.strip(",") == "*":
        yield Finding("proxies", f"{', '.join(named)} set, not for 127.0.0.1")
    else:
        fix = "gcn run passes them by; for the luigi command: export no_proxy=127.0.0.1,localhost"
        yield Finding("proxies", f"{', '.join(named)} set, for 127.0.0.1, too", Verdict.LOOK, fix)


def probe_locale(_: Surroundings) -> Iterator[Finding]:
    """Look whether names with letters beyond ASCII can be read and shown."""
    names = {
        "file names": sys.getfilesystemencoding(),
        "files": locale.getpreferredencoding(do_setlocale=False),
        "output": getattr(sys.stdout, "encoding", None) or "unknown",
    }
    other = [f"{use} {name}" for use, name in names.items() if name.lower().replace("-", "") != "utf8"]
    if other:
        fix = "export LC_ALL=C.UTF-8 (or PYTHONUTF8=1)"
        yield Finding("locale", f"not UTF-8: {', '.join(other)}", Verdict.LOOK, fix)
    else:
        yield Finding("locale", "UTF-8")
