"""The files of an export: GeoTIFFs with styles, and the list of files that marks the directory as an export."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gcn_luigi.bands import LABEL_IGNORE, Band
from gcn_luigi.errors import ConfigError, GcnLuigiError, PublishError
from gcn_luigi.io.gdal import environment
from gcn_luigi.io.publish.atomic import sync, temporary_sibling
from gcn_luigi.io.raster.geotiff import open_geotiff
from gcn_luigi.io.raster.qgis_styles import confidence_style, flags_style, image_style, label_style, split_style
from gcn_luigi.io.shard.format import pixel_types
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.appearance import colour
from gcn_luigi.prepare.chips.mosaic import Planes
from gcn_luigi.prepare.missing.fill import MISSING, NO_CONFIDENCE, Flag
from gcn_luigi.read.dataset import Dataset

Layer = Literal["image", "label", "flags", "confidence"]
# The last one only of datasets that have it.
LAYERS: tuple[Layer, ...] = ("image", "label", "flags", "confidence")
LISTING = "export.json"
FORMAT = "gcn_luigi export 1"

# Suffixes of files that a GIS puts next to a file that it shows.
_BESIDE = (".aux.xml", ".ovr", ".msk", "-wal", "-shm", "-journal")
# If a pixel has one of these flags, some band of the image is missing.
_IMAGE_FLAGS = int(Flag.OPTICAL | Flag.TOPO | Flag.OUTSIDE | Flag.DISTANCE)


class ExportFiles:
    """Write the files of an export of `dataset` into a temporary directory, for the given layers."""

    def __init__(self, dataset: Dataset, directory: Path, layers: tuple[Layer, ...]) -> None:
        self._dataset, self._directory, self._layers, self._bands = dataset, directory, layers, dataset.bands
        nodata = dataset.description["configuration"]["nodata"]
        self._types = pixel_types(dataset.dtype, has_confidence=dataset.has_confidence)
        self._fill = int(nodata["fill"])
        # A mask marks missing pixels if the fill value may also be a valid value. With the published rule, missing
        # pixels may hold other values as well.
        self._is_masked = nodata["mode"] != "strict" or not all(_cannot_hold(band, self._fill) for band in self._bands)
        self._styles = {
            "image": image_style(
                self._bands,
                dataset.statistics["bands"],
                composite=dataset.description["configuration"].get("report", {}).get("composite") or (),
                masked=len(self._bands) if self._is_masked else 0,
            ),
            "label": label_style(dataset.classes),
            "flags": flags_style(has_confidence=dataset.has_confidence),
            "confidence": confidence_style(),
        }

    def write(self, name: str, lattice: Lattice, pieces: Iterable[tuple[Window, Planes]]) -> None:
        """Write the GeoTIFFs of one chip, partition or mosaic, and their styles.

        `name` is the name of the image; the names of other layers are appended to it. `pieces` are windows, one block
        tall and in row-major order, with their ``image``, ``label``, ``flags`` and, if the dataset has it,
        ``confidence``.
        """
        paths = {
            layer: self._directory / f"{name}{'' if layer == 'image' else f'_{layer}'}.tif" for layer in self._layers
        }
        for layer, path in paths.items():
            path.with_suffix(".qml").write_text(self._styles[layer], encoding="utf-8")
        with ExitStack() as stack:
            open_files = {
                layer: stack.enter_context(self._opened(layer, path, lattice)) for layer, path in paths.items()
            }
            for window, planes in pieces:
                for layer, file in open_files.items():
                    pixels = planes[layer].reshape(-1, window.height, window.width)
                    file.write(np.ascontiguousarray(pixels), window=window.ranges)
                if self._is_masked and "image" in open_files:
                    open_files["image"].write_mask(planes["flags"] & _IMAGE_FLAGS == 0, window=window.ranges)

    @contextmanager
    def _opened(self, layer: Layer, path: Path, lattice: Lattice) -> Iterator[Any]:
        """Yield a new GeoTIFF of a layer as a rasterio dataset, with units, descriptions, colours and readable tags."""
        names = [band.name for band in self._bands] if layer == "image" else [layer]
        nodata = {
            "image": None if self._is_masked else self._fill,
            "label": LABEL_IGNORE,
            "flags": None,
            "confidence": NO_CONFIDENCE,
        }[layer]
        with (
            environment(GDAL_TIFF_INTERNAL_MASK=True),
            open_geotiff(path, lattice, dtype=self._types[layer].name, nodata=nodata, names=names) as file,
        ):
            tags = {"AREA_OR_POINT": "Area", "gcn_luigi_dataset": self._dataset.digest}
            if layer == "image":
                file.units = [band.unit for band in self._bands]
                for number, band in enumerate(self._bands, 1):
                    if band.description:
                        file.update_tags(number, description=band.description)
            elif layer == "label":
                tags["classes"] = ", ".join(f"{each.value} {each.name}" for each in self._dataset.classes)
            elif layer == "flags":
                bits = Flag if self._dataset.has_confidence else MISSING
                tags["bits"] = ", ".join(f"{flag.value} {flag.name}" for flag in bits).lower()
            else:
                file.units = ["percent"]
            file.update_tags(**tags)
            if layer == "label":
                file.write_colormap(1, {each.value: (*colour(each.colour), 255) for each in self._dataset.classes})
            yield file

    def close(self, form: str, n_chips: int) -> dict[str, Any]:
        """Write the style of the footprints and the list of all files, and return the content of the list."""
        (self._directory / "footprints.qml").write_text(split_style(), encoding="utf-8")
        names = sorted(path.name for path in self._directory.iterdir())
        summary = {
            "format": FORMAT,
            "region": self._dataset.description["region"],
            "dataset": self._dataset.place,
            "digest": self._dataset.digest,
            "form": form,
            "crs": self._dataset.lattice.crs,
            "n_chips": n_chips,
            "n_rasters": sum(name.endswith(".tif") for name in names),
            "bytes": sum((self._directory / name).stat().st_size for name in names),
            "files": names,
        }
        (self._directory / LISTING).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        return summary


@contextmanager
def published(dataset: Dataset, out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary directory to write, and move it onto `out` if the block succeeds.

    `out` must not exist, must be empty or, with `overwrite`, must be an earlier export without other files. Nothing is
    written into the directory of `dataset`.

    Raises
    ------
    ConfigError
        `out` is anything else.
    PublishError
        The file system refuses a file.
    """
    final = out.absolute()
    if not dataset.shards.is_far and final.resolve().is_relative_to(dataset.paths.root):
        raise ConfigError("is within the dataset", where=str(out), fix="name a directory outside the dataset")
    old = _earlier_files(final, overwrite=overwrite)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with temporary_sibling(final) as directory:
            directory.mkdir()
            yield directory
            for path in (*directory.iterdir(), directory):
                sync(path)
            # Files that a reader of the old export has open stay complete. The directory is emptied, then replaced.
            for path in old:
                path.unlink(missing_ok=True)
            directory.replace(final)
            sync(final.parent)
    except OSError as error:
        if isinstance(error, GcnLuigiError):
            raise
        raise PublishError(
            f"could not be written: {error.strerror or error}", where=str(out), fix="check free space and permissions"
        ) from error


