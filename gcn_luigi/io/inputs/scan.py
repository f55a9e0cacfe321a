"""Find the tiles of a region, check every header, and report all problems at once."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from gcn_luigi.bands import Role
from gcn_luigi.errors import GcnLuigiError, InputError, LatticeError
from gcn_luigi.io.inputs.alignment import OFFER, find_layers, region_lattice, usual_lattice
from gcn_luigi.io.inputs.inventory import NOTE_KINDS, Inventory, Note, SourceFile, tile_order
from gcn_luigi.io.inputs.matching import (
    Candidate,
    Findings,
    base_directories,
    list_candidates,
)
from gcn_luigi.io.inputs.missing import find_missing, find_missing_years
from gcn_luigi.io.inputs.patterns import Match
from gcn_luigi.io.raster.crs import crs_code, crs_of
from gcn_luigi.io.raster.header import COPY_FIRST, Header, fix_unwritten, header_reader, window_on
from gcn_luigi.io.raster.placement import EVERYWHERE
from gcn_luigi.io.raster.warp import suited_method
from gcn_luigi.lattice import Lattice, Window, WindowSet
from gcn_luigi.prepare.layers.terrain import length_unit
from gcn_luigi.prepare.missing.described_years import contradicts, described_years
from gcn_luigi.settings import RegionSettings

_T = TypeVar("_T", bound=Hashable)
# Types that convert to int16 without loss.
_OPTICAL_DTYPES = ("int16", "uint8", "int8")
_FIX_YEARS = (
    "correct years, or put the bands into the right order; if the descriptions are wrong, correct them with rio "
    f"edit-info --bidx 1 --description 2000 FILE, or set tiles.on_described_years = 'accept'{COPY_FIRST}"
)
_FIX_LATTICE = f"resample the file onto the region's lattice yourself, {OFFER}; pixels are never shifted silently"
_FIX_EXTENT = "set lattice.bounds, so that only the region is warped"


@dataclass(frozen=True)
class _Opened:
    """A candidate with its header and its window, which refers to its own lattice until it is placed on the region's.

    `_place` sets the window on the region's lattice.
    """

    candidate: Candidate
    header: Header
    window: Window
    # See `SourceFile`.
    numbers: tuple[int, ...] = ()
    resampling: str = ""

    def note(self, reason: str) -> Note:
        return Note(self.candidate.tile, self.candidate.band.name, self.candidate.path, reason)


def scan_tiles(
    root: Path,
    settings: RegionSettings,
    made: Mapping[str, Sequence[Match]] = MappingProxyType({}),
    dataset: Path | None = None,
) -> Inventory:
    """List the tile directories below `root` and check the header of every file that belongs to a band.

    A file belongs to a band if its stem ends in the band's suffix (see `band_of`). The lattice covers
    ``settings.lattice.bounds`` or, without them, the union of the optical tiles. If CRS, pixel size or alignment are
    not configured, those of most files are used. No pixel is read. All paths in the result are relative to `root`, the
    data root; those of files that the build `made` of cubes, given by band, are relative to `dataset`.

    Raises
    ------
    InputError
        A file is missing, given twice or unreadable, or does not fit its band, its tile or the lattice. The message
        lists all problems.
    LatticeError
        The configured CRS is not projected or not in metres, or the bounds are between pixel edges.
    ConfigError
        Two bands share a suffix, or the path of a tile directory is absolute.
    """
    findings = Findings()
    candidates, tiles = list_candidates(root, settings, findings, made)
    roles = {table.as_band().role for table in settings.file_tables}
    main_role = Role.OPTICAL if Role.OPTICAL in roles else Role.TOPO
    if not any(candidate.band.role is main_role for candidate in candidates):
        findings.check(root)
        raise InputError(
            f"no file of any {main_role} band was found",
            where=f"{root}: {', '.join(sorted(set(base_directories(settings).values())))}",
            fix="name the files <directory>/<tile>/*_<suffix>.tif, or correct bands.suffix",
        )
    find_missing(candidates, tiles, settings, findings)
    find_missing_years(candidates, settings, findings)
    paths = [(dataset or root if one.is_made else root) / one.path for one in candidates]
    # Several bands may be in one file.
    read = header_reader(paths)
    tried = [_open(path, one, read, settings, findings) for path, one in zip(paths, candidates, strict=True)]
    opened = [one for one in tried if one is not None]
    fitting = [found for one in opened if (found := _fitted(one, len(settings.years), findings)) is not None]
    _check_years(opened, settings, findings)
    _check_scalings(fitting, findings)
    _check_units(fitting, findings)
    if not fitting:
        findings.check(root)
    placed, lattice = _place(fitting, settings, findings)
    _check_extents(placed, findings)
    findings.check(root)
    inside = _cut(placed, lattice, findings)
    _find_overlaps(inside, findings)
    notes = {kind: tuple(sorted(findings.notes.get(kind, ()))) for kind in NOTE_KINDS}
    files = sorted((_source(one) for one in inside), key=lambda file: (tile_order(file.tile), file.path))
    layers = () if settings.align.resampling is None else find_layers(root, settings, lattice, findings)
    findings.check(root)
    return Inventory(lattice, tuple(files), **notes, layers=layers)


def _open(
    path: Path, candidate: Candidate, read: Callable[[Path], Header], settings: RegionSettings, findings: Findings
) -> _Opened | None:
    try:
        header = read(path)
        if settings.resampling_of(candidate.band.name) is None:
            # It is refused if it has none.
            _ = header.lattice
    except GcnLuigiError as error:
        fix = f"{error.fix}; {OFFER}" if isinstance(error, LatticeError) else error.fix
        findings.problem(Note(candidate.tile, candidate.band.name, candidate.path, error.what), fix)
        return None
    return _Opened(candidate, header, Window(0, 0, header.placement.height, header.placement.width))


def _fitted(one: _Opened, n_years: int, findings: Findings) -> _Opened | None:
    """Return the file with the bands that are used; None, with a report, if its role requires others."""
    band, header, choice = one.candidate.band, one.header, one.candidate.choice
    wanted = 1 if band.role is Role.TOPO else n_years
    dtypes = ", ".join(sorted(set(header.dtypes)))
    before = len(findings.problems)
    if choice is not None:
        try:
            one = replace(one, numbers=choice.numbers(one.candidate.year, header.names, header.items))
        except ValueError as error:
            findings.problem(one.note(str(error)), "correct bands.path or bands.band")
    elif header.count != wanted:
        reason = f"has {header.count} bands, {wanted} expected ({'one' if wanted == 1 else 'one for each of years'})"
        findings.problem(one.note(reason), "supply the whole file, or correct years")
    if band.role is Role.OPTICAL and not band.is_converted and not set(header.dtypes) <= set(_OPTICAL_DTYPES):
        fix = "set convert = true for the band, with the scale that its values need; values are never cast silently"
        findings.problem(one.note(f"holds {dtypes}; optical bands are int16"), fix)
    if "complex" in dtypes:
        findings.problem(one.note(f"holds {dtypes}"), "supply real numbers")
    _check_meaning(one, findings)
    return one if len(findings.problems) == before else None


def _check_meaning(one: _Opened, findings: Findings) -> None:
    """Report tags, masks and blocks that say more about pixels than their values and nodata tags."""
    band, header = one.candidate.band, one.header
    if header.is_scaled and not band.use_tags:
        fix = "set use_tags = true for the band, or remove the tag; the band's own scale and offset come after the tags"
        findings.problem(one.note("carries a scale or offset tag, which would be ignored"), fix)
    if len(_scalings(one)) > 1:
        fix = "write the same scale and offset tags for all bands: rio edit-info --bidx 1 --scale 0.0001 FILE"
        findings.problem(one.note("has bands with different scale or offset tags"), fix)
    if header.has_mask and not band.is_converted:
        fix = "set convert = true for the band, so that its hidden pixels are written as nodata"
        if band.role is Role.QUALITY:
            fix = "write the hidden pixels as the band's nodata value and drop the mask or alpha band"
        findings.problem(one.note("hides pixels by a mask or an alpha band, which is not heeded here"), fix)
    if header.unwritten:
        findings.problem(one.note(header.unwritten), fix_unwritten(header.dtypes, band.nodata))


def _scalings(one: _Opened) -> set[tuple[float, float]]:
    """Return the scale and offset tags of the bands that are used, if tags are asked for."""
    if not one.candidate.band.use_tags:
        return {(1.0, 0.0)}
    numbers = [number for number in one.numbers if number] or range(1, one.header.count + 1)
    return {one.header.scalings[number - 1] for number in numbers}


def _with_usual(fitting: Sequence[_Opened], of: Callable[[_Opened], set[_T]]) -> Iterator[tuple[_Opened, _T, _T]]:
    """Yield each file with its own value and that of most files of its band; `of` returns the one value of a file."""
    usual: dict[str, Counter[_T]] = {}
    for one in fitting:
        usual.setdefault(one.candidate.band.name, Counter()).update(of(one))
    for one in fitting:
        (own,), ((common, _), *_rest) = of(one), usual[one.candidate.band.name].most_common()
        yield one, own, common


def _check_units(fitting: Sequence[_Opened], findings: Findings) -> None:
    """Report files in feet among others, or whose tag says something else than the band's unit."""
    for one, own, common in _with_usual(fitting, lambda one: {length_unit(" ".join(one.header.units))}):
        band = one.candidate.band
        stated = length_unit(band.unit) if (band.scale, band.offset, band.use_tags) == (1.0, 0.0, False) else ""
        wanted = stated or common
        if own and own != wanted and "feet" in (own, wanted):
            others = f"the unit of the band is {band.unit}" if stated else "most files of the band are not"
            fix = "convert the file, or correct bands.unit or the tag: rio edit-info --bidx 1 --units m FILE"
            findings.problem(one.note(f"is tagged as {own}, but {others}"), f"{fix}{COPY_FIRST}")


