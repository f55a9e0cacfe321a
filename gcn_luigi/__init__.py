"""Training chips for glacier-cover networks: one Luigi graph from STEM tiles to HDF5 shards."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gcn_luigi.version import __version__

if TYPE_CHECKING:
    import os

    from gcn_luigi.bands import Band, BandSchema, Role
    from gcn_luigi.errors import (
        ConfigError,
        GcnLuigiError,
        InputError,
        LatticeError,
        PublishError,
        ResourceError,
        SchedulerError,
        ShardError,
        StoreError,
    )
    from gcn_luigi.prepare.missing.fill import Flag
    from gcn_luigi.read.dataset import Dataset
    from gcn_luigi.read.reader import ChipReader

# Loaded on first use, so that `import gcn_luigi` alone stays fast.
_MODULES = {
    "gcn_luigi.bands": ("Band", "BandSchema", "Role"),
    "gcn_luigi.errors": (
        "ConfigError", "GcnLuigiError", "InputError", "LatticeError", "PublishError", "ResourceError",
        "SchedulerError", "ShardError", "StoreError",
    ),
    "gcn_luigi.prepare.missing.fill": ("Flag",),
    "gcn_luigi.read.dataset": ("Dataset",),
    "gcn_luigi.read.reader": ("ChipReader",),
}  # fmt: skip
_PLACES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Band", "BandSchema", "ChipReader", "ConfigError", "Dataset", "Flag", "GcnLuigiError", "InputError",
    "LatticeError", "PublishError", "ResourceError", "Role", "SchedulerError", "ShardError", "StoreError",
    "__version__", "open_dataset",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'gcn_luigi' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def open_dataset(directory: "str | os.PathLike[str]", *, cache: "str | os.PathLike[str] | None" = None) -> "Dataset":
    """Open a finished dataset.

    Parameters
    ----------
    directory : path-like
        ``<output>/<region>``, where ``dataset.json`` is, or its address in a store: ``s3://bucket/region``,
        ``gs://bucket/region`` or ``https://server/region``. Addresses need the extra ``remote``.
    cache : path-like, optional
        A directory on this machine in which whole files of a store are kept, so that they are fetched once. Without
        it, each batch is read from the store.

    Returns
    -------
    Dataset
        With ``chip_table``, ``partition_table``, ``statistics``, ``bands`` and ``chips(split)``.

    Raises
    ------
    ShardError
        `directory` holds no finished dataset.
    ConfigError
        The address cannot be read, or obstore is not installed.
    StoreError
        The store cannot be reached, or does not permit reading.
    """
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415

    return Dataset(directory, cache=cache)
