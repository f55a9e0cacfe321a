"""Say in plain words what became of the cells and the composites: which are used, and why others are not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gcn_luigi.errors import few
from gcn_luigi.prepare.partitions.catalog import count_reasons
from gcn_luigi.prepare.partitions.years import years_of_rows
from gcn_luigi.settings import RegionSettings

_MOST_NAMED = 8
# A warning is given if more than this share of the composites is not used.
_MANY = 0.5
# Cells that are made larger, so that more chips fit, get room for this many more chips along each edge.
_MORE_CHIPS = 2


@dataclass(frozen=True)
class Overview:
    """The cells and composites of a dataset before its chips are cut.

    Attributes
    ----------
    n_cells, n_used : int
        All cells, and those that a split uses.
    reasons : str
        Why the others are not used, with their number; empty if all are used.
    shared_glaciers : tuple of str
        Ids of the outlines in cells of two splits.
    unused_years : tuple of int
        The composites that no used cell is cut from; empty if no cell is used.
    n_splits : int
        How many splits there are.
    """

    n_cells: int
    n_used: int
    reasons: str
    shared_glaciers: tuple[str, ...]
    unused_years: tuple[int, ...]
    n_splits: int = 2

    def lines(self) -> Iterator[str]:
        """Yield what `gcn plan` shows about the cells."""
        why = f"; not used: {self.reasons}" if self.reasons else ""
        yield f"cells: {self.n_used:,} of {self.n_cells:,} used{why}"
        if self.unused_years:
            yield f"composites that no cell uses: {few(map(str, self.unused_years), _MOST_NAMED)}"
        if self.shared_glaciers:
            where = "both splits" if self.n_splits == 2 else "two splits"
            yield f"glaciers in {where}: {few(self.shared_glaciers, _MOST_NAMED)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return {
            "total": self.n_cells,
            "used": self.n_used,
            "not_used": self.reasons,
            "shared_glaciers": list(self.shared_glaciers),
            "unused_years": list(self.unused_years),
        }


def make_overview(catalog: pd.DataFrame, audit: Mapping[str, Any], settings: RegionSettings) -> Overview:
    """Return the overview of a catalog and of the audit of its split.

    Parameters
    ----------
    catalog : DataFrame
        Columns used, reason and year, as `gcn_luigi.prepare.split.split.assign_split` leaves them.
    audit : mapping
        ``shared_glaciers`` of `gcn_luigi.prepare.split.leakage.audit_split`.
    settings : RegionSettings
        The years of the composites, and the splits.
    """
    # The catalog says only "outside", also of a cell of which most is inside.
    reasons = count_reasons(catalog["reason"]).replace("outside the tiles", "partly or wholly outside the tiles")
    return Overview(
        n_cells=len(catalog),
        n_used=int(catalog["used"].sum()),
        reasons=reasons,
        shared_glaciers=tuple(audit.get("shared_glaciers", ())),
        unused_years=unused_years(catalog, settings.years),
        n_splits=len(settings.splits),
    )


def unused_years(catalog: pd.DataFrame, years: Sequence[int]) -> tuple[int, ...]:
    """Return the composites that no used cell is cut from; none if no cell is used.

    Examples
    --------
    >>> cells = pd.DataFrame({"used": [True, False, True], "year": [2010, 2018, 2010]})
    >>> unused_years(cells, [1990, 2010, 2018])
    (1990, 2018)
    """
    used = catalog[catalog["used"].astype(bool)]
    taken = {year for row in years_of_rows(used) for year in row}
    return tuple(year for year in years if year not in taken) if taken else ()


def unused_years_warning(catalog: pd.DataFrame, settings: RegionSettings) -> Iterator[str]:
    """Yield a warning if no used cell is cut from most of the composites; the columns are those of `make_overview`.

    That one or two of a series are not used is usual; `Overview` and the quality page name these as well.
    """
    unused = unused_years(catalog, settings.years)
    if len(unused) <= _MANY * len(settings.years):
        return
    decides = "the grid says which" if settings.year.source == "grid" else "the dates of the outlines say which"
    yield (
        f"no partition is cut from {len(unused)} of the {len(settings.years)} composites, "
        f"{few(map(str, unused), _MOST_NAMED)}: each partition uses one composite, and {decides} (see [year]). Leave "
        f"those that are not needed out of `years` to save time"
    )


def larger_cells(settings: RegionSettings, n_candidates: int, n_cells: int) -> Iterator[str]:
    """Yield advice if cells are so small that each gives a single chip.

    Parameters
    ----------
    settings : RegionSettings
        The sizes of cells and chips, and the step.
    n_candidates, n_cells : int
        Chips that could be cut from the used cells, and the number of these cells.
    """
    size, step = settings.chips.size, settings.chips.step
    if settings.grid.path is not None or not n_cells or n_candidates > n_cells or size + step <= settings.grid.size:
        return
    larger, each = size + _MORE_CHIPS * step, (_MORE_CHIPS + 1) ** 2
    yield (
        f"each cell of {settings.grid.size} px gives only one chip of {size} px; cells of {larger} px ([grid] size) "
        f"would give {each} each, but there would be fewer cells"
    )
