"""Lay out the source tree of gcn-luigi-reader: the modules that read a dataset, their kernels, and a pyproject.toml.

Run: python packaging/reader/lay_out.py DIRECTORY
Then: python -m build DIRECTORY, or pip install DIRECTORY
"""

import ast
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What users of the reader import. What these modules import comes along, and nothing else.
OFFERED = (
    "gcn_luigi",
    "gcn_luigi.bands",
    "gcn_luigi.errors",
    "gcn_luigi.prepare.missing.fill",
    # The former place of Flag.
    "gcn_luigi.prepare.nodata",
    "gcn_luigi.read.applicability",
    "gcn_luigi.read.confidence",
    "gcn_luigi.read.dataset",
    "gcn_luigi.read.labels",
    "gcn_luigi.read.normalise",
    "gcn_luigi.read.prediction",
    "gcn_luigi.read.reader",
    "gcn_luigi.read.sampling",
    "gcn_luigi.read.torch",
    "gcn_luigi.read.torch.geo",
    "gcn_luigi.read.torch.lightning",
    "gcn_luigi.read.transforms",
    "gcn_luigi.read.xarray",
)
# What they import for types, or only for shapes, and reading does without.
DONE_WITHOUT = ("gcn_luigi.io.tables", "gcn_luigi.settings")
# Copied whole: what is compiled, and how.
WHOLE = ("_ext", "setup.py", "LICENSE")
# Tests that need none of what is left out. They run on each wheel.
TESTS = (
    "__init__.py",
    "conftest.py",
    "property/test_filters.py",
    "property/test_repeats.py",
    "property/test_transforms.py",
    "reference/__init__.py",
    "reference/filters.py",
    "unit/io/shard/test_flipped_chunks.py",
    "unit/io/test_parallel.py",
    "unit/prepare/chips/test_gather.py",
    "unit/read/test_buffers.py",
    "unit/read/test_label_mapping.py",
    "unit/read/test_memory.py",
    "unit/read/test_normalise.py",
    "unit/read/test_row_cache.py",
    "unit/read/test_sampling.py",
    "unit/test_bands.py",
    "unit/test_kernels.py",
    "unit/test_lattice.py",
)


def modules() -> dict[str, Path]:
    """Return the modules that `OFFERED` names and all that they import, with their packages."""
    files = {}
    for path in (ROOT / "gcn_luigi").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found, ahead = {}, list(OFFERED)
    while ahead:
        name = ahead.pop()
        if name in found or name in DONE_WITHOUT:
            continue
        found[name] = files[name]
        imported = _imported(files[name]) & files.keys()
        package = name.rpartition(".")[0]
        ahead += [*imported, *([package] if package else [])]
    return found


def _imported(path: Path) -> set[str]:
    """Return the names that a module imports. Those of functions count; a name may be a module or what is in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return names


def lay_out(target: Path) -> None:
    """Copy the reader's part of this tree into `target`, which must not exist."""
    target.mkdir(parents=True)
    for name in WHOLE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, target / name)
    for name in ("pyproject.toml", "README.md", "MANIFEST.in"):
        shutil.copy2(HERE / name, target / name)
    package = ROOT / "gcn_luigi"
    described = [*package.rglob("*.pyi"), *package.rglob("py.typed")]
    for path in sorted([*modules().values(), *described]):
        place = target / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
    for name in TESTS:
        place = target / "tests" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / "tests" / name, place)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lay_out(Path(sys.argv[1]))
