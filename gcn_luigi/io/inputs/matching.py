"""Which file stands for which band of which tile, by name alone; no file is opened."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.io.inputs.inventory import Note
from gcn_luigi.io.inputs.links import around, identity, is_broken, is_directory, leads_out
from gcn_luigi.io.inputs.other_formats import FIX as FIX_FORMAT
from gcn_luigi.io.inputs.other_formats import other_format
from gcn_luigi.settings import RegionSettings, TileSettings

# In any case: much software for Windows writes .TIF.
_ENDINGS = (".tif", ".tiff")
# Problems spelled out in one message; the rest is counted.
_SHOWN = 20
_FIX_DUPLICATE = "remove one of them, or set tiles.on_duplicate = 'first'"
_FIX_LINK = "restore what it leads to, remove it, or name it in tiles.exclude"
_LINK_OUT = "a link to outside the data root; it is followed"
FIX_MISSING = "supply it, or set tiles.on_missing = 'gap' to leave nodata there"
FIX_NO_TILE = f"{FIX_MISSING}; if it is no tile, name it in tiles.exclude"


@dataclass(frozen=True)
class Candidate:
    """A file chosen by its name; `home` is the directory that its tile directory lies in."""

    home: str
    tile: str
    band: Band
    path: str


@dataclass
class Findings:
    """What a scan gathers on its way, so that everything wrong is told at once."""

    notes: dict[str, list[Note]] = field(default_factory=dict)
    problems: list[tuple[Note, str]] = field(default_factory=list)

    def note(self, kind: str, note: Note) -> None:
        """Record something that does not stop the scan."""
        self.notes.setdefault(kind, []).append(note)

    def problem(self, note: Note, fix: str) -> None:
        """Record something that does."""
        self.problems.append((note, fix))

    def check(self, root: Path) -> None:
        """Raise one InputError that lists all problems, if there are any."""
        if not self.problems:
            return
        ordered = sorted(self.problems)
        lines = [_line(note) for note, _ in ordered[:_SHOWN]]
        if len(ordered) > _SHOWN:
            lines.append(f"and {len(ordered) - _SHOWN} more")
        count = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
        raise InputError(
            f"{count} with the tiles, first: {_line(ordered[0][0])}",
            where=f"{root}\n    " + "\n    ".join(lines),
            fix="; ".join(dict.fromkeys(fix for _, fix in ordered)),
        )


def _line(note: Note) -> str:
    of_band = f" band {note.band}" if note.band else ""
    of_path = f" {note.path}" if note.path else ""
    return f"tile {note.tile or '?'}{of_band}{of_path}: {note.reason}"


def homes(settings: RegionSettings) -> dict[Role, str]:
    """Return, for each role that is configured, the directory that holds its tile directories.

    Raises
    ------
    ConfigError
        A directory is absolute.
    """
    places = {
        Role.OPTICAL: settings.tiles.optical,
        Role.QUALITY: settings.tiles.optical,
        Role.TOPO: settings.tiles.topo,
    }
    used = {table.band().role for table in settings.bands}
    absolute = sorted({place for role, place in places.items() if role in used and Path(place).is_absolute()})
    if absolute:
        raise ConfigError(
            f"the tile directory {absolute[0]} is absolute",
            where="tiles.optical, tiles.topo",
            fix="give it relative to data_root, so that the dataset can be moved",
        )
    return {role: os.path.normpath(place) for role, place in places.items() if role in used}


def band_of(stem: str, bands: Iterable[Band]) -> Band | None:
    """Return the band a file belongs to, by the end of its stem; the longest suffix wins.

    Only whole words after an underscore count: ``north`` does not match ``x_northern``.

    Examples
    --------
    >>> bands = [Band("t", Role.TOPO, "temp"), Band("dem", Role.TOPO, "dem_temp")]
    >>> band_of("ltsim_1125_dem_temp", bands).name
    'dem'
    """
    matching = [band for band in bands if stem == band.suffix or stem.endswith("_" + band.suffix)]
    return max(matching, key=lambda band: len(band.suffix), default=None)


def list_candidates(root: Path, settings: RegionSettings, findings: Findings) -> tuple[list[Candidate], set[str]]:
    """List the tile directories of a region.

    Parameters
    ----------
    root : Path
        The data root.
    settings : RegionSettings
        Directories, bands and what to do about duplicates.
    findings : Findings
        Takes the notes and problems; modified.

    Returns
    -------
    candidates : list of Candidate
        At most one for each home, tile and band.
    tiles : set of str
        Ids of all tile directories on the optical side, also of those without a file of any band.

    Raises
    ------
    ConfigError
        Two bands have the same suffix.
    InputError
        A directory is absent or cannot be listed.
    """
    bands = [table.band() for table in settings.bands]
    suffixes = [band.suffix for band in bands]
    if len(set(suffixes)) != len(suffixes):
        raise ConfigError(
            "two bands have the same suffix, so a file would belong to both",
            where=f"bands.suffix: {', '.join(sorted(suffixes))}",
            fix="give each band the ending of its own files",
        )
    places = homes(settings)
    main = places.get(Role.OPTICAL, next(iter(places.values())))
    candidates: list[Candidate] = []
    tiles: set[str] = set()
    for home in sorted(set(places.values())):
        for tile, directory in sorted(_directories(root, home, settings.tiles, findings).items()):
            if home == main:
                tiles.add(tile)
            chosen = _files(root, home, (tile, directory), bands, settings.tiles, findings)
            for name in sorted(chosen):
                band = next(band for band in bands if band.name == name)
                if places[band.role] == home:
                    candidates.append(Candidate(home, tile, band, chosen[name]))
                else:
                    reason = f"ends like band {name}, whose files lie below {places[band.role]}"
                    findings.note("unmatched", Note(tile, "", chosen[name], reason))
    return candidates, tiles


def _directories(root: Path, home: str, tiles: TileSettings, findings: Findings) -> dict[str, str]:
    """Return the directory name of each tile id below one home; none is entered twice by way of links."""
    found: dict[str, str] = {}
    _check_home(root / home)
    entries = _entries(root, home)
    listed = around(root, home)
    used = (entry for entry in entries if not (entry.is_symlink() or _is_excluded(entry.name, tiles)))
    listed |= {identity(entry): entry.name for entry in used if entry.is_dir()}
    for entry in entries:
        path = _joined(home, entry.name)
        if not _is_plain(entry.name):
            findings.problem(Note("", "", ascii(path), "the name holds unprintable characters"), "rename it")
        elif _is_excluded(entry.name, tiles):
            findings.note("rejected", Note("", "", path, "excluded by tiles.exclude"))
        elif is_broken(entry):
            findings.problem(Note("", "", path, "a link that leads nowhere, or to itself"), _FIX_LINK)
        elif not entry.is_dir():
            findings.note("unmatched", Note("", "", path, "not inside a tile directory"))
        elif entry.is_symlink() and identity(entry) in listed:
            reason = f"a link to {listed[identity(entry)]}, which is listed already; it is not followed"
            findings.note("linked", Note("", "", path, reason))
        else:
            listed[identity(entry)] = entry.name
            tile = (entry.name.lstrip("0") or "0") if tiles.strip_zeros else entry.name
            if tile in found:
                reason = f"{found[tile]} is the same tile"
                _duplicate(Note(tile, "", path, reason), tiles, findings)
            else:
                found[tile] = entry.name
                _note_link(root, entry, Note(tile, "", path, _LINK_OUT), findings)
    return found


def _check_home(directory: Path) -> None:
    """Refuse a file, or a store of another format, in the place of a directory of tile directories."""
    kind = other_format(directory)
    if directory.is_file() or kind == "Zarr":
        raise InputError(
            f"tiles are GeoTIFFs in a directory for each tile, and this is {kind or 'a file'}",
            where=str(directory),
            fix=FIX_FORMAT,
        )


def _files(
    root: Path,
    home: str,
    place: tuple[str, str],
    bands: Sequence[Band],
    tiles: TileSettings,
    findings: Findings,
) -> dict[str, str]:
    """Return the path, relative to `root`, of each band's file in one tile directory."""
    tile, directory = place
    chosen: dict[str, str] = {}
    others: dict[str, Path] = {}
    for entry in _entries(root, _joined(home, directory)):
        path = _joined(home, directory, entry.name)
        name = PurePosixPath(entry.name)
        band = band_of(name.stem, bands)
        if not _is_plain(entry.name):
            findings.problem(Note(tile, "", ascii(path), "the name holds unprintable characters"), "rename it")
        elif _is_excluded(entry.name, tiles):
            findings.note("rejected", Note(tile, "", path, "excluded by tiles.exclude"))
        elif band is not None and other_format(Path(entry.path)):
            others[path] = Path(entry.path)
        elif is_directory(entry):
            findings.note("unmatched", Note(tile, "", path, "a directory inside a tile directory is not searched"))
        elif name.suffix.lower() not in _ENDINGS:
            findings.note("unmatched", Note(tile, "", path, f"does not end in {' or '.join(_ENDINGS)}"))
        elif band is None:
            findings.note("unmatched", Note(tile, "", path, "ends like no band"))
        elif band.name in chosen:
            reason = f"{PurePosixPath(chosen[band.name]).name} stands for the same band"
            _duplicate(Note(tile, band.name, path, reason), tiles, findings)
        else:
            chosen[band.name] = path
            _note_link(root, entry, Note(tile, band.name, path, _LINK_OUT), findings)
    _note_others(others, (tile, chosen), bands, findings)
    return chosen


