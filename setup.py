"""Build of the compiled kernels; everything else is in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

if sys.platform == "win32":
    # Files are locked as POSIX has it; the first import would fail.
    raise SystemExit("gcn-luigi runs on Linux and macOS. On Windows, install it in WSL, its subsystem for Linux.")

CHECKED = os.environ.get("GCN_LUIGI_CHECKED") == "1"
# Compiler flags of the sanitizers; the Makefile has them. Their build checks no index itself, so that they can.
SANITIZERS = os.environ.get("GCN_LUIGI_SANITIZED", "").split()

# One wheel for Python 3.11 and all that follow, for publishing. In a checkout Python would prefer kernels that an
# earlier build without it left there.
IS_ABI3 = os.environ.get("GCN_LUIGI_ABI3") == "1"

# Set here and nowhere else: a directive in a .pyx header would beat these,
# and the checked build could no longer turn bounds checks on.
DIRECTIVES = {
    "language_level": 3,
    "embedsignature": True,
    "cdivision": True,
    "boundscheck": CHECKED,
    "wraparound": False,
    "initializedcheck": CHECKED,
}

# Without fused multiply-add a sum has the same bits on every machine.
# The checked build also has the plain loops where the fast one has two versions, so both are tested.
FLAGS = ["-O1", "-g", "-DGCN_BASELINE"] if CHECKED else SANITIZERS or ["-O3"]

KERNELS = sorted(Path("_ext").glob("*.pyx"))
if not KERNELS:
    # An import of the package would fail, long after an installation that seemed to succeed.
    raise FileNotFoundError(f"no *.pyx in {Path('_ext').resolve()}: take a complete source tree")

EXTENSIONS = [
    Extension(
        f"gcn_luigi._core.{source.stem}",
        [str(source)],
        include_dirs=["_ext"],
        depends=sorted(str(header) for header in Path("_ext").glob("*.h")),
        extra_compile_args=[*FLAGS, "-ffp-contract=off"],
        extra_link_args=SANITIZERS,
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if IS_ABI3 else [],
        py_limited_api=IS_ABI3,
    )
    for source in KERNELS
]

setup(
    options={
        # Kernels do not depend on each other; as many are compiled at once as there are cores.
        "build_ext": {"parallel": True},
        **({"bdist_wheel": {"py_limited_api": "cp311"}} if IS_ABI3 else {}),
    },
    ext_modules=cythonize(
        EXTENSIONS,
        include_path=["_ext"],
        build_dir="build/cython-checked" if CHECKED else "build/cython",
        compiler_directives=DIRECTIVES,
    ),
)
