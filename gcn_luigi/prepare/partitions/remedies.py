"""Which setting decides about a cell's reason for not being used."""

import re
from collections import Counter
from collections.abc import Iterable

# As `gcn_luigi.prepare.partitions.catalog.build_catalog` and the split write them; numbers vary.
_REMEDIES = {
    "rejected id": "check the list of [grid] reject_ids_path",
    "exclusion polygon": "check the polygons of [grid] exclude_polygons_path",
    "outside the tiles": "raise [grid] max_outside_share, or check that grid and tiles lie on the same ground",
    "no outline": "check that grid and outlines lie on the same ground, or set [year] no_year",
    "no dated outline": "name the column of dates with [outlines] date_field and its form with date_format, "
    "or set [year] no_year",
    "no composite for": 'use [year] rule = "nearest"',
    "year gap": "raise [year] max_gap_years, or add composites nearer to the outlines",
    "far from outlines": "raise [grid] max_outline_distance_m",
    "too little glacier": "lower [grid] min_outline_share",
    "buffer": "lower [split] buffer or block",
    "overlaps dev": "import a grid whose train and dev cells do not overlap",
    "no split in the grid": "fill the split column of the grid",
}


def told_reasons(reasons: Iterable[str]) -> str:
    """Return how many cells are not used for each reason, the commonest first; empty where all are used.

    Parameters
    ----------
    reasons : iterable of str
        As for `remedy`.

    Examples
    --------
    >>> told_reasons(["year gap 7", "", "year gap 9", "rejected id"])
    '2 x year gap, 1 x rejected id'
    """
    return ", ".join(f"{count:,} x {kind}" for kind, count in _ranked(reasons))


def remedy(reasons: Iterable[str]) -> str:
    """Return what to change so that cells can be used, the commonest reason first.

    Parameters
    ----------
    reasons : iterable of str
        Of the cells that are not used, as in the catalog; empty ones play no part.

    Examples
    --------
    >>> remedy(["year gap 7", "year gap 9", "rejected id"])
    'raise [year] max_gap_years, or add composites nearer to the outlines; check the list of [grid] reject_ids_path'
    """
    known = [_REMEDIES[kind] for kind, _ in _ranked(reasons) if kind in _REMEDIES]
    return "; ".join(known) or "loosen [grid] or [year], or check that grid, outlines and tiles lie on the same ground"


def _ranked(reasons: Iterable[str]) -> list[tuple[str, int]]:
    kinds = Counter(re.sub(r" \d+$", "", reason) for reason in reasons if reason)
    return sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
