"""Lay out the source tree of gcn-luigi-reader: the modules that read a dataset, their kernels, and a pyproject.toml.

Run: python packaging/reader/lay_out.py DIRECTORY
Then: python -m build DIRECTORY, or pip install DIRECTORY
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What builds, checks or exports a dataset, and so needs more libraries than reading does.
LEFT_OUT = (
    "cli",
    "operate",
    "report",
    "stages",
    "synthetic",
    "tasks",
    "luigi_host",
    "command.py",
    "config.py",
    "params.py",
    "settings",
    "demo.toml",
    "luigi.cfg",
    "io/raster",
    "io/gdal.py",
    "io/tables.py",
    "io/inputs/matching.py",
    "io/inputs/scan.py",
    "io/inputs/source_states.py",
    "io/inputs/vector.py",
    "read/checks",
    "read/export",
    "read/validate.py",
    "prepare/chips/duplicates.py",
    "prepare/chips/metadata.py",
    "prepare/chips/selection.py",
    "prepare/layers",
    "prepare/missing/legacy.py",
    "prepare/outlines",
    "prepare/partitions",
    "prepare/split/blocks.py",
    "prepare/split/leakage.py",
    "prepare/split/split.py",
    "prepare/statistics",
)
# Copied whole: what is compiled, and how.
WHOLE = ("_ext", "setup.py", "LICENSE")
# Tests that need none of what is left out. They run on each wheel.
TESTS = (
    "__init__.py",
    "conftest.py",
    "property/test_filters.py",
    "property/test_repeats.py",
    "property/test_transforms.py",
    "reference",
    "unit/io/shard/test_flipped_chunks.py",
    "unit/io/test_parallel.py",
    "unit/prepare/chips/test_gather.py",
    "unit/read/test_buffers.py",
    "unit/read/test_label_mapping.py",
    "unit/read/test_normalise.py",
    "unit/read/test_row_cache.py",
    "unit/read/test_sampling.py",
    "unit/test_bands.py",
    "unit/test_kernels.py",
    "unit/test_lattice.py",
)


def lay_out(target: Path) -> None:
    """Copy the reader's part of this tree into `target`, which must not exist."""
    target.mkdir(parents=True)
    for name in WHOLE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, target / name)
    for name in ("pyproject.toml", "README.md", "MANIFEST.in"):
        shutil.copy2(HERE / name, target / name)
    package = ROOT / "gcn_luigi"
    for path in sorted(package.rglob("*")):
        place = path.relative_to(package).as_posix()
        is_left_out = any(place == name or place.startswith(f"{name}/") for name in LEFT_OUT)
        if path.suffix not in {".py", ".pyi", ".typed"} or is_left_out:
            continue
        (target / "gcn_luigi" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target / "gcn_luigi" / place)
    for name in TESTS:
        place = target / "tests" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / "tests" / name).is_dir() else shutil.copy2
        copy(ROOT / "tests" / name, place)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lay_out(Path(sys.argv[1]))
