"""`gcn doctor`: check whether this machine has everything that a build needs."""

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from operator import attrgetter
from pathlib import Path
from typing import get_args

import click

from gcn_luigi.cli.options import LOCAL_PATH, output_option
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.luigi_host.cfg_files import choose_cfg, find_files
from gcn_luigi.version import __version__

_KERNELS = ("counts", "filters", "histogram", "legacy", "nodata", "repeats", "windows")
# Two packages read rasters and vectors, each with its own GDAL.
_C_LIBRARIES = {
    "GDAL of rasterio": ("rasterio", "__gdal_version__"),
    "GDAL of pyogrio": ("pyogrio", "__gdal_version_string__"),
    "HDF5": ("h5py", "version.hdf5_version"),
}
_GB = 1_000_000_000
_LITTLE, _LEAST = 20 * _GB, _GB // 2
# Seconds.
_SLOW_S = 5.0
_COLORS = {"ok": "green", "look": "yellow", "broken": "red"}


@dataclass(frozen=True)
class Finding:
    """One line: what was checked, what was found, the verdict (ok, look, broken), and how to fix it."""

    what: str
    found: str
    verdict: str = "ok"
    fix: str = ""


Check = Callable[[], Iterator[Finding]]


@click.command()
@output_option
@click.option("--port", default=8082, show_default=True, type=click.IntRange(1, 65535), help="The scheduler's port.")
@click.option("--shared", type=LOCAL_PATH, metavar="DIR", help="Try instead whether machines can share DIR; see --on.")
@click.option(
    "--on", "count", type=click.IntRange(2), metavar="N", help="With --shared: on how many machines the command runs."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object per finding.")
def doctor(*, output: Path, port: int, shared: Path | None, count: int | None, as_json: bool) -> None:
    """Check whether this machine has what a build needs: libraries, kernels, codecs, disk, settings, scheduler.

    Each line gives a verdict (ok, look, or broken), what was checked, and what was found. If something needs fixing,
    the next line says how. The exit code is 1 if something is broken. The command leaves no trace: it writes a hidden
    file to the output directory, or to the nearest directory above it that exists, and removes it again.

    With --shared it tries what several machines see of each other on a disk: locks, new and replaced files, clocks. It
    must run on all of them at the same time.

    JSON keys of a finding: what, found, verdict (ok, look, broken), fix.

    \b
    Example:
      gcn doctor --output /data/gcn
      srun --nodes 2 gcn doctor --shared /scratch/me/gcn --on 2
    """  # noqa: D301  click reads the control character
    if (shared is None) != (count is None):
        raise click.UsageError("--shared and --on belong together: the directory, and the number of machines")
    checks: dict[str, Check] = {
        "libraries": check_libraries,
        "kernels": check_kernels,
        "codecs": check_codecs,
        "disk": lambda: check_disk(output),
        "luigi.cfg": check_luigi_cfg,
        "scheduler": lambda: check_port(port),
    }
    if shared is not None and count is not None:
        checks = {"shared disk": lambda: check_shared_disk(shared, count)}
    findings = run_checks(checks)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            verdict = click.style(f"{finding.verdict:6}", fg=_COLORS[finding.verdict])
            click.echo(f"{verdict}  {finding.what:{width}}  {finding.found}")
            if finding.fix:
                click.echo(f"{'':6}  {'':{width}}  fix: {finding.fix}")
    if any(finding.verdict == "broken" for finding in findings):
        sys.exit(1)


def run_checks(checks: dict[str, Check]) -> list[Finding]:
    """Return the findings of all checks in their order; an error in a check becomes a finding."""
    findings: list[Finding] = []
    for what, check in checks.items():
        try:
            findings += check()
        except GcnLuigiError as error:
            findings.append(Finding(what, f"{error.what} ({error.where})", "broken", error.fix))
        # A broken library may raise anything, and the other checks still have to run.
        except Exception as error:  # noqa: BLE001
            found = f"cannot be checked: {type(error).__name__}: {' '.join(str(error).split())}"
            findings.append(Finding(what, found, "broken", "reinstall the package named here; in a checkout: make dev"))
    return findings


def check_libraries() -> Iterator[Finding]:
    """Compare the version of every required library with the required one, and list the C libraries' versions."""
    from packaging.requirements import Requirement  # noqa: PLC0415

    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield Finding("gcn_luigi", __version__)
    for text in sorted(metadata.requires("gcn-luigi") or ()):
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        version = _version(wanted.name)
        if version is not None and wanted.specifier.contains(version, prereleases=True):
            yield Finding(wanted.name, version)
        else:
            install = f"pip install --upgrade '{wanted.name}{wanted.specifier}'"
            yield Finding(wanted.name, f"{version or 'not installed'}; {wanted.specifier} is needed", "broken", install)
    for name, (module, attribute) in _C_LIBRARIES.items():
        yield Finding(name, attrgetter(attribute)(import_module(module)))


def check_kernels() -> Iterator[Finding]:
    """Load every compiled kernel, and name the instruction sets that its loops use on this machine."""
    for name in _KERNELS:
        import_module(f"gcn_luigi._core.{name}")
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text(encoding="utf-8").split() if cpu.is_file() else []
    sets = [name for name in ("avx2", "avx512f") if name in flags]
    yield Finding("kernels", f"{len(_KERNELS)} loaded, on {platform.machine()} with {' and '.join(sets) or 'no AVX2'}")


def check_codecs() -> Iterator[Finding]:
    """Try the codecs of shards; codecs that need an extra library are optional, and so is every extra."""
    from gcn_luigi.io.shard.codecs import check_codec  # noqa: PLC0415
    from gcn_luigi.settings import Codec  # noqa: PLC0415

    for codec in get_args(Codec):
        try:
            check_codec(codec)
        except GcnLuigiError as error:
            yield Finding(
                f"codec {codec}", f"not available; needed only for datasets that are stored with it: {error.fix}"
            )
        else:
            yield Finding(f"codec {codec}", "available")
    yield Finding(
        "torch", _version("torch") or "not installed; needed only for gcn_luigi.read.torch: pip install torch"
    )
    missing = [name for name in ("xarray", "zarr", "h5netcdf") if not _version(name)]
    needed = f"{', '.join(missing)} not installed; needed only for such sources: pip install 'gcn-luigi[cubes]'"
    yield Finding("Zarr and netCDF", needed if missing else "available")
    needed = "not installed; needed only for gcn autocorrelation: pip install 'gcn-luigi[variogram]'"
    yield Finding("variograms", f"GSTools {_version('gstools')}" if _version("gstools") else needed)
    needed = "not installed; needed only to read datasets from stores: pip install 'gcn-luigi[remote]'"
    yield Finding("object stores", f"obstore {_version('obstore')}" if _version("obstore") else needed)


def check_disk(output: Path) -> Iterator[Finding]:
    """Check that the output directory, or the nearest one above it that exists, is writable and has enough space."""
    place = next(path for path in (output.absolute(), *output.absolute().parents) if path.is_dir())
    try:
        with tempfile.NamedTemporaryFile(prefix=".gcn-doctor-", dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        fix = "give this user the right to write there, or choose another --output"
        yield Finding("disk", f"{place}: {error.strerror}", "broken", fix)
        return
    fix = "choose another --output, or free some space; `gcn plan REGION` says how large a dataset will be"
    verdict = "broken" if free < _LEAST else "look" if free < _LITTLE else "ok"
    yield Finding("disk", f"{free / _GB:,.1f} GB free at {place}", verdict, "" if verdict == "ok" else fix)


def check_luigi_cfg() -> Iterator[Finding]:
    """Check Luigi's settings as `gcn run` does."""
    # The user's own settings are checked. The shipped settings are chosen afterwards: Luigi cannot be loaded without.
    files = find_files(os.environ, Path.cwd())
    choose_cfg()
    import gcn_luigi.tasks  # noqa: PLC0415
    from gcn_luigi.luigi_host.cfg_check import check_files  # noqa: PLC0415

    del gcn_luigi
    check_files(files)
    yield Finding("luigi.cfg", ", ".join(map(str, files)) or "none found: gcn uses the one it ships")


def check_shared_disk(directory: Path, count: int) -> Iterator[Finding]:
    """Say what this machine sees of a disk that `count` machines try at the same time."""
    from gcn_luigi.io.publish.filesystems import file_system_of  # noqa: PLC0415
    from gcn_luigi.io.publish.shared_disk import try_shared_disk  # noqa: PLC0415

    seen, system = try_shared_disk(directory, count), file_system_of(directory)
    yield Finding("shared disk", f"{system.kind or 'file system of unknown kind'}: {', '.join(seen.machines)}")
    if seen.locks_hold is None:
        yield Finding("locks", "held here; the other machines say whether they see it")
    elif seen.locks_hold:
        yield Finding("locks", "a lock of another machine is seen")
    else:
        fix = "mount with locks that hold on all machines (NFS: without nolock and local_lock; Lustre: with flock)"
        found = "a lock of another machine is not seen: temporary files of a lost machine stay for a day"
        yield Finding("locks", found, "look", fix)
    slow = seen.lag_s > _SLOW_S
    fix = "nothing has to be done: tasks wait for files of other machines, up to 90 s" if slow else ""
    found = f"new files of another machine are seen after {seen.lag_s:.2f} s"
    yield Finding("files", found, "look" if slow else "ok", fix)
    if seen.n_first != 1:
        fix = "do not build on several machines here: this file system does not create files exclusively (O_EXCL)"
        yield Finding("creation", f"{seen.n_first} machines created one and the same file first", "broken", fix)
    off = abs(seen.clock_s) > _SLOW_S
    fix = "set the clocks by NTP; builds do not depend on them, but times on pages do" if off else ""
    yield Finding("clock", f"{seen.clock_s:+.2f} s against the disk", "look" if off else "ok", fix)


def check_port(port: int) -> Iterator[Finding]:
    """Say whether the scheduler's port is free, or who is using it."""
    from gcn_luigi.luigi_host.trust import is_own  # noqa: PLC0415
    from gcn_luigi.operate.luigid import answers, free_port  # noqa: PLC0415

    if free_port(port) == port:
        yield Finding("scheduler", f"port {port} is free: gcn run starts a scheduler there")
    elif answers(port) and is_own(port):
        yield Finding("scheduler", f"a scheduler of yours answers on port {port}: gcn run uses it")
    else:
        holder = "another user's scheduler" if answers(port) else "another program"
        fix = (
            "gcn run needs no fix, because it takes another port; give luigid another --port. Never use another user's "
            "scheduler"
        )
        yield Finding("scheduler", f"{holder} is using port {port}", "look", fix)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
