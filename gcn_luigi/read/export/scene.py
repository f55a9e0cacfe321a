"""Read the pixels of any window of the lattice from the stored chips or partitions of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np

from gcn_luigi.errors import InputError, ShardError
from gcn_luigi.lattice import Window, WindowSet
from gcn_luigi.prepare.chips.mosaic import Canvas
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.store.pixels import PixelStore

_CACHE_MB = 256


@dataclass(frozen=True)
class _Stored:
    """A stored row of pixels: where it is stored, what it shows, and where that is on the lattice."""

    shard: int
    row: int
    chip: int
    partition: str
    year: int
    at: Window
    shown: Window


class Scene:
    """The pixels of the chips in some rows of the index, placed on the lattice.

    In the layout ``windows`` whole partitions are stored and shown. In the layout ``chips`` only pixels of kept chips
    exist. A chip that was stretched over the edge of its partition shows no pixels of the lattice and is left out.
    There must be at least one row in `rows`, and all must have the same year unless their partitions do not
    touch or are read one by one.

    Raises
    ------
    ShardError
        A shard is missing or damaged, or index and catalog do not agree.
    """

    def __init__(self, dataset: Dataset, rows: gpd.GeoDataFrame) -> None:
        self._store = PixelStore(dataset.shards, rows, cache_mb=_CACHE_MB)
        shapes, layout = self._store.format()
        edge, self.fills = self._store.edges()
        self._where = dataset.place
        partitions = _partition_windows(dataset, rows["partition"])
        places = self._store.places(np.arange(len(rows)))
        stored = {}
        for place, row in zip(places.tolist(), rows.itertuples(), strict=True):
            whole = partitions[row.partition]
            at = whole
            if layout == "chips":
                at = Window(whole.row + row.row, whole.col + row.col, *shapes["label"])
            shown = at.intersection(whole)
            if edge != "legacy" or shown == at:
                what = (row.partition, int(row.year))
                stored[place[0], place[1]] = _Stored(place[0], place[1], int(row.shard_row), *what, at, shown)
        self._stored = tuple(stored.values())
        self._shown = WindowSet([one.shown for one in self._stored])
        types = self._store.types()
        self._like = {name: np.empty((*shape[:-2], 0, 0), types[name]) for name, shape in shapes.items()}

    @property
    def hull(self) -> Window:
        """The smallest window that contains all shown pixels."""
        return self._shown.hull

    def read(self, window: Window, partition: str | None = None, year: int | None = None) -> Canvas:
        """Return the pixels of `window`, of only one partition and one year if they are given.

        The window is on the lattice of the region and may reach beyond it. The canvas holds ``image`` (band, y, x)
        in the type of the stack, and ``label`` and ``flags`` (y, x) uint8. Where nothing is shown, they are the fill
        value, label 255, and flags that say that everything is missing.

        Raises
        ------
        ShardError
            A shard is missing or damaged, or chips of one partition show different pixels of the same place.
        InputError
            Overlapping partitions show different pixels of the same place.
        """
        canvas = Canvas.empty(window, self._like, self.fills)
        lying: set[str] = set()
        for one in (self._stored[position] for position in self._shown.meeting(window)):
            if partition not in (None, one.partition) or year not in (None, one.year):
                continue
            piece = self._store.row(one.shard, one.row, one.chip)
            if piece["label"].shape != (one.at.height, one.at.width):
                raise self._disagreement(one, f"has {piece['label'].shape} pixels, which differs from the catalog")
            if n_unlike := canvas.add(piece, one.at, one.shown):
                if lying <= {one.partition}:
                    raise self._disagreement(one, f"has {n_unlike} pixels that differ between its chips")
                raise InputError(
                    f"partition {one.partition} has {n_unlike} pixels that differ from those of overlapping partitions",
                    where=self._where,
                    fix="export them one by one: --as partitions",
                )
            lying.add(one.partition)
        return canvas

    def close(self) -> None:
        """Close the shards and free the memory."""
        self._store.close()

    def _disagreement(self, one: _Stored, what: str) -> ShardError:
        return ShardError(
            f"partition {one.partition} {what}",
            where=self._where,
            fix="find the damage with gcn validate --deep; then gcn run --deep REGION rebuilds it",
        )


def _partition_windows(dataset: Dataset, names: Any) -> Mapping[str, Window]:
    catalog = dataset.partition_table.set_index("partition")
    wanted = names.unique()
    try:
        boxes = catalog.loc[wanted, ["row", "col", "height", "width"]].to_numpy(np.int64)
    except KeyError as error:
        raise ShardError(
            f"the index names partitions that are not in the catalog: {error}",
            where=f"{dataset.place}, catalog.parquet",
            fix="run the build again: gcn run --deep <region>",
        ) from error
    return {name: Window(*box) for name, box in zip(wanted, boxes.tolist(), strict=True)}
