"""The page of grid sizes: figures, tables and explanations in one self-contained HTML file."""

from pathlib import Path

from gcn_luigi.config import Region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.report.grids.data import GridPageData, GridSize, read_grid_data
from gcn_luigi.report.render import render
from gcn_luigi.report.tables import NONE, Table, number, percent
from gcn_luigi.version import __version__

# With fewer cells, the distribution of a split is hardly known.
FEW_CELLS = 20


def write_grid_page(region: Region, paths: DatasetPaths, out: Path) -> None:
    """Write the comparison of grid sizes as a page; equal datasets give equal bytes.

    The label is read decimated, and the outlines are the only source that is read. Raises InputError if a file of the
    dataset, or the outlines, are missing or damaged.
    """
    # Imported here, so that the other tasks start without matplotlib, which takes a second and may scan for fonts.
    from gcn_luigi.report import drawing  # noqa: PLC0415
    from gcn_luigi.report.grids import figures  # noqa: PLC0415

    data = read_grid_data(region, paths)
    with drawing.drawing_style():
        shares, cells = figures.share_figure(data), figures.cell_maps(data, paths.label)
    content = {
        "version": __version__,
        "settings": data.settings,
        "lattice": data.lattice,
        "sizes": [grid.size for grid in data.sizes],
        "shares": shares,
        "cells": cells,
        "share_table": share_table(data),
        "chip_table": chip_table(data),
        "reading": describe(data),
        "caveats": caveats(data),
    }
    out.write_text(render("grid.html", content), encoding="utf-8")


def share_table(data: GridPageData) -> Table:
    """Return count, mean, variance and std of glacier share by size and split, and the KS distance of the splits."""
    rows = []
    for grid in data.sizes:
        for split in data.splits:
            cells = grid.described[split]
            moments = (number(cells[key], 4) for key in ("mean", "variance", "std"))
            # Size and distance are only in the row of the first split.
            size, *ks = ("", "", "")
            if split == "train":
                size, *ks = f"{grid.size}\u00a0px", number(grid.ks, 3), number(grid.ks_by_chance, 3)
            rows.append((size, split, number(cells["n_cells"]), *moments, *ks))
    head = ("cell size", "split", "#cells", "#mean", "#variance", "#std", "#KS", "#KS by chance")
    return Table("Glacier share of cells", head, tuple(rows))


def chip_table(data: GridPageData) -> Table:
    """Return how many chips each size gives, how they overlap, and how much glacier its cells hold."""
    rows = []
    for grid in data.sizes:
        load = grid.load
        rows.append(
            (
                f"{grid.size}\u00a0px",
                number(load.n_chips),
                *(number(grid.n_chips(split)) for split in data.splits),
                number(load.overlap, 1) if load.n_chips else NONE,
                number(load.most) if load.n_chips else NONE,
                f"{load.unseen:.1%}",
                *(percent(grid.glacier_share(split)) for split in data.splits),
            )
        )
    head = (
        "cell size", "#chips per cell", *(f"#{split} chips" for split in data.splits), "#chips per pixel", "#most",
        "#cell unseen", *(f"#glacier in {split}" for split in data.splits),
    )  # fmt: skip
    caption = "Chips before any is rejected, and the share of the region's glacier area in the cells"
    return Table(caption, head, tuple(rows))


def describe(data: GridPageData) -> list[str]:
    """Return the results in words, one or two sentences each."""
    whole = [grid for grid in data.sizes if grid.ks is not None]
    lines = [_likeness(grid) for grid in whole]
    lines += [
        f"{grid.size} px: {_empty(grid)} no cell of this size, so there is nothing to compare."
        for grid in data.sizes
        if grid.ks is None
    ]
    if len(whole) > 1:
        lines += [_closest(whole), _spread(whole)]
    lines.append(_chips(data))
    if all(grid.glacier_share("train") is not None for grid in data.sizes):
        lines.append(_ground(data))
    else:
        lines.append("No outline covers pixels of the region, so there is no glacier area to compare.")
    return lines


