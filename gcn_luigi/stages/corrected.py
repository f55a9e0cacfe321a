"""A partition read from its stack and corrected: what chips and partition files are made of."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.io.inventory import Inventory
from gcn_luigi.io.raster import read_window
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.nodata import Corrected, LegacyRule, legacy_corrected, mark_outside, strict_nodata
from gcn_luigi.settings import RegionSettings


def read_corrected(settings: RegionSettings, stack: Path, inventory: Inventory, window: Window) -> Corrected:
    """Read one window of a stack and make its missing pixels homogeneous.

    Parameters
    ----------
    settings : RegionSettings
        Bands and nodata mode.
    stack : Path
        The year's VRT.
    inventory : Inventory
        Where the lattice and its tiles lie.
    window : Window
        May reach beyond the tiles; pixels there are missing in every role.

    Returns
    -------
    Corrected
        Image, label, flags and out-of-range counts.

    Raises
    ------
    InputError
        A source cannot be decoded; the message names the file.
    """
    schema = settings.schema_bands
    values = read_window(stack, window, bands=None, fill=[band.nodata for band in schema])
    inside = _relative(inventory.lattice.window.intersection(window), window)
    fill = settings.nodata.fill
    if settings.nodata.mode == "legacy":
        corrected = legacy_corrected(values, schema, LegacyRule.of(schema, settings.nodata), inside=inside)
        return mark_outside(corrected, schema, _without_tile(inventory, window), fill=None)
    corrected = strict_nodata(values, schema, inside=inside, fill=fill)
    return mark_outside(corrected, schema, _without_tile(inventory, window), fill=fill)


def _without_tile(inventory: Inventory, window: Window) -> NDArray[np.bool_]:
    """Return (y, x): no tile of any band lies here. Tiles need not fill the lattice."""
    empty = np.ones((window.height, window.width), bool)
    for tile in inventory.windows:
        common = _relative(tile.intersection(window), window)
        if not common.is_empty:
            empty[common.row : common.row + common.height, common.col : common.col + common.width] = False
    return empty


def _relative(part: Window, window: Window) -> Window:
    return Window(part.row - window.row, part.col - window.col, part.height, part.width)
