"""Match files to tiles and bands by their names, without opening them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.io.inputs.inventory import Note
from gcn_luigi.io.inputs.patterns import BandChoice, Match, PathPattern
from gcn_luigi.io.raster.drivers import other_format
from gcn_luigi.settings import RegionSettings, TileSettings

# Compared without regard to case, because much software for Windows writes .TIF.
_ENDINGS = (".tif", ".tiff")
# The largest number of problems listed in one message. The rest is counted.
_MOST_SHOWN = 20
_LINK_OUT = "a link to outside the data root; it is followed"
_FIX_FORMAT = (
    "write each band of each tile as one GeoTIFF whose bands are the years: <optical>/<tile>/x_nbr.tif. For NetCDF and "
    'Zarr, give the bands path = "cube.zarr"; unpack an archive; for other formats use `rio convert`. '
    "docs/howto/own-data.md shows how"
)
_FIX_PATH = "correct bands.path, or data_root, where it starts; * stands for text that does not matter"
_FIX_DUPLICATE = "remove one of them, or set tiles.on_duplicate = 'first'"
_FIX_LINK = "restore the target of the link, remove the link, or name it in tiles.exclude"
FIX_MISSING = "supply it, or set tiles.on_missing = 'gap' to leave nodata there"
FIX_NO_TILE = f"{FIX_MISSING}; if it is not a tile, name it in tiles.exclude"


@dataclass(frozen=True)
class Candidate:
    """A file that was chosen by its name.

    `base` is the directory that contains its tile directory, or the pattern of its path. `choice` is None for files in
    tile directories, and `year` is the year that a pattern found in the path. `is_made` is that of `SourceFile`.
    """

    base: str
    tile: str
    band: Band
    path: str
    choice: BandChoice | None = None
    year: int | None = None
    is_made: bool = False


@dataclass
class Findings:
    """The notes and problems of a scan. They are collected so that all problems can be reported at once."""

    notes: dict[str, list[Note]] = field(default_factory=dict)
    problems: list[tuple[Note, str]] = field(default_factory=list)

    def note(self, kind: str, note: Note) -> None:
        """Record a finding that does not stop the scan."""
        self.notes.setdefault(kind, []).append(note)

    def problem(self, note: Note, fix: str) -> None:
        """Record a finding that stops the scan."""
        self.problems.append((note, fix))

    def check(self, root: Path) -> None:
        """Raise one InputError that lists all problems, if there are any."""
        if not self.problems:
            return
        ordered = sorted(self.problems)
        lines = [_line(note) for note, _ in ordered[:_MOST_SHOWN]]
        if len(ordered) > _MOST_SHOWN:
            lines.append(f"and {len(ordered) - _MOST_SHOWN} more")
        count = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
        raise InputError(
            f"{count} with the tiles, first: {_line(ordered[0][0])}",
            where=f"{root}\n    " + "\n    ".join(lines),
            fix="; ".join(dict.fromkeys(fix for _, fix in ordered)),
        )


def _line(note: Note) -> str:
    # Files of a path without {tile} have a band and no tile.
    of_tile = f"tile {note.tile or '?'}" if note.tile or not note.band else ""
    words = (of_tile, f"band {note.band}" if note.band else "", note.path)
    return f"{' '.join(word for word in words if word)}: {note.reason}"


def base_directories(settings: RegionSettings) -> dict[Role, str]:
    """Return the directory with the tile directories of each configured role. Raise ConfigError for an absolute one."""
    tiles = settings.tiles
    places = {Role.OPTICAL: tiles.optical, Role.QUALITY: tiles.optical, Role.TOPO: tiles.topo}
    used = {table.as_band().role for table in settings.file_tables if table.path is None}
    absolute = sorted({place for role, place in places.items() if role in used and Path(place).is_absolute()})
    if absolute:
        raise ConfigError(
            f"the tile directory {absolute[0]} is given as an absolute path",
            where="tiles.optical, tiles.topo",
            fix="write it relative to data_root, so that the data can be moved",
        )
    return {role: os.path.normpath(place) for role, place in places.items() if role in used}


def band_of(stem: str, bands: Iterable[Band]) -> Band | None:
    """Return the band of a file: the band whose suffix is the end of the file's stem. The longest suffix wins.

    Only whole words after an underscore count: ``north`` does not match ``x_northern``.

    Examples
    --------
    >>> bands = [Band("t", Role.TOPO, "temp"), Band("dem", Role.TOPO, "dem_temp")]
    >>> band_of("ltsim_1125_dem_temp", bands).name
    'dem'
    """
    matching = [band for band in bands if stem == band.suffix or stem.endswith("_" + band.suffix)]
    return max(matching, key=lambda band: len(band.suffix), default=None)


def list_candidates(
    root: Path, settings: RegionSettings, findings: Findings, made: Mapping[str, Sequence[Match]]
) -> tuple[list[Candidate], set[str]]:
    """List the tile directories of a region.

    Notes and problems are added to `findings`. `made` are the files that the build made of cubes, by band.

    Returns
    -------
    candidates : list of Candidate
        At most one per base directory, tile and band.
    tiles : set of str
        Ids of all optical tile directories, including those without a file of any band.

    Raises
    ------
    ConfigError
        Two bands have the same suffix.
    InputError
        A directory does not exist or cannot be listed.
    """
    bands = [table.as_band() for table in settings.file_tables if table.path is None]
    suffixes = [band.suffix for band in bands]
    if len(set(suffixes)) != len(suffixes):
        raise ConfigError(
            "two bands have the same suffix, so a file would belong to both",
            where=f"bands.suffix: {', '.join(sorted(suffixes))}",
            fix="give each band the suffix of its own files",
        )
    candidates = _fitting_files(root, settings, findings, made)
    tiles: set[str] = set()
    places = base_directories(settings)
    if not places:
        return candidates, tiles
    main = places.get(Role.OPTICAL, next(iter(places.values())))
    for base in sorted(set(places.values())):
        for tile, directory in sorted(_tile_directories(root, base, settings.tiles, findings).items()):
            if base == main:
                tiles.add(tile)
            chosen = _band_files(root, _joined(base, directory), tile, bands, settings.tiles, findings)
            for band in sorted(chosen, key=lambda band: band.name):
                if places[band.role] == base:
                    candidates.append(Candidate(base, tile, band, chosen[band]))
                else:
                    reason = f"ends like band {band.name}, whose files lie below {places[band.role]}"
                    findings.note("unmatched", Note(tile, "", chosen[band], reason))
    return candidates, tiles


def path_patterns(settings: RegionSettings) -> list[tuple[PathPattern, BandChoice]]:
    """Return the pattern of each band that has one, and which band of the files it is."""
    return [
        (PathPattern(table.path, band), BandChoice(band, None if table.is_cube else table.band, settings.years))
        for table in settings.bands
        if table.path is not None
        for band in [table.as_band()]
    ]


def tile_sources(root: Path, settings: RegionSettings) -> list[Path]:
    """Return the directories of tiles, and the files that fit the paths of bands. A directory may be absent.

    Cubes are left out, because the inventory lists the files that are made of them.
    """
    places = [root / place for place in settings.tile_directories.values()]
    # Bands of the same files are listed once.
    cubes = {table.name for table in settings.bands if table.is_cube}
    known = (pattern for pattern, _ in path_patterns(settings) if pattern.band.name not in cubes)
    patterns = {pattern.filled: pattern for pattern in known}
    files = {match.path for pattern in patterns.values() for match in pattern.files(root)}
    return [*places, *(root / path for path in sorted(files))]


def _fitting_files(
    root: Path, settings: RegionSettings, findings: Findings, made: Mapping[str, Sequence[Match]]
) -> list[Candidate]:
    """Return the files that fit the patterns of bands, at most one per band, tile and year."""
    chosen: dict[tuple[str, str, int | None], Candidate] = {}
    for pattern, choice in path_patterns(settings):
        band = pattern.band
        is_made = band.name in made
        for match in made[band.name] if is_made else pattern.files(root):
            tile = _tile_id(match.tile, settings.tiles)
            note, name = Note(tile, band.name, match.path, ""), PurePosixPath(match.path).name
            if not is_made and _is_passed_over(name, note, settings.tiles, findings):
                continue
            path = root / match.path
            if not is_made and path.is_symlink() and not path.exists():
                findings.problem(replace(note, reason="a link that leads nowhere, or to itself"), _FIX_LINK)
            elif match.year is not None and match.year not in settings.years:
                findings.note("unmatched", replace(note, reason=f"{match.year} is not one of years"))
            elif (key := (band.name, tile, match.year)) in chosen:
                reason = f"{chosen[key].path} is the same band, tile and year"
                _report_duplicate(replace(note, reason=reason), settings.tiles, findings)
            else:
                chosen[key] = Candidate(pattern.text, tile, band, match.path, choice, match.year, is_made)
                if not is_made and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
                    findings.note("linked", replace(note, reason=_LINK_OUT))
        if not any(candidate.band == band for candidate in chosen.values()):
            findings.problem(Note("", band.name, pattern.text, "no file fits this path"), _FIX_PATH)
    return list(chosen.values())


def _tile_id(name: str, tiles: TileSettings) -> str:
    """Return the id of a tile. Only whole numbers lose their zeros: 0123 and 123 are the same tile."""
    return (name.lstrip("0") or "0") if tiles.strip_zeros and name.isdigit() else name


def _tile_directories(root: Path, base: str, tiles: TileSettings, findings: Findings) -> dict[str, str]:
    """Return the directory name of each tile id in one base directory. Links do not make a directory count twice."""
    found: dict[str, str] = {}
    kind = other_format(root / base)
    if (root / base).is_file() or kind == "Zarr":
        raise InputError(
            f"this is {kind or 'a file'}, but tiles must be GeoTIFFs in one directory per tile",
            where=str(root / base),
            fix=_FIX_FORMAT,
        )
    entries = _entries(root, base)
    listed = _enclosing_directories(root, base)
    used = (entry for entry in entries if not (entry.is_symlink() or _is_excluded(entry.name, tiles)))
    listed |= {_inode(entry): entry.name for entry in used if entry.is_dir()}
    for entry in entries:
        path = _joined(base, entry.name)
        if _is_passed_over(entry.name, Note("", "", path, ""), tiles, findings):
            continue
        if _is_broken(entry):
            findings.problem(Note("", "", path, "a link that leads nowhere, or to itself"), _FIX_LINK)
        elif not entry.is_dir():
            findings.note("unmatched", Note("", "", path, "not inside a tile directory"))
        elif entry.is_symlink() and _inode(entry) in listed:
            reason = f"a link to {listed[_inode(entry)]}, which is listed already; it is not followed"
            findings.note("linked", Note("", "", path, reason))
        else:
            listed[_inode(entry)] = entry.name
            tile = (entry.name.lstrip("0") or "0") if tiles.strip_zeros else entry.name
            if tile in found:
                _report_duplicate(Note(tile, "", path, f"{found[tile]} is the same tile"), tiles, findings)
            else:
                found[tile] = entry.name
                if _leads_out(root, entry):
                    findings.note("linked", Note(tile, "", path, _LINK_OUT))
    return found


def _band_files(
    root: Path, directory: str, tile: str, bands: Sequence[Band], tiles: TileSettings, findings: Findings
) -> dict[Band, str]:
    """Return the path of each band's file in one tile directory, relative to `root`."""
    chosen: dict[Band, str] = {}
    others: list[tuple[Band, str, str]] = []
    for entry in _entries(root, directory):
        path = _joined(directory, entry.name)
        band = band_of(PurePosixPath(entry.name).stem, bands)
        if _is_passed_over(entry.name, Note(tile, "", path, ""), tiles, findings):
            continue
        if band is not None and (kind := other_format(Path(entry.path))):
            others.append((band, path, kind))
        elif band is None or not _is_geotiff(entry):
            findings.note("unmatched", Note(tile, "", path, _why_unmatched(entry)))
        elif band in chosen:
            reason = f"{PurePosixPath(chosen[band]).name} stands for the same band"
            _report_duplicate(Note(tile, band.name, path, reason), tiles, findings)
        else:
            chosen[band] = path
            if _leads_out(root, entry):
                findings.note("linked", Note(tile, band.name, path, _LINK_OUT))
    for band, path, kind in others:
        if band in chosen:
            findings.note("unmatched", Note(tile, band.name, path, f"is {kind}; the GeoTIFF is read"))
        else:
            findings.problem(Note(tile, band.name, path, f"is {kind}, and tiles are read from GeoTIFF"), _FIX_FORMAT)
    return chosen


