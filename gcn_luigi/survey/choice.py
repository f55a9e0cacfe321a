"""Choose the bands of the stack, the lattice and the years among what a first look found."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from rasterio.warp import transform_bounds

from gcn_luigi.errors import few
from gcn_luigi.io.inputs.looks import Look
from gcn_luigi.io.raster.crs import is_same_crs
from gcn_luigi.io.raster.header import is_same_size
from gcn_luigi.prepare.missing.described_years import described_years
from gcn_luigi.survey.bands import BandGuess
from gcn_luigi.survey.draft import Line

# A hundredth of a pixel is an error of writing coordinates.
_OFFSET = 0.01
# The files of a band may be some pixels smaller than those of the others.
_COVERED = 0.97
_DEGREE_M = 111_320.0
_TREE = re.compile(r"(?:(?P<base>[^{}*]+)/)?\{tile\}/[^/]+")


@dataclass(frozen=True)
class Frame:
    """The lattice that most optical files share.

    `bounds` are left, bottom, right, top of the files that were looked at. `off` names bands with other files, each
    with the difference. `crs_guess` and `size_guess` say what these were guessed from; they are empty if all optical
    files share them.
    """

    crs: str
    pixel_size: float
    bounds: tuple[float, float, float, float]
    off: tuple[str, ...]
    crs_guess: str = ""
    size_guess: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the area."""
        left, bottom, right, top = self.bounds
        return round((top - bottom) / self.pixel_size), round((right - left) / self.pixel_size)


@dataclass(frozen=True)
class YearChoice:
    """The years of the composites. `missing` names bands without a file for some of them, for a question."""

    years: tuple[int, ...]
    guess: str = ""
    questions: tuple[str, ...] = ()
    is_gap: bool = False


def without_rivals(guesses: Sequence[BandGuess]) -> tuple[list[BandGuess], list[str]]:
    """Return one band per name, that with the finest pixels, then the most files; and a line for each other."""
    kept: dict[str, BandGuess] = {}
    left_out = []
    for guess in guesses:
        name = guess.name.lower()
        rival = kept.get(name)
        if rival is None:
            kept[name] = guess
            continue
        better, other = sorted((rival, guess), key=_rank)
        kept[name] = better
        left_out.append(f"{other.path}: {better.path} gives the band {better.name}")
    return list(kept.values()), left_out


def _rank(guess: BandGuess) -> tuple[float, int, int]:
    look = guess.image.look
    size = look.pixel_size * (1.0 if look.is_metric else _DEGREE_M)
    return size, -len(guess.years), -len(guess.image.group.files)


def choose_frame(bands: Sequence[BandGuess], others: Sequence[BandGuess]) -> Frame | None:
    """Return the lattice of most optical files, or of topography without them; None if no file has a CRS.

    `others` are rasters that are not bands; they must be on the lattice as well.
    """
    main = [band for band in bands if band.kind == "optical"] or list(bands)
    looks = [look for band in main for look in band.image.looks.values() if look.crs]
    if not looks:
        return None
    crs, _ = Counter(look.crs for look in looks).most_common(1)[0]
    of_crs = [look for look in looks if look.crs == crs]
    crs_guess = "" if len(of_crs) == len(looks) else "that of most optical files"
    if not of_crs[0].is_metric:
        return _in_metres(of_crs, [*bands, *others])
    size = min(look.pixel_size for look in of_crs)
    of_size = [look for look in of_crs if is_same_size(look.pixel_size, size)]
    sizes = {round(look.pixel_size, 6) for look in looks if look.is_metric}
    size_guess = "" if len(sizes) == 1 else "the smallest of the optical files"
    usual, _ = Counter(map(_alignment, of_size)).most_common(1)[0]
    reference = next(look for look in of_size if _alignment(look) == usual)
    off = [f"{band.name} ({why})" for band in (*bands, *others) if (why := _difference(band, reference))]
    return Frame(crs, size, _union_in(crs, looks), tuple(off), crs_guess, size_guess)


def _alignment(look: Look) -> tuple[float, float]:
    return round(look.bounds[0] % look.pixel_size, 2), round(look.bounds[3] % look.pixel_size, 2)


