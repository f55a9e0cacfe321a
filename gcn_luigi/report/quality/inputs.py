"""What a dataset was made from: notes of the scan and of the import, bands and settings."""

from collections.abc import Iterable, Sequence
from typing import Any

from gcn_luigi.io.inputs.inventory import NOTE_KINDS
from gcn_luigi.report.quality.data import Evidence
from gcn_luigi.report.tables import NONE, Table, number
from gcn_luigi.settings import Section

_MOST_ROWS = 25
# Of a note that names every outline of a large region.
_MOST_LETTERS = 1000


def inventory_tables(evidence: Evidence) -> list[Table]:
    """Return one table for each kind of note that the scan of the tiles made."""
    titles = {
        "missing": "Files that a tile lacks",
        "duplicates": "Files passed over: another one stands for the same band and tile",
        "rejected": "Files passed over by configuration",
        "unmatched": "Files of no band, and tiles without optical files",
        "linked": "Links that leave the data root, or lead to a directory that is listed already",
        "overlaps": "Tiles that share pixels",
        "suspect": "Files that look wrong and were accepted by configuration",
    }
    tables = []
    for kind in NOTE_KINDS:
        notes = getattr(evidence.inventory, kind)
        rows = tuple((note.tile or NONE, note.band or NONE, note.path or NONE, note.reason) for note in notes)
        if rows:
            more = left_out(len(rows), "inventory.json")
            tables.append(Table(titles.get(kind, kind), ("tile", "band", "path", "note"), rows[:_MOST_ROWS], more))
    return tables


def note_lists(evidence: Evidence) -> list[tuple[str, list[str], str]]:
    """Return the notes of outlines, grid and split: title, the first notes, and what was left out."""
    titles = {"outlines": "Outlines: repaired and skipped", "grid": "Grid", "split": "Split"}
    notes = evidence.audit["notes"]
    return [
        (
            title,
            [_shortened(note) for note in notes.get(kind, [])[:_MOST_ROWS]],
            left_out(len(notes.get(kind, [])), "split.json"),
        )
        for kind, title in titles.items()
    ]


def _shortened(note: str) -> str:
    if len(note) <= _MOST_LETTERS:
        return note
    return f"{note[:_MOST_LETTERS].rpartition(', ')[0]}, and more, see split.json"


def band_settings(evidence: Evidence) -> Table:
    """Return the bands as configured."""
    settings = evidence.settings
    rows = [
        (
            band.name,
            band.role.value,
            band.suffix or NONE,
            str(band.nodata).replace("-", "\u2212"),
            f"{band.scale:g}",
            f"{band.offset:g}",
            NONE if band.valid_min is None else number(band.valid_min),
            NONE if band.valid_max is None else number(band.valid_max),
            band.unit or NONE,
        )
        for band in (*settings.schema_bands, *settings.quality_bands)
    ]
    head = ("band", "role", "file ends in", "#nodata", "#scale", "#offset", "#lowest", "#highest", "unit")
    return Table("Bands of the stack, in order, then bands that are mosaicked only", head, tuple(rows))


def configuration(evidence: Evidence) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Return all settings but the bands: section, and key, value, and whether it differs from the default."""
    settings = evidence.settings
    top = [("region", settings.region, False), ("years", ", ".join(map(str, settings.years)), False)]
    sections = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Section):
            fields = type(value).model_fields
            rows = [
                (key, _plain(getattr(value, key)), not field.is_required() and getattr(value, key) != field.default)
                for key, field in fields.items()
            ]
            sections.append((name, rows))
        elif name not in {"region", "years", "bands", "data_root"}:
            top.append((name, _plain(value), False))
    return [("region", top), *sections]


def left_out(count: int, where: str) -> str:
    """Return what a list of `count` leaves out; empty where it is shown whole."""
    return f"and {count - _MOST_ROWS:,} more, see {where}" if count > _MOST_ROWS else ""


def first_of(names: Sequence[str], where: str) -> str:
    """Return the first names in one line, and how many are left out."""
    more = left_out(len(names), where)
    return ", ".join(names[:_MOST_ROWS]) + (f", {more}" if more else "")


def _plain(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item:g}" for key, item in value.items()) or NONE
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(map(str, value)) or NONE
    return f"{value:g}" if isinstance(value, float) and value != int(value) else str(value)
