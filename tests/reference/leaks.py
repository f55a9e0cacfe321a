"""What the chips of two splits share, pixel by pixel and pair by pair."""

import itertools
import math


def leaks_by_hand(chips, catalog, lattice, one="train", other="dev"):
    """Return the fields of a measurement as a dict: sets of pixels, and every pair of chips."""
    chips = chips[chips["split"].isin([one, other])]
    cells = {row.partition: row for row in catalog.itertuples()}
    shown = {one: {}, other: {}}
    for chip in chips.itertuples():
        cell = cells[chip.partition]
        row, col = (
            round((lattice.top - chip.top) / lattice.pixel_size),
            round((chip.left - lattice.left) / lattice.pixel_size),
        )
        size = round((chip.right - chip.left) / lattice.pixel_size)
        shown[chip.split][chip.chip_id] = {
            (y, x)
            for y in range(row, row + size)
            for x in range(col, col + size)
            if cell.row <= y < cell.row + cell.height and cell.col <= x < cell.col + cell.width
            and 0 <= y < lattice.height and 0 <= x < lattice.width
        }  # fmt: skip
    pixels = {split: set().union(*of_split.values()) for split, of_split in shown.items()}
    glaciers = {
        split: {
            name
            for partition in set(chips["partition"][chips["split"] == split])
            for name in cells[partition].rgi_ids.split(";")
        }
        - {""}
        for split in shown
    }
    pairs = sorted(
        (_gap(pixels_a, pixels_b), a, b)
        for (a, pixels_a), (b, pixels_b) in itertools.product(shown[one].items(), shown[other].items())
        if pixels_a and pixels_b
    )
    return {
        "shared_pixels": len(pixels[one] & pixels[other]),
        "shared_glaciers": tuple(sorted(glaciers[one] & glaciers[other])),
        "least_distance_m": pairs[0][0] * lattice.pixel_size if pairs else None,
        "nearest": pairs[0][1:] if pairs else None,
        "splits": (one, other),
    }


def _gap(one, other):
    """Return the straight distance, edge to edge in pixels, of two rectangles of pixels."""
    (top, left), (bottom, right) = min(one), max(one)
    (other_top, other_left), (other_bottom, other_right) = min(other), max(other)
    rows = max(other_top - bottom - 1, top - other_bottom - 1, 0)
    cols = max(other_left - right - 1, left - other_right - 1, 0)
    return math.hypot(rows, cols)
