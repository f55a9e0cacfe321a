"""What train and dev share: measured on the finished chips, beside what was planned for partitions."""

from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.prepare.chips.duplicates import Repeats
from gcn_luigi.report.quality.data import Evidence
from gcn_luigi.report.tables import NONE, Cell, Table, number


def leak_table(evidence: Evidence) -> Table:
    """Return each measure of the finished chips, and the same of the plan."""
    audit, leaks, pixel = evidence.audit, evidence.leaks, evidence.inventory.lattice.pixel_size
    planned = ", ".join(f"{split} {number(audit[f'n_{split}'])}" for split in SPLITS)
    nearest = leaks.nearest or (NONE, NONE)
    rows: tuple[tuple[Cell, ...], ...] = (
        ("Counted", f"chips: train {number(leaks.n_train)}, dev {number(leaks.n_dev)}", f"partitions: {planned}"),
        ("Pixels in both", number(leaks.shared_pixels), number(audit["shared_pixels"])),
        ("Glaciers in both", number(len(leaks.shared_glaciers)), number(len(audit["shared_glaciers"]))),
        (
            "Least distance, edge to edge",
            gap_text(leaks.least_distance_m, pixel),
            gap_text(audit["least_distance_m"], pixel),
        ),
        *((f"Nearest {split} chip", name, NONE) for split, name in zip(SPLITS, nearest, strict=True)),
        *(
            (title, NONE, _means(evidence, key))
            for title, key in (
                ("Mean glacier share of a partition", "glacier_share_mean"),
                ("Mean debris share of a partition", "debris_share_mean"),
            )
        ),
    )
    return Table(
        "What train and dev share", ("measure", "finished chips, measured", "used partitions, as planned"), rows
    )


def repeat_table(evidence: Evidence) -> Table:
    """Return how many chips repeat others, by bytes and by footprint."""
    kinds = (("Same bytes", evidence.same_bytes), ("Same footprint and year", evidence.same_place))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            name,
            number(found.n_chips),
            number(found.n_sets),
            *(number(found.n_spare[split]) for split in SPLITS),
            number(found.n_leaked),
        )
        for name, found in kinds
    )
    head = ("chips with the", "#compared", "#sets", "#spare in train", "#spare in dev", "#dev chips as in train")
    return Table("Chips that repeat others", head, rows)


def repeat_examples(evidence: Evidence) -> list[tuple[str, list[str]]]:
    """Return the first sets of chips that are alike, for people: by what they share, one line a set."""
    kinds = (("Same bytes", evidence.same_bytes), ("Same footprint and year", evidence.same_place))
    return [(name, _lines(found)) for name, found in kinds if found.n_sets]


def gap_text(gap_m: float | None, pixel_size: float) -> str:
    """Return a distance in metres and pixels; a reason where there is none."""
    if gap_m is None:
        return "not measured, one split is empty"
    return f"{number(gap_m)} m ({number(gap_m / pixel_size, 1)} px)"


def _means(evidence: Evidence, key: str) -> str:
    means = evidence.audit[key]
    return ", ".join(f"{split} {NONE if means[split] is None else format(means[split], '.1%')}" for split in SPLITS)


def _lines(found: Repeats) -> list[str]:
    shown, most = [], 3
    for names in found.examples:
        more = f" and {number(len(names) - most)} more" if len(names) > most else ""
        shown.append(", ".join(names[:most]) + more)
    if found.n_sets > len(found.examples):
        shown.append(f"and {number(found.n_sets - len(found.examples))} more sets")
    return shown
