"""Tables of the finished dataset: split, repeated chips, candidate chips, classes, bands and grids."""

from functools import partial

from gcn_luigi.prepare.chips.duplicates import Repeats
from gcn_luigi.report.quality.data import ReportData
from gcn_luigi.report.tables import NONE, Cell, Table, count_bar, measured, number, percent

# Chips that are named per set of repeats.
_MOST_NAMES = 3


def leakage_table(data: ReportData) -> Table:
    """Return what every two splits share, measured on the finished chips and as planned for partitions."""
    audit, leaks, pixel = data.audit, data.leaks, data.inventory.lattice.pixel_size
    planned = ", ".join(f"{split} {number(audit[f'n_{split}'])}" for split in data.splits)
    rows: list[tuple[Cell, ...]] = [
        (
            "Counted",
            "chips: " + ", ".join(f"{split} {number(count)}" for split, count in leaks.counts.items()),
            f"partitions: {planned}",
        )
    ]
    # Without a test split, the audit is that of its only pair.
    for pair, stated in zip(leaks.pairs, audit.get("pairs", [audit]), strict=True):
        what = "both" if len(leaks.pairs) == 1 else " and ".join(pair.splits)
        between = "" if len(leaks.pairs) == 1 else f", {what}"
        rows += [
            (f"Pixels in {what}", number(pair.shared_pixels), number(stated["shared_pixels"])),
            (f"Glaciers in {what}", number(len(pair.shared_glaciers)), number(len(stated["shared_glaciers"]))),
            (
                f"Least distance, edge to edge{between}",
                _distance(pair.least_distance_m, pixel),
                _distance(stated["least_distance_m"], pixel),
            ),
        ]
        near = pair.nearest or (NONE, NONE)
        if len(leaks.pairs) == 1:
            rows += [(f"Nearest {split} chip", name, NONE) for split, name in zip(pair.splits, near, strict=True)]
        else:
            rows.append((f"Nearest chips{between}", " and ".join(dict.fromkeys(near)), NONE))
    for kind in ("glacier", *data.classes.balanced()):
        means = audit[f"{kind}_share_mean"]
        text = ", ".join(f"{split} {percent(means[split])}" for split in data.splits)
        rows.append((f"Mean {kind.replace('_', ' ')} share of a partition", NONE, text))
    head = ("measure", "finished chips, measured", "used partitions, as planned")
    return Table(f"What {_named(data)} share", head, tuple(rows))


def _named(data: ReportData) -> str:
    *first, last = data.splits
    return f"{', '.join(first)} and {last}"


def _distance(metres: float | None, pixel_size: float) -> str:
    if metres is None:
        return "not measured, one split is empty"
    return f"{number(metres)} m ({number(metres / pixel_size, 1)} px)"


def _repeats(data: ReportData) -> tuple[tuple[str, Repeats], ...]:
    return ("Same bytes", data.same_bytes), ("Same footprint and year", data.same_place)


def repeat_table(data: ReportData) -> Table:
    """Return how many chips repeat others, by bytes and by footprint."""
    rows = tuple(
        (
            name,
            number(found.n_chips),
            number(found.n_sets),
            *(number(found.n_spare[split]) for split in data.splits),
            number(found.n_leaked),
        )
        for name, found in _repeats(data)
    )
    leaked = "#dev chips also in train" if len(data.splits) == 2 else "#chips also in another split"
    head = ("chips with the", "#compared", "#sets", *(f"#surplus in {split}" for split in data.splits), leaked)
    return Table("Chips that repeat others", head, rows)


def repeat_examples(data: ReportData) -> list[tuple[str, list[str]]]:
    """Return the first sets of equal chips, by what they share, one line per set."""
    return [(name, _set_lines(found)) for name, found in _repeats(data) if found.n_sets]


def _set_lines(found: Repeats) -> list[str]:
    lines = []
    for names in found.examples:
        more = f" and {number(len(names) - _MOST_NAMES)} more" if len(names) > _MOST_NAMES else ""
        lines.append(", ".join(names[:_MOST_NAMES]) + more)
    if found.n_sets > len(found.examples):
        lines.append(f"and {number(found.n_sets - len(found.examples))} more sets")
    return lines


