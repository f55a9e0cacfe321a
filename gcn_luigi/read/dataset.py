"""Read a finished dataset."""

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcn_luigi.bands import Band, Role, stacked_bands
from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import ConfigError, GcnLuigiError, ShardError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.io.publish.manifest import DIGEST, ManifestEntry, data_digest
from gcn_luigi.io.publish.paths import SPLITS, WITH_TEST, DatasetPaths
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.split.names import split_of
from gcn_luigi.read.conditions import described, selected
from gcn_luigi.read.reader import Chip, ChipReader
from gcn_luigi.read.selection import chosen_rows
from gcn_luigi.read.show.needs import drawing
from gcn_luigi.read.store.files import files_of
from gcn_luigi.read.store.places import ShardPlace

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Chip", "ChipReader", "Dataset"]

_OLD_NAMES = {"index": "chip_boxes", "catalog": "partition_table", "layout": "paths"}


class Dataset:
    """A region's dataset on disk, or in an object store.

    Everything is verified when it is read: ``dataset.json`` by its own digest, tables by the digests in
    ``dataset.json``, and shards by their checksums.

    Parameters
    ----------
    directory : path-like
        The directory of ``dataset.json``, or its address: ``s3://bucket/region``, ``gs://`` or ``https://``.
    cache : path-like, optional
        A directory on this machine in which whole files of a store are kept.

    Raises
    ------
    ShardError
        There is no finished dataset, or ``dataset.json`` is damaged. Later, when a table is read: it is missing or
        damaged.
    ConfigError
        The address cannot be read, or obstore is not installed.
    StoreError
        The store cannot be reached, or does not permit reading.
    """

    def __init__(self, directory: str | os.PathLike[str], *, cache: str | os.PathLike[str] | None = None) -> None:
        self._files = files_of(directory, cache)
        self.description: dict[str, Any] = self._files.description

    def __repr__(self) -> str:
        *first, last = (f"{count} {split}" for split, count in self._shard_counts().items())
        shards = f"{', '.join(first)} and {last}"
        return f"<gcn_luigi.Dataset {self.description.get('region', '?')}: {shards} shards>"

    def _repr_html_(self) -> str:
        sizes = [int(entry.get("size", 0)) for entry in self._entries()]
        rows = {
            "region": self.description.get("region", "?"),
            "years": ", ".join(map(str, self.description.get("configuration", {}).get("years", []))),
            **{f"{split} shards": count for split, count in self._shard_counts().items()},
            "files": f"{len(sizes)}, {sum(sizes) / 1e6:,.1f} MB",
        }
        from gcn_luigi.read.show.cards import dataset_card  # noqa: PLC0415  only notebooks need it

        return dataset_card(self, rows)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in _OLD_NAMES:
                raise AttributeError(f"'Dataset' object has no attribute {name!r}")
            warnings.warn(f"Dataset.{name} is now Dataset.{_OLD_NAMES[name]}", DeprecationWarning, stacklevel=2)
            return getattr(self, _OLD_NAMES[name])

    @property
    def paths(self) -> DatasetPaths:
        """The paths of all files. Raises ConfigError if the dataset is read from a store."""
        return self._files.paths

    @property
    def place(self) -> str:
        """The directory or the address of the dataset, for messages."""
        return self._files.title()

    @property
    def shards(self) -> ShardPlace:
        """Where the shards are: in a directory, or in a store."""
        return self._files.shards

    @property
    def digest(self) -> str:
        """SHA-256 of ``dataset.json``, which holds the digest of every file. Equal digests mean equal datasets."""
        return str(self.description[DIGEST])

    @property
    def data_digest(self) -> str:
        """SHA-256 of only the shards, both tables and the statistics. It is equal wherever the same chips are made.

        `gcn_luigi.io.publish.manifest.data_digest` defines it exactly.
        """
        return data_digest(ManifestEntry(**entry) for entry in self.description["files"])

    @cached_property
    def chip_table(self) -> "pd.DataFrame":
        """One row per chip: id, split, shard, shard_row, partition, position, year and shares, without shapes."""
        # Imported here, because pandas and pyarrow take longer to import than everything else.
        from gcn_luigi.io.parquet import read_columns  # noqa: PLC0415

        return read_columns(self._files.verified("index.parquet"))

    @cached_property
    def chip_boxes(self) -> "gpd.GeoDataFrame":
        """The chip table with the box of each chip as its geometry. This needs geopandas."""
        return self._shapes("index.parquet")

    @cached_property
    def partition_table(self) -> "gpd.GeoDataFrame":
        """One row per partition, used or not, with the reason if it is not used. This needs geopandas."""
        return self._shapes("catalog.parquet")

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Band statistics and class counts of the train split."""
        content: dict[str, Any] = json.loads(self._text("statistics.json"))
        return content

    @cached_property
    def distances(self) -> dict[str, Any]:
        """Distances of dev and of the whole area to the train chips, from ``distances.json``."""
        content: dict[str, Any] = json.loads(self._text("distances.json"))
        return content

    @cached_property
    def chip_features(self) -> "pd.DataFrame":
        """One row per chip: id, split, partition, block, centre, and the mean and standard deviation of each band."""
        from gcn_luigi.io.parquet import read_columns  # noqa: PLC0415

        return read_columns(self._files.verified("features.parquet"))

    @cached_property
    def lattice(self) -> Lattice:
        """The lattice of the region. Rows and columns of partitions count from its corner."""
        return Inventory.from_json(self._text("inventory.json")).lattice

    @property
    def dtype(self) -> str:
        """The type of all images: ``int16``, or ``float32``."""
        return str(self.description.get("configuration", {}).get("stack", {}).get("dtype", "int16"))

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The bands of every chip's image, in order. Names and roles come from the shards, the rest from the settings.

        Unit, description, nodata, scale and valid range are those of the ``[[bands]]`` tables that the dataset was
        built with. `nodata` is the value of missing pixels in the stacks. In chips, missing pixels hold the fill value,
        and ``flags`` say which pixels are missing.
        """
        shards, name = self.shards, str(self.chip_table["shard"].iloc[0])
        shards.check([name])
        try:
            with shards.open(name) as shard:
                names, roles = (json.loads(shard.attributes[key]) for key in ("band_names", "band_roles"))
        except GcnLuigiError:
            raise
        except (OSError, KeyError, ValueError) as error:
            raise ShardError(
                f"the shard's bands cannot be read: {error}",
                where=shards.title(name),
                fix=shards.fix,
            ) from error
        known = {(band.name, band.role): band for band in self._configured_bands()}
        found = (Band(name, Role(role)) for name, role in zip(names, roles, strict=True))
        return tuple(known.get((band.name, band.role), band) for band in found)

    @cached_property
    def classes(self) -> ClassTable:
        """The classes of the label, by rising value: names, values, colours, and which of them are glacier."""
        try:
            return ClassTable.of(self.description["configuration"].get("classes", ()))
        except (AttributeError, KeyError, TypeError, ValueError, ConfigError) as error:
            raise self._unknown("classes") from error

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, by rising value."""
        return self.classes.names

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the dataset: train, dev, and test if it was built with one."""
        return tuple(split for split in WITH_TEST if split in SPLITS or self._count_shards(split))

    @property
    def n_folds(self) -> int:
        """The number of folds; 0 if the dataset was built without."""
        return int(self.description.get("configuration", {}).get("split", {}).get("folds", 0))

    @cached_property
    def fold_table(self) -> "pd.DataFrame | None":
        """What each fold does with each train and dev partition; None without folds.

        Columns fold (int64, from 0), partition and role: ``held out``, ``train``, or ``left out`` if the partition is
        within the buffer around those held out.
        """
        if not self.n_folds:
            return None
        from gcn_luigi.io.parquet import read_columns  # noqa: PLC0415  as for the index

        return read_columns(self._files.verified("folds.parquet"))

    @property
    def has_confidence(self) -> bool:
        """Whether chips have a ``confidence``, which says how sure the label of each pixel is."""
        return bool(self.description.get("configuration", {}).get("label", {}).get("confidence"))

    def chips(
        self,
        split: str,
        *,
        fold: int | None = None,
        years: int | Iterable[int] | None = None,
        where: str | None = None,
        threads: int = 1,
        cache_mb: int = 256,
    ) -> ChipReader:
        """Return the chips of ``train``, ``dev`` or ``test``. ``val`` and ``validation`` are accepted for ``dev``.

        Parameters
        ----------
        split : str
            Name of the split.
        fold : int or None
            With a fold, ``train`` are the train and dev chips that this fold trains on, and ``dev`` are those that it
            holds out. Chips within its buffer are in neither.
        years, where
            Only chips of these years, and only those that fulfil a condition on columns of the index, such as
            ``where="share_debris > 0.1"``; see `gcn_luigi.read.conditions.selected`. If no chip does, the reader is
            empty, and asking it for a chip, a batch or an order raises an error that names the conditions.
        threads, cache_mb : int
            See `ChipReader`.

        Raises
        ------
        ConfigError
            The dataset has no such split or fold, or a condition cannot be computed. Without a test split,
            ``test`` is refused: under this name, users would take dev for pixels that were never used for tuning.
        """
        name = split_of(split, has_test=True)
        if name not in self.splits or split != split.strip().lower():
            *first, last = self.splits
            more = "; to build a test split, set [split] test_share" if name == "test" else ""
            raise ConfigError(
                f"there is no split {split!r}: this dataset has {', '.join(first)} and {last}",
                where=self.place,
                fix=f"use {', '.join(first)} or {last}{more}",
            )
        table, folds = self.chip_table, None if fold is None else self.fold_table
        rows = table[chosen_rows(table, name, fold=fold, folds=folds)]
        chosen, conditions = rows[selected(rows, years=years, where=where)], described(years, where)
        return self.reader(chosen, threads=threads, cache_mb=cache_mb, conditions=conditions)

    def reader(self, rows: "pd.DataFrame", **options: Any) -> ChipReader:
        """Return the chips of some rows of the chip table; `options` are those of `ChipReader`."""
        return ChipReader(self.shards, rows, dataset=self, **options)

    def class_weights(self, kind: str = "median_frequency") -> Any:
        """Return a weight for each class, for a loss: ndarray of float32 (class,), by rising value of the classes.

        The pixels of train are counted. `kind` is ``"median_frequency"`` or ``"inverse_frequency"``; see
        `gcn_luigi.read.sampling.class_weights`. Torch takes it as ``torch.from_numpy(dataset.class_weights())``.
        """
        from gcn_luigi.read.sampling import class_weights  # noqa: PLC0415  only trainings need it

        return class_weights(self.statistics, self.classes, kind)

    def plot(self, chip: str | Chip) -> Any:
        """Draw a chip: its image in false colour, its label in the colours of the classes, and what is missing.

        Missing pixels are chequered. The bands, the stretch and the colours are those of the quality page.

        Parameters
        ----------
        chip : str or Chip
            The id of a chip of any split, or a chip of a reader, also after `dihedral`.

        Returns
        -------
        matplotlib.figure.Figure
            The figure, which a notebook shows.

        Raises
        ------
        ConfigError
            There is no such chip, or matplotlib is not installed.
        InputError
            The chip has other bands.
        ShardError
            The shard is missing or damaged.
        """
        with drawing(self.place):
            from gcn_luigi.read.show.figures import plot_chip  # noqa: PLC0415  it needs matplotlib
        return plot_chip(self, chip)

    def map(self) -> Any:
        """Draw the partitions by split over a relief of the elevation, with axes in kilometres.

        The relief is read from the stacks, so it needs rasterio. If they or their tiles are gone, the map says so and
        shows the partitions alone.

        Returns
        -------
        matplotlib.figure.Figure
            The figure, which a notebook shows.

        Raises
        ------
        ConfigError
            matplotlib is not installed.
        ShardError
            The table of partitions is missing or damaged.
        """
        from gcn_luigi.io.parquet import read_columns  # noqa: PLC0415  as for the index

        with drawing(self.place):
            from gcn_luigi.read.show.maps import map_of  # noqa: PLC0415  it needs matplotlib
        return map_of(self, read_columns(self._files.verified("catalog.parquet")))

    def to_xarray(self, chips: Sequence[str], *, masked: bool = False) -> Any:
        """Return the chips with these ids as an `xarray.Dataset`; see `gcn_luigi.read.xarray.as_xarray`."""
        from gcn_luigi.read.xarray import as_xarray  # noqa: PLC0415  it imports pyproj

        return as_xarray(self, chips, masked=masked)

    def _entries(self) -> list[dict[str, Any]]:
        files = self.description.get("files", [])
        return [entry for entry in files if isinstance(entry, dict)] if isinstance(files, list) else []

    def _shard_counts(self) -> dict[str, int]:
        return {split: self._count_shards(split) for split in self.splits}

    def _count_shards(self, split: str) -> int:
        return sum(str(entry.get("path", "")).startswith(f"shards/{split}-") for entry in self._entries())

    def _configured_bands(self) -> tuple[Band, ...]:
        try:
            configuration = self.description["configuration"]
            distance = configuration["distance"]
            schema = stacked_bands(
                configuration["bands"], distance["unit"] if distance["enabled"] else None, self.dtype
            )
        except (AttributeError, KeyError, TypeError, ValueError, ConfigError) as error:
            raise self._unknown("bands") from error
        return schema.image

    def _unknown(self, what: str) -> ShardError:
        return ShardError(
            f"was made with settings that this version does not know, so its {what} are unknown",
            where=self._files.title("dataset.json"),
            fix="read it with the version that made it, or build it again: gcn run <region>",
        )

    def _text(self, name: str) -> str:
        file = self._files.verified(name)
        return file.read_text(encoding="utf-8") if isinstance(file, Path) else file.getvalue().decode()

    def _shapes(self, name: str) -> "gpd.GeoDataFrame":
        try:
            # Here, because pixels are read without geopandas.
            from gcn_luigi.io.tables import read_geoparquet  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                f"the shapes in {name} need geopandas, which is not installed ({error})",
                where=self.place,
                fix="pip install gcn-luigi, which includes geopandas, instead of gcn-luigi-reader; Dataset.chip_table "
                "and Dataset.chips work without it",
            ) from error
        return read_geoparquet(self._files.verified(name))