def caveats(data: GridPageData) -> list[str]:
    """Return the limits of the numbers, in words."""
    chips, few = data.settings.chips, []
    for grid in data.sizes:
        counts = [(split, grid.n_cells(split)) for split in data.splits if grid.n_cells(split) < FEW_CELLS]
        if counts:
            few.append(f"{grid.size} px ({', '.join(f'{count} {split}' for split, count in counts)})")
    lines = [
        (
            "The split was drawn once, for partitions of the configured size. Cells of other sizes are laid over "
            "these partitions, and get the split of the partitions that cover most of them. A split that is drawn at "
            "another size would differ."
        ),
        (
            "A cell counts if used partitions of one split cover at least half of it. Large cells at the edge of a "
            "split therefore contain ground that belongs to the other split, or to neither."
        ),
        (
            "Neighbouring cells are similar, so they are not independent draws. A distance above “KS by chance” is a "
            "reason to look, not a proof. With many small cells even a small difference exceeds it; with few large "
            "cells even a large one does not."
        ),
        (
            "With few cells, train and dev differ more by chance. Compare the distances of different sizes together "
            "with their “KS by chance” values, not alone."
        ),
        (
            "Glacier share is the share of a cell that outlines cover. It says nothing about debris, the year of the "
            "images, or missing pixels."
        ),
        "Chips are counted before any is rejected because of its content"
        + ("; the count ignores the smaller step on balanced partitions." if chips.densify else "."),
    ]
    if few:
        few_cells = f"Fewer than {FEW_CELLS} cells are too few to describe a distribution. This concerns "
        lines.insert(0, f"{few_cells}{'; '.join(few)}.")
    return lines


def _likeness(grid: GridSize) -> str:
    train, dev = grid.mean("train"), grid.mean("dev")
    assert train is not None and dev is not None  # noqa: PT018, S101
    points = abs(train - dev) * 100
    more = "train" if train > dev else "dev"
    says = "the same in both" if points < 0.05 else f"{points:.1f} percentage points more in {more}"
    limit = grid.ks_by_chance or 0.0
    compared = (
        "more than chance alone gives in nineteen of twenty draws"
        if (grid.ks or 0.0) > limit
        else "no more than chance alone may give"
    )
    return (
        f"{grid.size} px: on average, glaciers cover {train:.1%} of a cell in train and {dev:.1%} in dev, {says}. "
        f"The KS distance of the distributions is {grid.ks:.2f}, {compared} ({limit:.2f})."
    )


def _empty(grid: GridSize) -> str:
    names = [split for split in ("train", "dev") if not grid.n_cells(split)]
    return " and ".join(names) + (" has" if len(names) == 1 else " have")


def _closest(whole: list[GridSize]) -> str:
    best = min(whole, key=lambda grid: (grid.ks or 0.0, grid.size))
    others = ", ".join(f"{grid.ks:.2f} at {grid.size} px" for grid in whole if grid is not best)
    return f"Train and dev are most similar at {best.size} px (KS {best.ks:.2f}, compared with {others})."


def _spread(whole: list[GridSize]) -> str:
    first, last = whole[0], whole[-1]
    before, after = (float(grid.described["train"]["std"]) for grid in (first, last))
    change = "less" if after < before else "more"
    why = ": a larger cell averages over more ground" if after < before else ""
    return (
        f"Train cells of {last.size} px differ {change} from each other than those of {first.size} px "
        f"(standard deviation {after:.3f}, compared with {before:.3f}){why}."
    )


def _chips(data: GridPageData) -> str:
    chips = data.settings.chips
    parts = [
        f"{grid.n_chips('train'):,} training chips at {grid.size} px, with each pixel in {grid.load.overlap:.1f} chips "
        "on average"
        if grid.load.n_chips
        else f"none at {grid.size} px, which is smaller than a chip"
        for grid in data.sizes
    ]
    return f"Chips of {chips.size} px every {chips.step} px give {'; '.join(parts)}."


def _ground(data: GridPageData) -> str:
    parts = []
    for grid in data.sizes:
        both = sum(grid.glacier_share(split) or 0.0 for split in data.splits)
        parts.append(f"{both:.1%} at {grid.size} px")
    named = " and ".join(data.splits)
    return f"The cells of {named} together contain this share of the region's glacier area: {', '.join(parts)}."