def _in_metres(looks: Sequence[Look], bands: Iterable[BandGuess]) -> Frame:
    """Return the frame for files in degrees: the UTM zone of their middle."""
    left, bottom, right, top = _union(looks)
    zone = int((left + right) / 2 // 6) % 60 + 31
    zone = zone - 60 if zone > 60 else zone
    code = f"EPSG:{326 if top + bottom > 0 else 327}{zone:02d}"
    height = abs(looks[0].transform[4]) * _DEGREE_M
    size = float(f"{height:.1g}") if height < 1 else float(round(height / 5) * 5 or round(height))
    bounds = _union_in(code, looks)
    off = tuple(f"{band.name} (in degrees)" for band in bands if not band.image.look.is_metric)
    why = "because the files are in degrees"
    return Frame(code, size, bounds, off, f"the UTM zone of the middle, {why}", f"about that of the files, {why}")


def _union(looks: Iterable[Look]) -> tuple[float, float, float, float]:
    edges = list(zip(*(look.bounds for look in looks), strict=True))
    return min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3])


def _union_in(crs: str, looks: Iterable[Look]) -> tuple[float, float, float, float]:
    """Return the bounds of rasters in a CRS."""
    placed = [look.bounds if look.crs == crs else transform_bounds(look.crs, crs, *look.bounds) for look in looks]
    edges = list(zip(*placed, strict=True))
    return min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3])


def _difference(band: BandGuess, reference: Look) -> str:
    for look in band.image.looks.values():
        if not look.crs:
            return "without a CRS"
        if not is_same_crs(look.crs, reference.crs):
            return f"in {look.crs[:40]}"
        if not look.is_plain:
            return "rotated, south-up or with oblong pixels"
        if not is_same_size(look.pixel_size, reference.pixel_size):
            return f"pixels of {look.pixel_size:g} m"
        shifts = [
            (one - other) / reference.pixel_size
            for one, other in zip(
                (look.bounds[0], look.bounds[3]), (reference.bounds[0], reference.bounds[3]), strict=True
            )
        ]
        if any(abs(shift - round(shift)) > _OFFSET for shift in shifts):
            return "between the pixels of the others"
    return ""


def choose_years(bands: Sequence[BandGuess], given: Sequence[int], outline_years: Sequence[int]) -> YearChoice:
    """Return the years that all optical bands have, or as many as can be known.

    `given` are years that the user names. `outline_years` are the years of the outlines; they decide the year of a
    single composite without a date.
    """
    optical = [band for band in bands if band.kind == "optical"]
    if given:
        return YearChoice(tuple(sorted(set(given))))
    dated = [set(band.years) for band in optical if band.years]
    if not dated:
        return _undated(optical, outline_years)
    union, common = set.union(*dated), set.intersection(*dated)
    if common == union:
        return YearChoice(tuple(sorted(union)))
    lacking = [
        f"{band.name} ({_listed(union - set(band.years))})"
        for band in optical
        if band.years and union - set(band.years)
    ]
    if common:
        text = (
            f"Years that not every optical band has are left out: {_listed(union - common)}. They are missing "
            f'for: {few(lacking, 8)}. To use them, add them to years and set [tiles] on_missing = "gap".'
        )
        return YearChoice(tuple(sorted(common)), "the years that all optical bands have", (text,))
    text = (
        f"No year has files for all optical bands. Missing are: {few(lacking, 8)}. In a year without its file, all "
        "pixels of a band are missing."
    )
    return YearChoice(tuple(sorted(union)), "all years of any band", (text,), is_gap=True)


def _listed(years: Iterable[int]) -> str:
    return few(map(str, sorted(years)), 10)


def _undated(optical: Sequence[BandGuess], outline_years: Sequence[int]) -> YearChoice:
    several = max((band.n_undated for band in optical), default=0)
    if several > 1:
        text = (
            f"Which years are the {several} bands of {optical[0].path}? Neither names nor descriptions say so. Write "
            f"years = [...] with {several} years in the order of the bands; `gcn plan` stops until then."
        )
        return YearChoice((), "", (text,))
    if not optical and not outline_years:
        return YearChoice(
            (), "", ("There is no optical band, and so no year. Write the year of your data into years.",)
        )
    if not outline_years:
        text = "Which year is the composite from? Neither names nor descriptions say so. Write the year into years."
        return YearChoice((), "", (text,))
    year = Counter(outline_years).most_common(1)[0][0]
    text = (
        f"Which year is the composite from? Neither names nor descriptions say so. Most outlines are of {year}. The "
        "year decides which outlines are close enough in time ([year] max_gap_years)."
    )
    return YearChoice((year,), "the year of most outlines, because nothing says the year of the composite", (text,))