def _is_geotiff(entry: os.DirEntry[str]) -> bool:
    return not _is_directory(entry) and PurePosixPath(entry.name).suffix.lower() in _ENDINGS


def _why_unmatched(entry: os.DirEntry[str]) -> str:
    if _is_directory(entry):
        return "a directory inside a tile directory is not searched"
    return "ends like no band" if _is_geotiff(entry) else f"does not end in {' or '.join(_ENDINGS)}"


def _entries(root: Path, directory: str) -> list[os.DirEntry[str]]:
    """Return the entries of a directory, sorted by name, without hidden ones."""
    try:
        with os.scandir(root / directory) as found:
            return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"the directory cannot be listed: {error.strerror}",
            where=str(root / directory),
            fix="check data_root, tiles.optical and tiles.topo, and the permissions",
        ) from error


def _is_passed_over(name: str, note: Note, tiles: TileSettings, findings: Findings) -> bool:
    """Return whether the name of an entry is unusable or excluded, and record why."""
    if not name.isprintable():
        unprintable = Note(note.tile, "", ascii(note.path), "the name holds unprintable characters")
        findings.problem(unprintable, "rename it")
        return True
    if _is_excluded(name, tiles):
        findings.note("rejected", Note(note.tile, "", note.path, "excluded by tiles.exclude"))
        return True
    return False


