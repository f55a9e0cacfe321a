"""What every tile holds, as counted when it was read through."""

from collections.abc import Iterator
from typing import Any

from gcn_luigi.report.quality.data import Evidence
from gcn_luigi.report.tables import NONE, Cell, Table, number

_MOST_ROWS = 20


def tile_table(evidence: Evidence) -> Table:
    """Return valid, missing and out-of-range pixels of each band, over all its tiles and years."""
    rows: list[tuple[Cell, ...]] = []
    for name, found in evidence.tile_quality.items():
        totals = found["totals"]
        pixels = max(sum(totals.values()), 1)
        limits = (NONE if found[key] is None else number(found[key]) for key in ("valid_min", "valid_max"))
        counts = (number(totals[key]) for key in ("valid", "missing", "out_of_range"))
        rows.append(
            (
                name,
                number(_n_files(found)),
                *limits,
                *counts,
                f"{(totals['missing'] + totals['out_of_range']) / pixels:.1%}",
            )
        )
    return Table(
        "Pixels of all tiles, over all years; where tiles overlap, a pixel counts once for each",
        ("band", "#files", "#lowest", "#highest", "#valid", "#missing", "#out of range", "#unusable"),
        tuple(rows),
    )


def wild_table(evidence: Evidence) -> Table:
    """Return the tiles with most values beyond the valid range of their band."""
    rows = sorted(_wild(evidence), key=lambda row: (-row["out_of_range"], row["path"], row["year"] or 0))
    shown: list[tuple[Cell, ...]] = []
    for row in rows[:_MOST_ROWS]:
        pixels = max(row["valid"] + row["missing"] + row["out_of_range"], 1)
        count = row["out_of_range"]
        year = NONE if row["year"] is None else str(row["year"])
        shown.append((row["path"], row["band"], year, number(count), f"{count / pixels:.2%}"))
    left = len(rows) - len(shown)
    return Table(
        "Tiles with values beyond the valid range of their band, most first",
        ("file", "band", "year", "#out of range", "#of its pixels"),
        tuple(shown),
        f"and {number(left)} more, see tile_quality" if left else "",
    )


def suspect_table(evidence: Evidence) -> Table:
    """Return the tiles whose missing pixels do not seem to be what is declared as missing, largest share first."""
    found = [row for quality in evidence.tile_quality.values() for row in quality.get("suspect", ())]
    found.sort(key=lambda row: (-row["share"], row["path"], row["year"] or 0))
    shown: list[tuple[Cell, ...]] = [
        (row["path"], row["band"], NONE if row["year"] is None else str(row["year"]), row["reason"])
        for row in found[:_MOST_ROWS]
    ]
    left = len(found) - len(shown)
    return Table(
        "Tiles in which one value may mean missing, taken as declared; flat water and saturated snow look the same",
        ("file", "band", "year", "what is suspect"),
        tuple(shown),
        f"and {number(left)} more, see tile_quality" if left else "",
    )


def suspect_bands(evidence: Evidence) -> dict[str, int]:
    """Return the number of suspect files by band, of bands that have any."""
    found = {
        name: {row["path"] for row in quality.get("suspect", ())} for name, quality in evidence.tile_quality.items()
    }
    return {name: len(paths) for name, paths in found.items() if paths}


def wild_bands(evidence: Evidence) -> dict[str, int]:
    """Return the number of out-of-range values by band, of bands that have any."""
    counts = {name: int(found["totals"]["out_of_range"]) for name, found in evidence.tile_quality.items()}
    return {name: count for name, count in counts.items() if count}


def unchecked_bands(evidence: Evidence) -> list[str]:
    """Return the bands without a valid range: none of their values can be out of it."""
    quality = evidence.tile_quality
    return [name for name, found in quality.items() if found["valid_min"] is None and found["valid_max"] is None]


def _wild(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for name, found in evidence.tile_quality.items():
        yield from (row | {"band": name} for row in found["tiles"] if row["out_of_range"])


def _n_files(found: dict[str, Any]) -> int:
    return len({row["path"] for row in found["tiles"]})
