"""Probes of what is installed. Libraries are loaded in the probe: one that is broken is told like anything else."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import import_module, metadata

from gcn_luigi.cli.doctor.finding import Finding, Surroundings, Verdict
from gcn_luigi.version import __version__

_KERNELS = ("counts", "filters", "histogram", "legacy", "nodata", "repeats", "windows")
_OPTIONAL = {
    "hdf5plugin": ("codec bitshuffle-lz4", "pip install hdf5plugin"),
    "zstandard": ("codec zstd", "pip install zstandard"),
    "torch": ("gcn_luigi.read.torch", "pip install torch"),
}
# What is written or always read, and what some sources come in.
_RASTERS = (("GTiff", "VRT"), ("HFA", "JP2OpenJPEG", "AAIGrid"))
_VECTORS = (("GPKG",), ("ESRI Shapefile", "GeoJSON", "FlatGeobuf", "OpenFileGDB"))
_LEAST_PYTHON = (3, 11)


def probe_python(_: Surroundings) -> Iterator[Finding]:
    """Look at the interpreter and this package."""
    said = f"{platform.python_version()}, {sys.executable}"
    fits = sys.version_info[:2] >= _LEAST_PYTHON
    yield Finding("Python", said, *(() if fits else (Verdict.BROKEN, "use Python 3.11 or later")))
    yield Finding("gcn_luigi", __version__)
    system = platform.system()
    if system != "Linux":
        yield Finding("system", system, Verdict.LOOK, "builds are tested on Linux alone")


def probe_libraries(_: Surroundings) -> Iterator[Finding]:
    """Look at every library that is required, and at the C libraries below."""
    from packaging.requirements import Requirement  # noqa: PLC0415

    for text in sorted(metadata.requires("gcn-luigi") or ()):
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        install = f"pip install --upgrade '{wanted.name}{wanted.specifier}'"
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            yield Finding(wanted.name, f"not installed; {wanted.specifier} is needed", Verdict.BROKEN, install)
            continue
        if wanted.specifier.contains(found, prereleases=True):
            yield Finding(wanted.name, found)
        else:
            yield Finding(wanted.name, f"{found}; {wanted.specifier} is needed", Verdict.BROKEN, install)
    from gcn_luigi.io.publish.versions import c_libraries  # noqa: PLC0415

    for name, version in c_libraries().items():
        yield Finding(name, version)


def probe_kernels(surroundings: Surroundings) -> Iterator[Finding]:
    """Load the compiled kernels and let one of them compute."""
    lost = []
    for name in _KERNELS:
        try:
            import_module(f"gcn_luigi._core.{name}")
        except ImportError as error:
            lost.append(f"{name}: {error}")
    if lost:
        fix = "install a wheel for this machine and Python, or in a checkout: make dev"
        yield Finding("kernels", "; ".join(lost), Verdict.BROKEN, fix)
        return
    import numpy as np  # noqa: PLC0415

    from gcn_luigi.io.shard.codecs import shuffled, unshuffled  # noqa: PLC0415

    numbers = np.arange(-500, 500, dtype=np.int16)
    apart = shuffled(numbers)
    back = unshuffled(apart, np.empty_like(numbers))
    if apart.tobytes() != numbers.view(np.uint8).reshape(-1, 2).T.tobytes() or (back != numbers).any():
        yield Finding("kernels", "compute wrong results", Verdict.BROKEN, "build them anew on this machine")
        return
    yield Finding("kernels", f"{len(_KERNELS)} loaded, {_instructions(surroundings)}")


def probe_drivers(_: Surroundings) -> Iterator[Finding]:
    """Look which formats GDAL and Arrow know."""
    import pyarrow as pa  # noqa: PLC0415
    import pyogrio  # noqa: PLC0415
    from rasterio.env import Env  # noqa: PLC0415

    with Env() as env:
        rasters = set(env.drivers())
    vectors = set(pyogrio.list_drivers())
    for what, known, (needed, useful) in (
        ("raster drivers", rasters, _RASTERS),
        ("vector drivers", vectors, _VECTORS),
    ):
        lost, missed = ([name for name in names if name not in known] for names in (needed, useful))
        fix = "install rasterio and pyogrio from their wheels: pip install --force-reinstall rasterio pyogrio"
        if lost:
            yield Finding(what, f"missing: {', '.join(lost)}", Verdict.BROKEN, fix)
        elif missed:
            yield Finding(what, f"missing: {', '.join(missed)}: sources in them cannot be read", Verdict.LOOK, fix)
        else:
            yield Finding(what, ", ".join((*needed, *useful)))
    if pa.Codec.is_available("zstd"):
        yield Finding("Parquet", "with zstd")
    else:
        yield Finding("Parquet", "without zstd", Verdict.BROKEN, "pip install --force-reinstall pyarrow")


def probe_projections(_: Surroundings) -> Iterator[Finding]:
    """Reproject a point in each of the two PROJs: another program's settings may have hidden their database."""
    from pyproj import Transformer  # noqa: PLC0415
    from rasterio.warp import transform  # noqa: PLC0415

    fix = "unset PROJ_LIB, PROJ_DATA and GDAL_DATA: they point the wheels at another program's database"
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:3338", always_xy=True).transform(-150.0, 61.0)
    (x2,), (y2,) = transform("EPSG:4326", "EPSG:3338", [-150.0], [61.0])[:2]
    apart = max(abs(x - x2), abs(y - y2))
    # NaN compares False.
    if apart < 1.0:
        yield Finding("projections", "both PROJ databases are found and agree")
    else:
        yield Finding("projections", f"the two PROJ databases differ by {apart:g} m", Verdict.BROKEN, fix)


def probe_codecs(_: Surroundings) -> Iterator[Finding]:
    """Look at what is optional, without loading it."""
    for name, (use, fix) in _OPTIONAL.items():
        try:
            yield Finding(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, f"not installed; only {use} needs it: {fix}")


def _instructions(surroundings: Surroundings) -> str:
    """Return which of the loops that the kernels were compiled to the loader picks."""
    try:
        text = (surroundings.root / "proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "instruction set not known"
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    if "avx512f" in flags:
        return "loops in AVX2, copies in AVX-512"
    return "loops in AVX2" if "avx2" in flags else f"loops for any {platform.machine()}"
