"""Propose a region's TOML file from what a first look found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gcn_luigi.errors import few
from gcn_luigi.survey.bands import BandGuess, band_of_cube, bands_of
from gcn_luigi.survey.choice import (
    Frame,
    choose_frame,
    choose_years,
    lacking_files,
    partial_cover,
    place_lines,
    shortened,
    tile_tree,
    without_rivals,
)
from gcn_luigi.survey.draft import Draft, Line, Table
from gcn_luigi.survey.label import label_table
from gcn_luigi.survey.outlines import GridGuess, OutlineGuess, choose_grid, choose_outlines, year_lines
from gcn_luigi.survey.sources import Findings
from gcn_luigi.survey.values import value_lines

_ELEVATIONS = frozenset({"dem", "dsm", "dtm", "elevation", "elev"})
# What the published study computed from elevations, in forms without a jump at north.
_DERIVED = ("slope", "northness", "eastness", "curvature")
_STACKED = ("optical", "topo", "quality")
_GRID, _SMALLEST_GRID = 256, 64
# An area of fewer cells along its shorter side gets smaller cells, so that both splits have some.
_FEWEST_CELLS = 4
_NO_BUFFER = (
    "The area is only {} cells across, so there is no room for a buffer between train and dev ([split] "
    "buffer_partitions = 0), and scores on dev will be too good. Take smaller cells ([grid] size), or accept this."
)


@dataclass(frozen=True)
class Wishes:
    """What the user says: the name of the region, the path of the sources as the TOML file gives it, and the years."""

    region: str
    data_root: str
    years: tuple[int, ...] = ()


def propose(found: Findings, wishes: Wishes) -> Draft:
    """Return a draft of the TOML file for the sources that a first look found."""
    draft = Draft(
        wishes.region, title=f"Region {wishes.region}, proposed by `gcn init` from the files below data_root."
    )
    guesses = [guess for image in found.images for guess in bands_of(image)]
    guesses += [band_of_cube(path, look) for path, look in found.in_cubes]
    stacked, left_out = without_rivals([guess for guess in guesses if guess.kind in _STACKED])
    draft.unused += left_out
    rasters = [guess for guess in guesses if guess.kind in {"votes", "label", "distance"}]
    frame = choose_frame(stacked, rasters)
    outlines = choose_outlines(found)
    choice = choose_years(stacked, wishes.years, outlines.years if outlines else ())
    draft.questions += choice.questions
    stacked = _with_all_years(stacked, choice.years, draft)
    draft.tables.append(
        Table(
            "",
            (
                Line("region", wishes.region),
                Line("data_root", wishes.data_root),
                Line("years", list(choice.years), choice.guess),
            ),
        )
    )
    _add_stack(draft, stacked)
    if frame is not None:
        _add_lattice(draft, frame)
        partial = partial_cover(stacked, frame)
        if partial:
            draft.questions.append(
                f"These bands cover only a part of the area: {few(partial, 8)}. Elsewhere their pixels count as "
                "missing. Are all of their files there?"
            )
    tree = tile_tree(stacked)
    _add_tiles(draft, stacked, choice.years, tree, is_gap=choice.is_gap)
    for band in sorted(stacked, key=lambda band: _STACKED.index(band.kind)):
        _add_band(draft, band, tree)
    _add_derived(draft, stacked)
    _ask_of_bands(draft, found, stacked, guesses)
    _add_outlines(draft, outlines)
    draft.tables.append(label_table(guesses, found, draft))
    _add_distance(draft, guesses, frame)
    if frame is not None:
        grid = choose_grid(found, frame.pixel_size, frame.bounds, frame.crs)
        _add_partitions(draft, frame, grid)
    if outlines is not None:
        lines, questions = year_lines(outlines, choice.years)
        draft.questions += questions
        if lines:
            draft.tables.append(Table("[year]", tuple(lines)))
    return draft


def _add_outlines(draft: Draft, outlines: OutlineGuess | None) -> None:
    if outlines is None:
        draft.questions.append("No glacier outlines were found. Supply them, and write their path into [outlines].")
        draft.tables.append(Table("[outlines]", (Line("path", "outlines.gpkg", "no polygons were found"),)))
    else:
        if outlines.others:
            draft.questions.append(
                f"Several files can be the outlines: {outlines.lines[0].value} was chosen, and not "
                f"{few(outlines.others, 6)}."
            )
        draft.tables.append(Table("[outlines]", outlines.lines))


def _with_all_years(bands: list[BandGuess], years: Sequence[int], draft: Draft) -> list[BandGuess]:
    """Return the bands without quality bands that lack a year."""
    kept = []
    for band in bands:
        if band.kind == "quality" and band.years and not set(years) <= set(band.years):
            draft.unused.append(f"{band.path}: the quality band {band.name} lacks years")
        elif band.kind == "quality" and not band.years and band.n_undated != len(years) and len(years) > 1:
            draft.unused.append(f"{band.path}: nothing says the year of the quality band {band.name}")
        else:
            kept.append(band)
    return kept


def _add_stack(draft: Draft, stacked: Sequence[BandGuess]) -> None:
    if any(band.dtype.startswith("float") for band in stacked if band.kind == "optical"):
        why = "keeps all digits of the floats; shards are twice as large"
        draft.tables.append(Table("[stack]", (Line("dtype", "float32", why, is_off=True),)))


def _add_lattice(draft: Draft, frame: Frame) -> None:
    lines = (Line("crs", frame.crs, frame.crs_guess), Line("pixel_size", frame.pixel_size, frame.size_guess))
    draft.tables.append(Table("[lattice]", lines))
    if not frame.off:
        return
    names = few(frame.off, 8)
    draft.tables.append(Table("[align]", (Line("resampling", "bilinear", "some files are not on the lattice"),)))
    draft.questions.append(
        f"The build warps these onto the lattice: {names}. Bilinear interpolation suits most measurements; to choose "
        "another method, change [align] or the `resampling` of a band."
    )


def _add_tiles(
    draft: Draft, bands: Sequence[BandGuess], years: Sequence[int], tree: dict[str, str], *, is_gap: bool
) -> None:
    lines = [Line(key, base) for key, base in tree.items()]
    missing = lacking_files(bands, years)
    if missing:
        draft.questions.append(
            f"Some files are missing, for example of {few(missing, 4)}. Their pixels count as missing "
            '([tiles] on_missing = "gap"). Are the files really not there?'
        )
    if missing or is_gap:
        lines.append(Line("on_missing", "gap", "some files are missing"))
    repeated = [band for band in bands if band.kind != "topo" and band.image.group.is_repeated]
    if repeated:
        names = few((band.name for band in repeated), 6)
        draft.questions.append(
            f"Several files show the same place in the same year, as single scenes do: bands {names}. Only the first "
            "of each year by name is used. A composite of each year, for example a median, is usually better."
        )
        lines.append(Line("on_duplicate", "first", "several files of one year and place"))
    if lines:
        draft.tables.append(Table("[tiles]", tuple(lines)))


def _add_band(draft: Draft, band: BandGuess, tree: dict[str, str]) -> None:
    what = band.why if band.kind != "optical" or band.why else ""
    lines = [Line("name", band.name, what), Line("role", band.kind, what)]
    lines += place_lines(shortened(band), tree)
    more, questions = value_lines(band)
    draft.questions += questions
    draft.tables.append(Table("[[bands]]", (*lines, *more)))


def _add_derived(draft: Draft, bands: Sequence[BandGuess]) -> None:
    """Add bands that the build computes from elevations, if elevations are the only topography."""
    topo = [band for band in bands if band.kind == "topo"]
    if not topo or not {band.name.lower() for band in topo} <= _ELEVATIONS:
        return
    for name in _DERIVED:
        lines = [Line("name", name), Line("role", "topo"), Line("derive", name, f"computed from {topo[0].path}")]
        lines += [Line("dem", topo[0].name)] if len(topo) > 1 else []
        draft.tables.append(Table("[[bands]]", tuple(lines)))


def _ask_of_bands(draft: Draft, found: Findings, bands: Sequence[BandGuess], guesses: Sequence[BandGuess]) -> None:
    unnamed = [band for band in bands if band.why == "band without a description"]
    if unnamed:
        draft.questions.append(
            f"What are the bands of {unnamed[0].path}? They have no description; give them their names: "
            f"{unnamed[0].name} and so on."
        )
    if not any(band.kind == "optical" for band in bands):
        draft.questions.append("No optical band was found. Name the files of your composites in [[bands]] tables.")
    if not any(band.kind == "topo" for band in bands):
        draft.questions.append("No elevation was found. Topography is not required, but it helps to find debris.")
    draft.unused += [f"{guess.path}: nothing shows what it is" for guess in guesses if not guess.kind]
    draft.unused += [f"{path}: a finished dataset" for path in found.datasets]
    draft.unused += [f"{path}: its format is not read" for path in found.others[:10]]
    draft.unused += found.unreadable[:10]


def _add_distance(draft: Draft, guesses: Sequence[BandGuess], frame: Frame | None) -> None:
    rasters = [guess for guess in guesses if guess.kind == "distance"]
    if not rasters or frame is None:
        return
    lines = (Line("enabled", value=True, guess="a raster of distances was found"), Line("raster", rasters[0].path))
    draft.tables.append(Table("[distance]", lines))
    draft.questions.append(
        f"Is {PurePosixPath(rasters[0].path).name} in whole metres? If not, give [distance] unit, or remove [distance]."
    )


def _add_partitions(draft: Draft, frame: Frame, grid: GridGuess | None) -> None:
    if grid is not None:
        draft.tables.append(Table("[grid]", grid.lines))
        size, why = grid.size, "the cells of the grid are small"
        n_cells = math.prod(side / size for side in frame.shape)
    else:
        size, why = _GRID, "the area is small"
        while size > _SMALLEST_GRID and min(frame.shape) < _FEWEST_CELLS * size:
            size //= 2
        rows, cols = (side // size for side in frame.shape)
        n_cells = rows * cols
        if min(rows, cols) < 4 * _FEWEST_CELLS:
            lines = [Line("size", size, why)] if size != _GRID else []
            sides = zip(("bottom", "right"), frame.shape, strict=True)
            cut_off = [side for side, length in sides if length % size]
            beyond = f"; those that reach beyond the {' and '.join(cut_off)} edge are not used" if cut_off else ""
            lines.append(Line("origin", "lattice", f"{why}, so cells begin at its top left corner{beyond}"))
            draft.tables.append(Table("[grid]", tuple(lines)))
    if grid is not None and grid.has_split:
        draft.tables.append(Table("[split]", (Line("method", "column", "the grid has a column split"),)))
    else:
        least = min(side // size for side in frame.shape)
        if least < 4 * _FEWEST_CELLS:
            lines = [Line("block_partitions", max(1, min(4, least // 3)), why)]
            if least < 2 * _FEWEST_CELLS:
                has_buffer = least > _FEWEST_CELLS
                lines.append(Line("buffer_partitions", int(has_buffer), why))
                if not has_buffer:
                    draft.questions.append(_NO_BUFFER.format(least))
            draft.tables.append(Table("[split]", tuple(lines)))
    if size < _GRID:
        chip = max(size // 2, 1)
        draft.tables.append(Table("[chips]", (Line("size", chip, why), Line("step", max(chip // 2, 1), why))))
    n_train = max(1, min(16, int(n_cells) // 16))
    if n_train < 16:
        lines = [Line("n_train", n_train, f"about {int(n_cells)} cells"), Line("n_dev", max(1, n_train // 4))]
        draft.tables.append(Table("[shards]", tuple(lines)))
