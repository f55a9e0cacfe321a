"""Write the manifest of a dataset: all files with size and digest, what they were made from, and its own digest."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rasterio

from gcn_luigi.io.publish.manifest import DATA_DIGEST, ManifestEntry, data_digest, manifest_text
from gcn_luigi.settings import RegionSettings
from gcn_luigi.version import __version__

# Version 2 added a digest of the rest, version 3 a digest of the data only.
FORMAT = "gcn_luigi dataset 3"
_LIBRARIES = ("luigi", "numpy", "h5py", "rasterio", "geopandas", "pyarrow", "pyogrio", "shapely", "deflate")
# Libraries for codecs other than deflate.
_OF_CODEC: Mapping[str, tuple[str, ...]] = MappingProxyType({"bitshuffle-lz4": ("hdf5plugin",), "zstd": ("zstandard",)})


def write_manifest(
    settings: RegionSettings, files: Sequence[ManifestEntry], fingerprints: Mapping[str, str], out: Path
) -> None:
    """Write ``dataset.json``; `gcn_luigi.io.publish.manifest` defines its text.

    It contains the full configuration without the location of the sources. `files` are all files of the dataset, and
    `fingerprints` those of its tasks, which cover settings and sources.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "region": settings.region,
        DATA_DIGEST: data_digest(files),
        "files": [asdict(file) for file in sorted(files)],
        "configuration": settings.model_dump(mode="json", exclude={"data_root"}),
        "fingerprints": dict(fingerprints),
        "versions": versions(settings),
    }
    out.write_text(manifest_text(content), encoding="utf-8")


def versions(settings: RegionSettings) -> dict[str, str]:
    """Return the versions of the software that makes a dataset, by name: this package, Python, GDAL and libraries."""
    return {
        "gcn_luigi": __version__,
        "python": platform.python_version(),
        "gdal": rasterio.__gdal_version__,
        **{name: version(name) for name in (*_LIBRARIES, *_OF_CODEC.get(settings.shards.codec, ()))},
        **({"gstools": version("gstools")} if settings.evaluation.autocorrelation else {}),
    }