def _earlier_files(final: Path, *, overwrite: bool) -> list[Path]:
    """Return the files to replace: those of an earlier export, and those that a GIS put next to them."""
    if not final.exists() and not final.is_symlink():
        return []
    if final.is_symlink() or not final.is_dir():
        raise ConfigError(
            "something already exists there", where=str(final), fix="name a directory that does not exist"
        )
    found = sorted(final.iterdir())
    if not found:
        return []
    listed = _listed(final / LISTING)
    if listed is None:
        raise ConfigError(
            "holds files that are not an export",
            where=str(final),
            fix="name a directory that does not exist or is empty",
        )
    if not overwrite:
        raise ConfigError(
            "already holds an export", where=str(final), fix="use --overwrite to replace it, or name another directory"
        )
    allowed = {*listed, LISTING}
    other = [path.name for path in found if path.name not in allowed and not _is_beside(path.name, allowed)]
    if other or any(path.is_dir() for path in found):
        raise ConfigError(
            f"holds more than the earlier export: {', '.join(other[:3])}",
            where=str(final),
            fix="move these elsewhere, or name another directory; only exported files are ever replaced",
        )
    return found


def _listed(listing: Path) -> frozenset[str] | None:
    try:
        said = json.loads(listing.read_text(encoding="utf-8"))
        if said["format"] == FORMAT:
            return frozenset(map(str, said["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _is_beside(name: str, files: set[str]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in files for end in _BESIDE)


def _cannot_hold(band: Band, value: int) -> bool:
    """Return whether no valid pixel of a band can be `value`."""
    too_low = band.valid_min is not None and value < band.valid_min
    return too_low or (band.valid_max is not None and value > band.valid_max)
