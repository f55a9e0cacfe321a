"""Files that are missing: bands that tiles lack, and years for which a pattern finds no file."""

from collections.abc import Iterable

from gcn_luigi.bands import Role
from gcn_luigi.io.inputs.inventory import Note, tile_order
from gcn_luigi.io.inputs.matching import FIX_MISSING, FIX_NO_TILE, Candidate, Findings, base_directories, path_patterns
from gcn_luigi.settings import RegionSettings


def find_missing(
    candidates: Iterable[Candidate], tiles: set[str], settings: RegionSettings, findings: Findings
) -> None:
    """Report files that optical tiles lack, and note tiles that only have topography."""
    bases = base_directories(settings)
    listed = [candidate for candidate in candidates if candidate.choice is None]
    found = {(candidate.tile, candidate.band.name) for candidate in listed}
    present = {(candidate.tile, candidate.base) for candidate in listed}
    bands = [table.as_band() for table in settings.file_tables if table.path is None]
    missing = []
    for tile in sorted(tiles, key=tile_order):
        for base in sorted(set(bases.values())):
            if (tile, base) not in present:
                missing.append(Note(tile, "", base, "no file of any band in this tile's directory"))
                continue
            lacking = [band for band in bands if bases[band.role] == base and (tile, band.name) not in found]
            missing += [Note(tile, band.name, base, f"no file ends in _{band.suffix}.tif") for band in lacking]
    for note in missing:
        if settings.tiles.on_missing == "gap":
            findings.note("missing", note)
        else:
            findings.problem(note, FIX_MISSING if note.band else FIX_NO_TILE)
    for tile, base in sorted(present):
        if tile not in tiles:
            findings.note("unmatched", Note(tile, "", base, "a tile without optical files"))


def find_missing_years(candidates: Iterable[Candidate], settings: RegionSettings, findings: Findings) -> None:
    """Report tiles and years for which a band with a path has no file.

    If its path names the tile, a band needs every tile that any other band has; topography may have other tiles than
    optical and quality bands. If its path names the year, it needs every year.
    """
    # For topography, and for all others.
    tiles: dict[bool, set[str]] = {True: set(), False: set()}
    patterns = {pattern.band.name: pattern for pattern, _ in path_patterns(settings)}
    found: dict[tuple[str, str], set[int | None]] = {}
    for candidate in candidates:
        if candidate.choice is not None:
            if patterns[candidate.band.name].has_tile:
                tiles[candidate.band.role is Role.TOPO].add(candidate.tile)
            found.setdefault((candidate.band.name, candidate.tile), set()).add(candidate.year)
    for pattern in patterns.values():
        band = pattern.band
        needed = sorted(tiles[band.role is Role.TOPO], key=tile_order) if pattern.has_tile else [""]
        if not any(name == band.name for name, _ in found):
            continue
        for tile in needed:
            years = found.get((band.name, tile), set())
            missing = [year for year in settings.years if year not in years] if pattern.has_year else []
            if not years or missing:
                reason = f"no file for {', '.join(map(str, missing))}" if missing else "no file"
                note = Note(tile, band.name, pattern.text, reason)
                if settings.tiles.on_missing == "gap":
                    findings.note("missing", note)
                else:
                    findings.problem(note, FIX_MISSING)
