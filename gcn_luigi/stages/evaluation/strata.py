"""Count the pixels of a dataset by strata: one pass over the label and the elevations of its partitions."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE, Band
from gcn_luigi.config import Region
from gcn_luigi.io.parquet import read_columns
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.header import open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Lattice, Window, WindowSet
from gcn_luigi.prepare.evaluation.strata import (
    Shown,
    Strata,
    aspect_codes,
    aspects,
    elevation_codes,
)
from gcn_luigi.prepare.layers.terrain import with_neighbours
from gcn_luigi.stages import Say
from gcn_luigi.stages.band_files import elevation_file, strata_elevations
from gcn_luigi.stages.layers.mosaics import read_inventory


def write_strata(region: Region, paths: DatasetPaths, out: Path, say: Say) -> None:
    """Write class counts and shares by split, fold, year, year gap, elevation and aspect, as CSV.

    Each partition is read once: its label and, with one more pixel on each side, its elevations. One partition is in
    memory at a time. `say` is called after each partition.

    Raises
    ------
    InputError
        A table or raster is missing or damaged.
    """
    settings, inventory = region.settings, read_inventory(paths)
    lattice, tiles = inventory.lattice, WindowSet(inventory.windows)
    index, catalog = read_columns(paths.index), read_columns(paths.catalog)
    boxes = catalog[["row", "col", "height", "width"]].to_numpy(np.int64).tolist()
    windows = {name: Window(*box) for name, box in zip(catalog["partition"].astype(str), boxes, strict=True)}
    strata, band = Strata(settings.region, settings.class_table, settings.chips.size), strata_elevations(settings)
    groups = list(index.groupby("partition", sort=True))
    with ExitStack() as opened:
        labels = opened.enter_context(open_raster(paths.label))
        heights = None if band is None else opened.enter_context(open_raster(elevation_file(paths, band)))
        for done, (name, chips) in enumerate(groups, 1):
            window = windows[str(name)]
            label = read_dataset(labels, window, fill=LABEL_IGNORE)[0].astype(np.uint8)
            outside = tiles.uncovered(window)
            if outside is not None:
                label[outside] = LABEL_IGNORE
            planes = (None, None) if band is None else _terrain(heights, window, lattice, band)
            for shown in _shown(chips):
                strata.add(shown, label, *planes)
            say(f"strata of {done} of {len(groups)} partitions", done / len(groups))
    strata.table().to_csv(out, index=False, lineterminator="\n", float_format="%.6f")


def _shown(chips: pd.DataFrame) -> Iterator[Shown]:
    """Yield what the chips of a partition show in each year."""
    for _, rows in chips.groupby("year", sort=True):
        first = rows.iloc[0]
        fold = first.get("fold")
        yield Shown(
            split=str(first["split"]),
            year=int(first["year"]),
            year_gap=int(first["year_gap"]),
            fold=None if fold is None or pd.isna(fold) else int(fold),
            origins=np.ascontiguousarray(rows[["row", "col"]].to_numpy(np.int64)),
        )


def _terrain(heights: Any, window: Window, lattice: Lattice, band: Band) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the codes of elevation and aspect, (y, x), of a window that may reach beyond the lattice."""
    grown, frame = with_neighbours(window, lattice)
    stored = read_dataset(heights, grown, fill=band.nodata if heights.nodata is None else heights.nodata)[0]
    metres = stored.astype(np.float64)
    lost = ~np.isfinite(metres) | (metres == band.nodata)
    if heights.nodata is not None:
        lost |= metres == heights.nodata
    # Elevations that are not stacked are not converted either.
    values = (metres - band.offset) / band.scale if band.stacked else metres
    checked = metres if band.stacked else metres * band.scale + band.offset
    for limit, is_beyond in ((band.valid_min, np.less), (band.valid_max, np.greater)):
        if limit is not None:
            with np.errstate(invalid="ignore"):
                lost |= is_beyond(checked, limit)
    values[lost] = np.nan
    (above, below), (left, right) = frame
    own = values[int(above) : values.shape[0] - int(below), int(left) : values.shape[1] - int(right)]
    return elevation_codes(own), aspect_codes(aspects(values, frame, lattice.pixel_size))