def _check_scalings(fitting: Sequence[_Opened], findings: Findings) -> None:
    """Report files whose scale or offset tags differ from those of most files of their band."""
    for one, own, common in _with_usual(fitting, _scalings):
        if own != common:
            said, others = (f"scale {scale:g} and offset {offset:g}" for scale, offset in (own, common))
            fix = "write the same scale and offset tags into all files of the band, with pixels that fit them"
            findings.problem(one.note(f"is tagged with {said}, but most files of the band with {others}"), fix)


def _check_years(opened: Iterable[_Opened], settings: RegionSettings, findings: Findings) -> None:
    """Report files whose band descriptions name other years than the settings, one line per tile."""
    wrong: dict[tuple[str, str, str], list[str]] = {}
    for one in opened:
        candidate, header = one.candidate, one.header
        is_by_position = candidate.choice is None or (candidate.choice.wanted is None and candidate.year is None)
        if candidate.band.role is Role.TOPO or not is_by_position or len(header.names) != len(settings.years):
            continue
        described = described_years(header.names, header.items)
        if contradicts(described, settings.years):
            names = ", ".join("?" if year is None else str(year) for year in described)
            key = candidate.tile, PurePosixPath(candidate.path).parent.as_posix(), names
            wrong.setdefault(key, []).append(candidate.band.name)
    for (tile, directory, names), bands in wrong.items():
        years = ", ".join(map(str, settings.years))
        reason = f"bands of {', '.join(bands)} are described as {names}; years are {years}"
        note = Note(tile, "", directory, reason)
        if settings.tiles.on_described_years == "accept":
            findings.note("suspect", note)
        else:
            findings.problem(note, _FIX_YEARS)