def candidate_table(data: ReportData) -> Table:
    """Return how many candidate chips were kept or rejected, by reason."""
    counts = data.statistics["chips"]
    reasons = dict.fromkeys(reason for split in data.splits for reason in counts[split])
    totals = {split: sum(counts[split].values()) for split in data.splits}
    found = [reason for reason in reasons if any(counts[split].get(reason, 0) for split in data.splits)]
    rows: list[tuple[Cell, ...]] = [
        (reason.replace("-", " "), *(count_bar(counts[split].get(reason, 0), totals[split]) for split in data.splits))
        for reason in found
    ]
    idle = ", ".join(reason.replace("-", " ") for reason in reasons if reason not in found)
    more = f"No chip was rejected for: {idle}." if idle else ""
    return Table("Candidate chips by outcome", ("outcome", *(f"#{split}" for split in data.splits)), tuple(rows), more)


def unused_table(data: ReportData) -> Table:
    """Return why partitions are not used."""
    unused = sorted(data.audit["unused"].items(), key=lambda item: (-item[1], item[0]))
    rows = tuple((reason or "not stated", count_bar(count, len(data.catalog))) for reason, count in unused)
    return Table("Partitions that are not used, by reason", ("reason", "#partitions"), rows)


def class_table(data: ReportData) -> Table:
    """Return pixels, share and weights by class."""
    pixels = {split: data.of_split(split)["classes"]["pixels"] for split in data.splits}
    weights = data.statistics["classes"]["weights"]
    rows: list[tuple[Cell, ...]] = []
    for name in data.classes.names:
        cells = [name]
        for split in data.splits:
            total = max(sum(pixels[split].values()), 1)
            cells += [number(pixels[split][name]), f"{pixels[split][name] / total:.1%}"]
        cells += [number(weights[kind][name], 3) for kind in ("inverse_frequency", "median_frequency")]
        rows.append(tuple(cells))
    pixels_of = (name for split in data.splits for name in (f"#{split} pixels", "#share"))
    head = ("class", *pixels_of, "#inverse frequency", "#median frequency")
    return Table("Labelled pixels, each counted once, and class weights of the train split", head, tuple(rows))


def band_table(data: ReportData) -> Table:
    """Return the statistics of every band in each split."""
    rows: list[tuple[Cell, ...]] = []
    is_float = data.settings.stack.dtype == "float32"
    value, mean = (measured, measured) if is_float else (number, partial(number, digits=1))
    for position, band in enumerate(data.bands):
        for split in data.splits:
            summary = data.of_split(split)["bands"][band.name]
            rows.append(
                (
                    band.name if split == "train" else "",
                    split,
                    number(summary["count"]),
                    *(value(summary[key]) for key in ("min", "p1")),
                    *(mean(summary[key]) for key in ("mean", "std")),
                    *(value(summary[key]) for key in ("p99", "max")),
                    number(data.distance(position), 3) if split == "train" else "",
                )
            )
    head = ("band", "split", "#pixels", "#min", "#1%", "#mean", "#std", "#99%", "#max", "#KS")
    return Table("Stored values over valid pixels, each counted once", head, tuple(rows))


def range_table(data: ReportData) -> Table:
    """Return how many pixels were outside the valid range of their band."""
    counts = data.statistics["out_of_range"]
    rows = tuple(
        (
            band.name,
            number(band.valid_min),
            number(band.valid_max),
            *(number(counts[split][band.name]) for split in data.splits),
        )
        for band in data.bands
    )
    return Table(
        "Pixels of the used partitions outside the valid range of their band; they are flagged as missing",
        ("band", "#lowest", "#highest", *(f"#{split}" for split in data.splits)),
        rows,
    )


def grid_table(data: ReportData) -> Table:
    """Return mean, variance and std of glacier share by grid size and split."""
    rows: list[tuple[Cell, ...]] = []
    for size in sorted(data.grids, key=int):
        for split in data.splits:
            cells = data.grids[size][split]
            moments = (number(cells[key], 4) for key in ("mean", "variance", "std"))
            rows.append((f"{size} px", split, number(cells["n_cells"]), *moments))
    head = ("cell size", "split", "#cells", "#mean", "#variance", "#std")
    return Table("Glacier share of grid cells", head, tuple(rows))