def _is_excluded(name: str, tiles: TileSettings) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in tiles.exclude)


def _report_duplicate(note: Note, tiles: TileSettings, findings: Findings) -> None:
    if tiles.on_duplicate == "first":
        findings.note("duplicates", note)
    else:
        findings.problem(note, _FIX_DUPLICATE)


def _joined(*parts: str) -> str:
    return PurePosixPath(*parts).as_posix()


def _leads_out(root: Path, entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(os.path.realpath(root))


def _is_broken(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a link that leads to nothing or to itself."""
    return entry.is_symlink() and not Path(entry.path).exists()


def _is_directory(entry: os.DirEntry[str]) -> bool:
    # `DirEntry.is_dir` fails for a link to itself.
    return not _is_broken(entry) and entry.is_dir()


def _inode(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Return the device and inode, which are the same for a directory and all links to it."""
    status = entry.stat()
    return status.st_dev, status.st_ino


def _enclosing_directories(root: Path, base: str) -> dict[tuple[int, int], str]:
    """Return the directories that links may not lead back to, by device and inode: `base` and its parents up to `root`.

    The values describe each directory for a note.
    """
    inner = root / base
    places = [place for place in (inner, *inner.parents) if place == root or place.is_relative_to(root)]
    return {
        (status.st_dev, status.st_ino): "the directory it is in" if place == inner else "a directory around it"
        for place in reversed(places)
        for status in [place.stat()]
    }