def _place(opened: Sequence[_Opened], settings: RegionSettings, findings: Findings) -> tuple[list[_Opened], Lattice]:
    """Return the files that fit the region's lattice, with their windows on it, and the lattice."""
    reference = _reference(opened, settings)
    origin = None
    if settings.lattice.bounds is not None:
        origin = reference.window_of(settings.lattice.bounds, where="lattice.bounds")
        if origin.is_empty:
            fix = "give left, bottom, right, top in metres"
            raise LatticeError("the bounds contain no pixel", where="lattice.bounds", fix=fix)
    placed = []
    for one in opened:
        asked = settings.resampling_of(one.candidate.band.name)
        try:
            placed.append(replace(one, window=window_on(one.header.lattice, reference, where=one.candidate.path)))
        except (InputError, LatticeError) as error:
            if asked is not None:
                placed.append(replace(one, window=one.header.placement.window_on(reference), resampling=asked))
            else:
                fix = _FIX_LATTICE if isinstance(error, LatticeError) else f"{error.fix}, {OFFER}"
                findings.problem(one.note(error.what), fix)
    if origin is None:
        optical = [one for one in placed if one.candidate.band.role is Role.OPTICAL] or placed
        for one in optical:
            if one.window == EVERYWHERE:
                findings.problem(one.note("has pixels without coordinates in the region's CRS"), _FIX_EXTENT)
        windows = [one.window for one in optical if one.window != EVERYWHERE]
        origin = WindowSet(windows or [reference.window]).hull
    lattice = reference.crop(origin)
    moved = [
        replace(one, window=replace(one.window, row=one.window.row - origin.row, col=one.window.col - origin.col))
        for one in placed
    ]
    return [_within(one, lattice, settings) if one.resampling else one for one in moved], lattice


