"""Tables of the page, as text ready to print."""

from dataclasses import dataclass

from gcn_luigi.bands import CLASS_NAMES
from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.report.quality.data import Evidence

NONE = "\u2013"


@dataclass(frozen=True)
class Bar:
    """A number with its share, 0 to 1, drawn behind it."""

    text: str
    share: float


Cell = str | Bar


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes
    ----------
    caption : str
        What it holds.
    head : tuple of str
        Column names; a leading ``#`` marks numbers, which are set to the right.
    rows : tuple of tuple
        Cells.
    more : str
        What was left out, for people; empty where nothing was.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: str = ""


def number(value: float | None, digits: int = 0) -> str:
    """Return a number for people; a dash where there is none.

    Examples
    --------
    >>> number(1234.5, 1), number(None), number(-0.04, 1)
    ('1,234.5', '\u2013', '0.0')
    """
    if value is None:
        return NONE
    text = f"{value:,.{digits}f}"
    # A true minus sign; and no minus before zero.
    return text.replace("-", "\u2212") if any(digit in text for digit in "123456789") else text.lstrip("-")


def class_table(evidence: Evidence) -> Table:
    """Return pixels, share and weights by class."""
    pixels = {split: evidence.described(split)["classes"]["pixels"] for split in SPLITS}
    weights = evidence.statistics["classes"]["weights"]
    rows = []
    for name in CLASS_NAMES:
        counted: list[Cell] = []
        for split in SPLITS:
            total = max(sum(pixels[split].values()), 1)
            counted += [number(pixels[split][name]), f"{pixels[split][name] / total:.1%}"]
        rows.append(
            (
                name,
                *counted,
                number(weights["inverse_frequency"][name], 3),
                number(weights["median_frequency"][name], 3),
            )
        )
    return Table(
        "Labelled pixels, each once, and class weights of the train split",
        ("class", "#train pixels", "#share", "#dev pixels", "#share", "#inverse frequency", "#median frequency"),
        tuple(rows),
    )


def band_table(evidence: Evidence) -> Table:
    """Return the statistics of every band in both splits."""
    rows: list[tuple[Cell, ...]] = []
    for position, band in enumerate(evidence.bands):
        for split in SPLITS:
            it = evidence.described(split)["bands"][band.name]
            distance = evidence.distance(position) if split == "train" else None
            rows.append(
                (
                    band.name if split == "train" else "",
                    split,
                    *(number(it[key]) for key in ("count", "min", "p1")),
                    *(number(it[key], 1) for key in ("mean", "std")),
                    *(number(it[key]) for key in ("p99", "max")),
                    "" if split == "dev" else number(distance, 3),
                )
            )
    return Table(
        "Stored values over valid pixels, each once",
        ("band", "split", "#pixels", "#min", "#1%", "#mean", "#std", "#99%", "#max", "#KS"),
        tuple(rows),
    )


def range_table(evidence: Evidence) -> Table:
    """Return how many samples lay beyond the valid range of their band."""
    rows = []
    for band in evidence.bands:
        limits = [NONE if limit is None else number(limit) for limit in (band.valid_min, band.valid_max)]
        counts = (number(evidence.statistics["out_of_range"][split][band.name]) for split in SPLITS)
        rows.append((band.name, *limits, *counts))
    return Table(
        "Samples of the used partitions beyond the valid range of their band; flagged as missing",
        ("band", "#lowest", "#highest", "#train", "#dev"),
        tuple(rows),
    )


def verdict_table(evidence: Evidence) -> Table:
    """Return what became of the candidate chips."""
    counts = evidence.statistics["chips"]
    reasons = list(dict.fromkeys((*counts["train"], *counts["dev"])))
    rows = []
    for reason in reasons:
        cells: list[Cell] = []
        for split in SPLITS:
            value, total = counts[split].get(reason, 0), max(sum(counts[split].values()), 1)
            cells.append(Bar(f"{number(value)} ({value / total:.0%})", value / total))
        if any(counts[split].get(reason, 0) for split in SPLITS):
            rows.append((reason.replace("-", " "), *cells))
    idle = [reason.replace("-", " ") for reason in reasons if not any(counts[split].get(reason, 0) for split in SPLITS)]
    more = f"No chip was rejected for: {', '.join(idle)}." if idle else ""
    return Table("Candidate chips by outcome", ("outcome", "#train", "#dev"), tuple(rows), more)


def unused_table(evidence: Evidence) -> Table:
    """Return why partitions are not used."""
    unused, total = evidence.audit["unused"], max(len(evidence.catalog), 1)
    rows = sorted(unused.items(), key=lambda item: (-item[1], item[0]))
    return Table(
        "Partitions that are not used, by reason",
        ("reason", "#partitions"),
        tuple(
            (reason or "not stated", Bar(f"{number(count)} ({count / total:.0%})", count / total))
            for reason, count in rows
        ),
    )


def grid_table(evidence: Evidence) -> Table:
    """Return mean, variance and std of glacier share by grid size and split."""
    rows = []
    for size in sorted(evidence.grids, key=int):
        for split in SPLITS:
            it = evidence.grids[size][split]
            rows.append(
                (
                    f"{size} px",
                    split,
                    number(it["n_cells"]),
                    *(number(it[key], 4) for key in ("mean", "variance", "std")),
                )
            )
    return Table(
        "Glacier share of grid cells", ("cell size", "split", "#cells", "#mean", "#variance", "#std"), tuple(rows)
    )
