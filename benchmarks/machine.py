"""The machine in words, the versions of libraries, and how much of the machine a process may use."""

import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import rasterio

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLOSC_NTHREADS")
_PACKAGES = ("gcn-luigi", "numpy", "rasterio", "h5py", "deflate", "hdf5plugin", "luigi", "torch")


def limited_environment() -> dict[str, str]:
    """Return this environment with one thread for every library that asks it; set before a process starts."""
    return {**os.environ, **dict.fromkeys(_THREADS, "1")}


def pin(cores: int) -> None:
    """Let this process and its future threads run on the last `cores` of the cores it has."""
    mine = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(mine[-cores:]))


def described(directory: Path) -> dict[str, Any]:
    """Return what kind of machine this is, without its name.

    Parameters
    ----------
    directory : Path
        Whose file system is told.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "virtual": "hypervisor" in _cpuinfo("flags").split(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "file_system": _file_system(directory),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(names: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Return the versions of the libraries that are there, and of GDAL and HDF5."""
    found = {"GDAL": rasterio.__gdal_version__, "HDF5": h5py.version.hdf5_version}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class Bystanders:
    """How much of the machine other programs use from now on."""

    def __init__(self) -> None:
        self._busy, self._own, self._start = self._read()

    def cores(self) -> float:
        """Return how many cores, on average, were busy with what neither this process nor its children did."""
        busy, own, now = self._read()
        return max(0.0, (busy - self._busy) - (own - self._own)) / (now - self._start)

    @staticmethod
    def _read() -> tuple[float, float, float]:
        machine, own = psutil.cpu_times(), os.times()
        busy = machine.user + machine.nice + machine.system + getattr(machine, "steal", 0.0)
        return busy, own.user + own.system + own.children_user + own.children_system, time.perf_counter()


def peak_mb() -> float:
    """Return the most memory this process ever had in use, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float(np.nan)


def _processor() -> str:
    return _cpuinfo("model name") or platform.machine()


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == key), "")


def _file_system(directory: Path) -> str:
    inside = [part for part in psutil.disk_partitions(all=True) if directory.resolve().is_relative_to(part.mountpoint)]
    return max(inside, key=lambda part: len(part.mountpoint)).fstype if inside else "unknown"
