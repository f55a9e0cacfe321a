"""The page of grid sizes: one HTML file that needs nothing else."""

from pathlib import Path

from gcn_luigi.config import Region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.report.grids.data import read_grid_evidence
from gcn_luigi.report.grids.reading import caveats, chip_table, read_out, share_table
from gcn_luigi.report.render import render
from gcn_luigi.version import __version__


def write_grid_page(region: Region, paths: DatasetPaths, out: Path) -> None:
    """Write the comparison of grid sizes as a page.

    Equal datasets give equal bytes. The label is read decimated; of the sources only outlines are read.

    Parameters
    ----------
    region : Region
        Settings and sources.
    paths : DatasetPaths
        Where inventory, label, catalog and comparison are.
    out : Path
        The HTML file; the caller publishes it.

    Raises
    ------
    InputError
        A file of the dataset, or the outlines, are missing or damaged.
    """
    # Here, so that the other tasks start without matplotlib, which takes a second and may scan for fonts.
    from gcn_luigi.report import drawing  # noqa: PLC0415
    from gcn_luigi.report.grids import figures as grid_figures  # noqa: PLC0415

    evidence = read_grid_evidence(region, paths)
    with drawing.drawing_style():
        shares, cells = grid_figures.share_figure(evidence), grid_figures.cell_maps(evidence, paths.label)
    content = {
        "version": __version__,
        "settings": evidence.settings,
        "lattice": evidence.lattice,
        "sizes": [grid.size for grid in evidence.sizes],
        "shares": shares,
        "cells": cells,
        "share_table": share_table(evidence),
        "chip_table": chip_table(evidence),
        "reading": read_out(evidence),
        "caveats": caveats(evidence),
    }
    out.write_text(render("grid.html", content), encoding="utf-8")