def tile_tree(bands: Sequence[BandGuess]) -> dict[str, str]:
    """Return the directories of tiles, by key of ``[tiles]``, if the bands are files in one directory for each tile.

    For optical and quality bands, band k of every file must be the k-th year. Topography is added if it has the same
    form. The result is empty if the optical bands have another form.
    """
    optical = [band for band in bands if band.kind in {"optical", "quality"}]
    base = _base(optical)
    if base is None or not all(_is_in_order(band) for band in optical):
        return {}
    topo = [band for band in bands if band.kind == "topo"]
    base_of_topo = _base(topo)
    is_topo = base_of_topo is not None and all(band.image.look.count == 1 for band in topo)
    return {"optical": base, **({"topo": base_of_topo} if is_topo and base_of_topo is not None else {})}


def _base(bands: Sequence[BandGuess]) -> str | None:
    found = [_TREE.fullmatch(band.image.group.pattern) for band in bands]
    endings = [band.image.group.ending for band in bands]
    is_geotiff = all(PurePosixPath(band.path).suffix.lower() in {".tif", ".tiff"} for band in bands)
    if not bands or not all(found) or not all(endings) or len(set(endings)) < len(endings) or not is_geotiff:
        return None
    bases = {match["base"] or "." for match in found if match}
    return bases.pop() if len(bases) == 1 else None


def _is_in_order(band: BandGuess) -> bool:
    if band.n_undated > 1:
        return True
    if band.band != "{year}":
        return False
    look = band.image.look
    said = [year for year in described_years(look.names, look.items) if year]
    return said == sorted(said) and len(said) == look.count


def lacking_files(bands: Sequence[BandGuess], years: Sequence[int]) -> list[str]:
    """Return what is missing: tiles and years for which a band has no file, one text for each band."""
    optical = [band for band in bands if band.kind in {"optical", "quality"} and "{tile}" in band.path]
    tiles = {_bare(tile) for band in optical for tile in band.image.group.tiles}
    found = []
    for band in bands:
        group = band.image.group
        if band.kind not in {"optical", "quality"} or not group.files:
            continue
        have = {(_bare(file.tile), file.year if "{year}" in band.path else None) for file in group.files}
        wanted = {
            (tile, year)
            for tile in (tiles if "{tile}" in band.path else {""})
            for year in (years if "{year}" in band.path else (None,))
        }
        if "{tile}" not in band.path:
            have = {("", year) for _, year in have}
        gone = sorted(wanted - have, key=str)
        if gone:
            names = [" ".join(str(part) for part in one if part) for one in gone]
            found.append(f"{band.name} ({few(names, 3)})")
    return found


def partial_cover(bands: Sequence[BandGuess], frame: Frame) -> list[str]:
    """Return the bands whose files cover clearly less than the area, each with the share that they cover.

    Only bands all of whose files were looked at are compared.
    """
    left, bottom, right, top = frame.bounds
    found = []
    for band in bands:
        looks = list(band.image.looks.values())
        if len(looks) < len(band.image.group.files) or not all(look.crs for look in looks):
            continue
        own = _union_in(frame.crs, looks)
        width, height = min(own[2], right) - max(own[0], left), min(own[3], top) - max(own[1], bottom)
        share = max(width, 0.0) * max(height, 0.0) / ((right - left) * (top - bottom))
        if share < _COVERED:
            found.append(f"{band.name} ({share:.0%})")
    return found


def _bare(tile: str) -> str:
    return (tile.lstrip("0") or "0") if tile.isdigit() else tile


def place_lines(band: BandGuess, tree: dict[str, str]) -> list[Line]:
    """Return the lines that say where the files of a band are."""
    if ("topo" if band.kind == "topo" else "optical") in tree:
        ending = band.image.group.ending
        return [] if ending == band.name else [Line("suffix", ending)]
    lines = [Line("path", band.path)]
    return lines if band.band is None else [*lines, Line("band", band.band)]


def shortened(band: BandGuess) -> BandGuess:
    """Return a band whose path holds ``{name}`` in place of its own name, where that is safe."""
    name = PurePosixPath(band.path).name
    words = re.split(r"[_\-. ]", name)
    if words.count(band.name) == 1 and "{name}" not in band.path and "{" not in band.name:
        start = band.path[: len(band.path) - len(name)]
        return replace(band, path=start + re.sub(rf"(?<![^_\-. ]){re.escape(band.name)}(?![^_\-. ])", "{name}", name))
    return band
