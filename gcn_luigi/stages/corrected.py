"""A partition read from its stack and corrected: what chips and partition files are made of."""

from pathlib import Path

from gcn_luigi.io.raster import read_window
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.nodata import Corrected, LegacyRule, legacy_corrected, strict_nodata
from gcn_luigi.settings import RegionSettings


def read_corrected(settings: RegionSettings, stack: Path, lattice: Lattice, window: Window) -> Corrected:
    """Read one window of a stack and make its missing pixels homogeneous.

    Parameters
    ----------
    settings : RegionSettings
        Bands and nodata mode.
    stack : Path
        The year's VRT.
    lattice : Lattice
        Of the stack.
    window : Window
        May reach beyond the lattice; pixels there are missing in every role.

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
    common = lattice.window.intersection(window)
    inside = Window(common.row - window.row, common.col - window.col, common.height, common.width)
    if settings.nodata.mode == "legacy":
        return legacy_corrected(values, schema, LegacyRule.of(schema, settings.nodata), inside=inside)
    return strict_nodata(values, schema, inside=inside, fill=settings.nodata.fill)