def _within(one: _Opened, lattice: Lattice, settings: RegionSettings) -> _Opened:
    """Return a file that is warped, for the pixels of the lattice alone and by the method that suits it there."""
    window, method = one.window.intersection(lattice.window), one.resampling
    if not window.is_empty and settings.may_average(one.candidate.band.name):
        method = suited_method(method, one.header.placement, lattice, window)
    return replace(one, window=window, resampling=method)


def _reference(opened: Sequence[_Opened], settings: RegionSettings) -> Lattice:
    """Return the lattice that all files are placed on; only its CRS, pixel size and the place of its edges count."""
    configured = settings.lattice
    if settings.is_aligned:
        optical = [one for one in opened if one.candidate.band.role is Role.OPTICAL] or opened
        return region_lattice([one.header for one in optical], configured)
    reference = usual_lattice([one.header.lattice for one in opened])
    if configured.crs is not None:
        reference = replace(reference, crs=crs_code(crs_of(configured.crs, where="lattice.crs")))
    if configured.pixel_size is not None:
        reference = replace(reference, pixel_size=configured.pixel_size)
    return reference


def _check_extents(placed: Sequence[_Opened], findings: Findings) -> None:
    """Report files that cover different pixels than most files of the same tile."""
    groups: dict[tuple[str, str], list[_Opened]] = {}
    for one in placed:
        if one.candidate.choice is None and not one.resampling:
            groups.setdefault((one.candidate.base, one.candidate.tile), []).append(one)
    for group in groups.values():
        usual = Counter(one.window for one in group).most_common(1)[0][0]
        for one in group:
            if one.window != usual:
                rows, cols = one.window.row - usual.row, one.window.col - usual.col
                reason = (
                    f"covers {one.window.height} x {one.window.width} pixels, offset by ({rows}, {cols}); "
                    f"the tile's other files cover {usual.height} x {usual.width}"
                )
                findings.problem(one.note(reason), "supply the whole file")


def _cut(placed: Sequence[_Opened], lattice: Lattice, findings: Findings) -> list[_Opened]:
    """Return the files with pixels on the lattice, and note the others."""
    inside = []
    for one in placed:
        if one.window.intersection(lattice.window).is_empty:
            findings.note("rejected", one.note("lies outside the lattice"))
        else:
            inside.append(one)
    if not inside:
        fix = "correct the bounds, or leave them out"
        raise InputError("no tile has a pixel on the lattice", where="lattice.bounds", fix=fix)
    return inside


def _find_overlaps(placed: Sequence[_Opened], findings: Findings) -> None:
    """Note the tiles of one kind that share pixels."""
    extents: dict[str, dict[str, Window]] = {}
    for one in placed:
        extents.setdefault(one.candidate.base, {})[one.candidate.tile] = one.window
    for base, windows in extents.items():
        tiles = sorted(windows, key=tile_order)
        all_windows = WindowSet([windows[tile] for tile in tiles])
        for first, tile in enumerate(tiles):
            for second in all_windows.meeting(windows[tile]):
                if second > first:
                    common = windows[tile].intersection(windows[tiles[second]])
                    reason = f"shares {common.height} x {common.width} pixels with tile {tiles[second]}"
                    findings.note("overlaps", Note(tile, "", base, reason))


def _source(one: _Opened) -> SourceFile:
    candidate, header = one.candidate, one.header
    dtype, nodata = np.result_type(*header.dtypes).name, header.nodata[0]
    tags = header.nodata if len(set(map(repr, header.nodata))) > 1 else ()
    place = (candidate.tile, candidate.band.name, candidate.path, one.window)
    # By their positions, the bands are the years: nothing needs to be said.
    numbers = () if one.numbers == tuple(range(1, header.count + 1)) else one.numbers
    (scaling,) = _scalings(one)
    late = SourceFile(*place, dtype, nodata, header.count, tags, numbers, mask=header.mask, scaling=scaling)
    return replace(late, is_made=candidate.is_made, resampling=one.resampling)
