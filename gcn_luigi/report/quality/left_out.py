"""What did not reach the chips, stage by stage, with counts."""

import re
from collections.abc import Iterator

from gcn_luigi.io.inputs.inventory import NOTE_KINDS
from gcn_luigi.io.publish.paths import SPLITS
from gcn_luigi.report.quality.data import Evidence
from gcn_luigi.report.tables import NONE, Bar, Cell, Table, number

# The notes of the import begin with their count and name examples after a colon.
_COUNTED = re.compile(r"(\d+) ([^:]+)")
_TITLES = {
    "missing": "files that a tile lacks",
    "duplicates": "files passed over: another one stands for the same band and tile",
    "rejected": "files passed over by configuration",
    "unmatched": "files of no band, and tiles without optical files",
    "linked": "links that leave the data root, or lead to a directory that is listed already",
    "overlaps": "pairs of tiles that share pixels",
}


def stage_table(evidence: Evidence) -> Table:
    """Return how many tile files, partitions and candidate chips came in, and how many went on."""
    inventory = evidence.inventory
    passed = len(inventory.duplicates) + len(inventory.rejected)
    verdicts = [evidence.statistics["chips"][split] for split in SPLITS]
    judged = sum(sum(counts.values()) for counts in verdicts)
    kept = sum(counts.get("kept", 0) for counts in verdicts)
    stages = (
        ("Files of tiles that a band asks for", len(inventory.files) + passed, passed),
        ("Partitions", len(evidence.catalog), evidence.audit["n_unused"]),
        ("Candidate chips of the used partitions", judged, judged - kept),
    )
    rows: list[tuple[Cell, ...]] = [
        (name, number(count), number(count - out), Bar(f"{number(out)} ({_share(out, count):.0%})", _share(out, count)))
        for name, count, out in stages
    ]
    return Table("From tiles to chips", ("stage", "#found", "#used", "#left out"), tuple(rows))


def input_table(evidence: Evidence) -> Table:
    """Return what was passed over, repaired or noted of tiles, outlines, grid and split."""
    rows: list[tuple[Cell, ...]] = [
        ("tiles", _TITLES.get(kind, kind), number(len(getattr(evidence.inventory, kind)))) for kind in NOTE_KINDS
    ]
    rows += _noted(evidence)
    return Table("Inputs passed over, repaired or noted", ("input", "what", "#count"), tuple(rows))


def _noted(evidence: Evidence) -> Iterator[tuple[Cell, ...]]:
    for kind in ("outlines", "grid", "split"):
        notes = evidence.audit["notes"].get(kind, [])
        if not notes:
            yield kind, "nothing repaired, skipped or noted", number(0)
        for note in notes:
            counted = _COUNTED.match(note)
            yield (kind, counted[2], number(int(counted[1]))) if counted else (kind, note, NONE)


def _share(part: int, whole: int) -> float:
    return part / max(whole, 1)