def _note_others(
    others: Mapping[str, Path], place: tuple[str, Mapping[str, str]], bands: Sequence[Band], findings: Findings
) -> None:
    """Tell of files of other formats: a problem, unless a GeoTIFF stands for the same band."""
    tile, chosen = place
    for path, file in others.items():
        band = band_of(file.stem, bands)
        kind = other_format(file)
        if band is not None and band.name in chosen:
            findings.note("unmatched", Note(tile, band.name, path, f"is {kind}; the GeoTIFF is read"))
        elif band is not None:
            findings.problem(Note(tile, band.name, path, f"is {kind}, and tiles are read from GeoTIFF"), FIX_FORMAT)


def _entries(root: Path, directory: str) -> list[os.DirEntry[str]]:
    """Return what lies in a directory, by name; hidden entries are left out."""
    try:
        with os.scandir(root / directory) as found:
            return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"the directory cannot be listed: {error.strerror}",
            where=str(root / directory),
            fix="check data_root, tiles.optical and tiles.topo, and the permissions",
        ) from error


def _duplicate(note: Note, tiles: TileSettings, findings: Findings) -> None:
    if tiles.on_duplicate == "first":
        findings.note("duplicates", note)
    else:
        findings.problem(note, _FIX_DUPLICATE)


def _note_link(root: Path, entry: os.DirEntry[str], note: Note, findings: Findings) -> None:
    if leads_out(root, entry):
        findings.note("linked", note)


def _joined(*parts: str) -> str:
    return PurePosixPath(*parts).as_posix()


def _is_plain(name: str) -> bool:
    return name.isprintable()


def _is_excluded(name: str, tiles: TileSettings) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in tiles.exclude)
