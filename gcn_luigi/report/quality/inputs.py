"""What the dataset was made from: tiles with their pixel counts, notes of scan and import, bands and settings."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from gcn_luigi.bands import Band
from gcn_luigi.io.inputs.inventory import NOTE_KINDS
from gcn_luigi.report.quality.data import ReportData
from gcn_luigi.report.tables import NONE, Cell, Table, count_bar, number
from gcn_luigi.settings import RegionSettings
from gcn_luigi.settings.section import Section

_MOST_NOTES, _MOST_TILES = 25, 20
# Longest text of a note, because a note may name every outline of a large region.
_MOST_LETTERS = 1000
# The notes of the import begin with their count and name examples after a colon.
_COUNTED = re.compile(r"(\d+) ([^:]+)")
_NOTE_TITLES = {
    "missing": "Missing files of tiles",
    "duplicates": "Files ignored because another file has the same band and tile",
    "rejected": "Files ignored because of the configuration",
    "unmatched": "Files that belong to no band, and tiles without optical files",
    "linked": "Links that leave the data root, or lead to a directory that is already listed",
    "overlaps": "Pairs of tiles that share pixels",
    "suspect": "Files that look wrong but that the configuration accepts",
}


def stage_table(data: ReportData) -> Table:
    """Return how many tile files, partitions and candidate chips were found, used and left out."""
    inventory = data.inventory
    passed_over = len(inventory.duplicates) + len(inventory.rejected)
    outcomes = [data.statistics["chips"][split] for split in data.splits]
    candidates = sum(sum(counts.values()) for counts in outcomes)
    kept = sum(counts.get("kept", 0) for counts in outcomes)
    stages = (
        ("Tile files of the configured bands", len(inventory.files) + passed_over, passed_over),
        ("Partitions", len(data.catalog), data.audit["n_unused"]),
        ("Candidate chips of the used partitions", candidates, candidates - kept),
    )
    rows = tuple((name, number(count), number(count - out), count_bar(out, count)) for name, count, out in stages)
    return Table("From tiles to chips", ("stage", "#found", "#used", "#left out"), rows)


def input_table(data: ReportData) -> Table:
    """Return what was ignored, repaired or recorded about tiles, outlines, grid and split."""
    rows: list[tuple[Cell, ...]] = []
    for kind in NOTE_KINDS:
        title = _NOTE_TITLES.get(kind, kind)
        rows.append(("tiles", title[0].lower() + title[1:], number(len(getattr(data.inventory, kind)))))
    for name, quality in data.tile_quality.items():
        if infinite := quality.get("infinite", 0):
            rows.append(("tiles", f"infinite pixels of {name}, which count as missing", number(infinite)))
        if lost := quality.get("lost", 0):
            kept = "missing" if data.settings.convert.overflow == "nodata" else "the nearest value that fits"
            what = f"pixels of {name} that do not fit {data.settings.stack.dtype}, stored as {kept}"
            rows.append(("tiles", what, number(lost)))
    warped = sum(bool(file.resampling) for file in (*data.inventory.files, *data.inventory.layers))
    if warped:
        rows.append(("tiles", "files that are warped onto the lattice", number(warped)))
    for kind in ("outlines", "grid", "split"):
        notes = data.audit["notes"].get(kind, [])
        if not notes:
            rows.append((kind, "no repairs, omissions or notes", number(0)))
        for note in notes:
            counted = _COUNTED.match(note)
            rows.append((kind, counted[2], number(int(counted[1]))) if counted else (kind, note, NONE))
    return Table("Inputs that were ignored, repaired or have notes", ("input", "what", "#count"), tuple(rows))


def tile_table(data: ReportData) -> Table:
    """Return valid, missing and out-of-range pixels of each band, over all its tiles and years."""
    rows: list[tuple[Cell, ...]] = []
    for name, found in data.tile_quality.items():
        totals = found["totals"]
        unusable = (totals["missing"] + totals["out_of_range"]) / max(sum(totals.values()), 1)
        n_files = len({row["path"] for row in found["tiles"]})
        limits = (number(found[key]) for key in ("valid_min", "valid_max"))
        counts = (number(totals[key]) for key in ("valid", "missing", "out_of_range"))
        rows.append((name, number(n_files), *limits, *counts, f"{unusable:.1%}"))
    return Table(
        "Pixels of all tiles in all years; where tiles overlap, a pixel counts once per tile",
        ("band", "#files", "#lowest", "#highest", "#valid", "#missing", "#out of range", "#unusable"),
        tuple(rows),
    )


def out_of_range_table(data: ReportData) -> Table:
    """Return the tiles with the most values outside the valid range of their band."""
    found = [
        row | {"band": name}
        for name, quality in data.tile_quality.items()
        for row in quality["tiles"]
        if row["out_of_range"]
    ]
    found.sort(key=lambda row: (-row["out_of_range"], row["path"], row["year"] or 0))
    rows: list[tuple[Cell, ...]] = []
    for row in found[:_MOST_TILES]:
        count = row["out_of_range"]
        pixels = max(row["valid"] + row["missing"] + count, 1)
        rows.append((row["path"], row["band"], _year(row), number(count), f"{count / pixels:.2%}"))
    return Table(
        "Tiles with values outside the valid range of their band, largest count first",
        ("file", "band", "year", "#out of range", "#of its pixels"),
        tuple(rows),
        _left_out(len(found), _MOST_TILES, "tile_quality"),
    )


def suspect_table(data: ReportData) -> Table:
    """Return the tiles in which pixels seem to be missing but are not declared so, largest share first."""
    found = [row for quality in data.tile_quality.values() for row in quality.get("suspect", ())]
    found.sort(key=lambda row: (-row["share"], row["path"], row["year"] or 0))
    return Table(
        "Tiles in which one value may mean missing, but is not declared so and is used as measured; flat water and "
        "saturated snow can look the same",
        ("file", "band", "year", "what looks suspicious"),
        tuple((row["path"], row["band"], _year(row), row["reason"]) for row in found[:_MOST_TILES]),
        _left_out(len(found), _MOST_TILES, "tile_quality"),
    )


def _year(row: dict[str, Any]) -> str:
    return NONE if row["year"] is None else str(row["year"])


def inventory_tables(data: ReportData) -> Iterator[Table]:
    """Yield one table for each kind of note that the scan of the tiles made."""
    head = ("tile", "band", "path", "note")
    for kind in NOTE_KINDS:
        notes = getattr(data.inventory, kind)
        if notes:
            rows = tuple((note.tile or NONE, note.band or NONE, note.path or NONE, note.reason) for note in notes)
            more = _left_out(len(rows), _MOST_NOTES, "inventory.json")
            yield Table(_NOTE_TITLES.get(kind, kind), head, rows[:_MOST_NOTES], more)


def note_lists(data: ReportData) -> list[tuple[str, list[str], str]]:
    """Return the notes on outlines, label, grid and split: title, the first notes, and how many more there are."""
    every = [
        (title, data.audit["notes"].get(kind, []), "split.json")
        for kind, title in (("outlines", "Outlines: repaired and skipped"), ("grid", "Grid"), ("split", "Split"))
    ]
    if data.label_notes is not None:
        every.insert(1, ("Label", _label_notes(data.label_notes), "label.json"))
    return [
        (title, [_shortened(note) for note in notes[:_MOST_NOTES]], _left_out(len(notes), _MOST_NOTES, where))
        for title, notes, where in every
    ]


def _label_notes(content: dict[str, Any]) -> list[str]:
    """Return what is to be known about a label that was made from outlines, with or without votes."""
    counts = {
        "ice_pixels_outside": "pixels with enough votes for ice outside every outline",
        "ice_pixels_inside": "pixels with enough votes for ice inside outlines",
        "debris_pixels_outside": "pixels of debris outside every outline",
        "contested_pixels": "pixels that polygons of several classes contain; the smallest polygon counts",
    }
    return [*(f"{number(content[key])} {text}" for key, text in counts.items() if content.get(key)), *content["notes"]]


def _shortened(note: str) -> str:
    if len(note) <= _MOST_LETTERS:
        return note
    return f"{note[:_MOST_LETTERS].rpartition(', ')[0]}, and more, see split.json"


def first_names(names: Sequence[str], where: str) -> str:
    """Return the first names in one line, and how many more there are."""
    more = _left_out(len(names), _MOST_NOTES, where)
    return ", ".join(names[:_MOST_NOTES]) + (f", {more}" if more else "")


def _left_out(count: int, most: int, where: str) -> str:
    return f"and {count - most:,} more, see {where}" if count > most else ""


def band_settings(data: ReportData) -> Table:
    """Return the bands as configured."""
    settings = data.settings
    unstacked = [band for band in settings.topo_bands if not band.stacked]
    rows = tuple(
        (
            band.name,
            band.role.value,
            _place(band, settings),
            str(band.nodata).replace("-", "\u2212"),
            f"{band.scale:g}",
            f"{band.offset:g}",
            number(band.valid_min),
            number(band.valid_max),
            band.unit or NONE,
        )
        for band in (*settings.schema_bands, *unstacked, *settings.quality_bands)
    )
    head = ("band", "role", "files", "#nodata", "#scale", "#offset", "#lowest", "#highest", "unit")
    return Table("Bands of the stack in their order, then bands of which only mosaics are made", head, rows)


def _place(band: Band, settings: RegionSettings) -> str:
    """Return where the files of a band are: a pattern, the end of their names, or what the band is derived from."""
    if band.derive:
        return "derived"
    # Label and distance have no table of their own.
    paths = [table.path for table in settings.bands if table.name == band.name and table.path]
    return paths[0] if paths else f"names end in {band.suffix}" if band.suffix else NONE


def configuration(data: ReportData) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Return all settings but the bands: section, and key, value, and whether it differs from the default."""
    settings = data.settings
    top = [("region", settings.region, False), ("years", ", ".join(map(str, settings.years)), False)]
    sections = []
    for name in settings.given_fields:
        value = getattr(settings, name)
        if isinstance(value, Section):
            sections.append((name, list(_rows(value))))
        elif name == "classes":
            top.append((name, data.classes.described(), not data.classes.is_default))
        elif name not in {"region", "years", "bands", "data_root"}:
            top.append((name, _plain(value), False))
    return [("region", top), *sections]


def _rows(section: Section, prefix: str = "") -> Iterator[tuple[str, str, bool]]:
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, Section):
            yield from _rows(value, f"{key}.")
        else:
            yield prefix + key, _plain(value), not field.is_required() and value != field.default


def _holds_sections(values: Iterable[Any]) -> bool:
    return any(isinstance(item, BaseModel) for item in values)


def _plain(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items()) or NONE
    if isinstance(value, BaseModel):
        given = ((key, item) for key, item in value if item is not None)
        return ", ".join(f"{key} {_plain(item)}" for key, item in given) or NONE
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "; ".join(map(_plain, value)) if _holds_sections(value) else ", ".join(map(_plain, value)) or NONE
    return f"{value:g}" if isinstance(value, float) and value != int(value) else str(value)
