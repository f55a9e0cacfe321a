"""Check the quality of tiles: read every pixel of every tile once before it is used."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import blocks as strips
from gcn_luigi.io.raster.header import COPY_FIRST, check_deflated, holdable, open_raster
from gcn_luigi.io.raster.masks import hidden_pixels
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.io.tiff.opened import DecodedTiff, open_blocks
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.missing.constants import PixelSample
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.conversion import Target
from gcn_luigi.stages.layers.mosaics import read_inventory

# When the configured nodata value is trusted for a file without a tag: "nothing" if it is not configured; "where seen"
# if the file contains it; "flat water" also if a frequent value is close to other values, as flat water is.
_Trust = Literal["nothing", "where seen", "flat water"]

# Whole blocks of all years are read at once, so that files interleaved by pixel are also decoded once.
_STRIP = (256, 4096)
# Enough for the decoded blocks of a strip of several years if they are larger than a strip.
_BLOCK_BYTES = 32_000_000
_MOST_NAMED = 20
# Counts that are written only where they are not 0, so that the files of other tiles keep their bytes.
_RARE = ("infinite", "lost")
# Beyond this, a float cannot hold every whole number.
_LARGEST_WHOLE = 2.0**53


def write_tile_quality(region: Region, paths: DatasetPaths, name: str, out: Path, say: Say) -> None:
    """Read every tile of the band `name` and count its valid, missing and out-of-range pixels.

    A compressed block with a flipped bit often decodes without an error, but to wrong values. Deflated blocks have a
    checksum, an Adler-32, which is verified and misses few flips. For other blocks, and for these few flips, values
    beyond the band's valid range are a sign of damage; such pixels are masked in chips.

    `out` is JSON with, for each tile and year, the numbers of valid, missing and out-of-range pixels, and the smallest
    and largest valid value in source units; with the sums; with ``infinite``, the number of missing pixels that are
    infinite, and ``lost``, the number of pixels that overflow and are not stored as they are, if there are any; and
    with ``suspect``, the tiles whose pixels or tags look as if missing pixels were taken for measurements, or the
    reverse.

    Raises
    ------
    InputError
        Files cannot be decoded, or hold undeclared pixels that look missing, unless ``[tiles] on_suspect_nodata``
        accepts them. The message names up to twenty files.
    """
    (band,) = (band for band in region.settings.checked_bands if band.name == name)
    years = region.settings.years if band.role is Role.OPTICAL else (None,)
    files = read_inventory(paths).of_band(name)
    lossy = lossy_target(region.settings, band)
    trust = _trust(region.settings, band)
    rows: list[dict[str, Any]] = []
    suspects: list[_Suspect] = []
    damaged: list[str] = []
    for done, file in enumerate(files, 1):
        try:
            place, own = file.place(region.root, paths.root), _with_tags(band, file)
            counted, samples = _checked_rows(place, file, own, years, lossy)
            rows += counted
            suspects += _find_suspects(file, own, counted, samples, trust)
        except InputError as error:
            damaged.append(f"{file.path}: {error.what}")
        say(f"{done} of {len(files)} tiles, {sum(row['out_of_range'] for row in rows)} out of range", done / len(files))
    if damaged:
        raise InputError(
            f"{len(damaged)} of {len(files)} files of band {name} are damaged",
            where="\n         ".join(damaged[:_MOST_NAMED]),
            fix="copy or download the files again",
        )
    if region.settings.tiles.on_suspect_nodata == "error":
        _refuse_undeclared([suspect for suspect in suspects if suspect.is_error], band, files)
    content = {
        "band": name,
        "valid_min": band.valid_min,
        "valid_max": band.valid_max,
        "totals": {key: sum(row[key] for row in rows) for key in ("valid", "missing", "out_of_range")},
        **{key: count for key in _RARE if (count := sum(row.get(key, 0) for row in rows))},
        "tiles": rows,
        "suspect": [asdict(suspect) for suspect in suspects],
    }
    out.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def lossy_target(settings: RegionSettings, band: Band) -> Target | None:
    """Return what a band is converted to if values that do not fit are not refused; otherwise None."""
    if not band.is_converted or settings.convert.overflow == "error":
        return None
    return Target(settings.convert, settings.stack.dtype)


def _with_tags(band: Band, file: SourceFile) -> Band:
    """Return a band whose scale and offset include the tags of a file."""
    scale, offset = file.scaling
    return replace(band, scale=scale * band.scale, offset=offset * band.scale + band.offset)


def _without_hidden(plane: NDArray[Any], hidden: NDArray[np.bool_], band: Band) -> NDArray[Any]:
    """Return pixels with the band's nodata value where they are hidden, in a type that holds both."""
    return np.where(hidden, np.int32(band.nodata), plane)


def _n_infinite(plane: NDArray[Any]) -> int:
    return int(np.isinf(plane).sum()) if plane.dtype.kind == "f" else 0


def _trust(settings: RegionSettings, band: Band) -> _Trust:
    """Return how far the configured nodata value of a band can be trusted."""
    (table,) = [table for table in settings.bands if table.name == band.name]
    if table.nodata is None:
        return "nothing"
    return "where seen" if band.role is Role.OPTICAL else "flat water"


def _checked_rows(
    path: Path, file: SourceFile, band: Band, years: tuple[int | None, ...], lossy: Target | None
) -> tuple[list[dict[str, Any]], list[PixelSample]]:
    """Return what `_file_rows` does, after every block of the file was found to be sound."""
    try:
        with open_raster(path) as dataset, open_blocks(dataset, _BLOCK_BYTES) as blocks:
            found = _file_rows(dataset, blocks, file, band, years, lossy)
            # Bands without a year were not read.
            check_deflated(dataset, path, but=() if blocks is None else _numbers(file, years))
            return found
    except InputError as error:
        raise _with_range(error, path, file, band, years) from error


def _numbers(file: SourceFile, years: Sequence[int | None]) -> list[int]:
    """Return the bands of a file, counted from 1, that hold a year."""
    return list(filter(None, map(file.number_of, range(len(years)))))


def _file_rows(
    dataset: Any,
    blocks: DecodedTiff | None,
    file: SourceFile,
    band: Band,
    years: tuple[int | None, ...],
    lossy: Target | None,
) -> tuple[list[dict[str, Any]], list[PixelSample]]:
    """Return the counts and extremes of each year of a file, and a sample of its pixels."""
    numbers = _numbers(file, years)
    years = tuple(year for position, year in enumerate(years) if file.number_of(position))
    counts = np.zeros((len(years), 3 + len(_RARE)), np.int64)
    extremes = [(np.inf, -np.inf)] * len(years)
    # The pixels as delivered, which the window does not count if they are warped.
    samples = [PixelSample(dataset.height, dataset.width) for _ in years]
    shape = Lattice("", 0.0, 0.0, 1.0, dataset.height, dataset.width)
    for window in strips(shape, _STRIP):
        values = read_dataset(dataset, window, bands=numbers, fill=0, blocks=blocks)
        for position, stored in enumerate(values):
            number = numbers[position]
            hidden = hidden_pixels(dataset, file.mask, number, window) if file.mask else None
            plane = stored if hidden is None else _without_hidden(stored, hidden, band)
            samples[position].add(window.row, window.col, plane)
            valid, missing, wild = _classify(plane, band, file.tag_of(number))
            lost = 0 if lossy is None else lossy.n_lost(plane, band, nodata=file.tag_of(number))
            counts[position] += (valid.sum(), missing.sum(), wild.sum(), _n_infinite(plane), lost)
            if valid.any():
                kept, (low, high) = plane[valid], extremes[position]
                extremes[position] = (min(low, float(kept.min())), max(high, float(kept.max())))
    rows = [
        {
            "tile": file.tile,
            "path": file.path,
            "year": year,
            **dict(zip(("valid", "missing", "out_of_range"), row[:3].tolist(), strict=True)),
            **{key: count for key, count in zip(_RARE, row[3:].tolist(), strict=True) if count},
            "min": None if low > high else low,
            "max": None if low > high else high,
        }
        for year, row, (low, high) in zip(years, counts, extremes, strict=True)
    ]
    return rows, samples


def _with_range(
    error: InputError, path: Path, file: SourceFile, band: Band, years: tuple[int | None, ...]
) -> InputError:
    """Return the error of a damaged file with the number of values out of range, as far as GDAL can read the file."""
    try:
        with open_raster(path) as dataset:
            counted, _ = _file_rows(dataset, None, file, band, years, None)
    except InputError:
        return error
    wild = {row["year"]: row["out_of_range"] for row in counted if row["out_of_range"]}
    if not wild:
        return error
    low, high = ("" if limit is None else f"{limit:g}" for limit in (band.valid_min, band.valid_max))
    named = ", ".join(str(year) for year in wild if year is not None)
    told = f"{sum(wild.values()):,} values are outside {low}..{high}" + (f", in {named}" if named else "")
    return InputError(f"{error.what}; {told}", where=error.where, fix=error.fix)


@dataclass(frozen=True)
class _Suspect:
    """One band of one tile that looks wrong, in the form that is written to JSON.

    Attributes
    ----------
    tile, path, band : str
        Tile, path and band of the file.
    year : int or None
        Year of an optical band.
    value : float
        The value that fills much of the tile, or the value of the nodata tag.
    share : float
        Approximate share of the tile's pixels with this value.
    reason : str
        Why it is suspect.
    is_error : bool
        True if missing pixels are not declared, so that these pixels would be taken for measurements.
    is_tag : bool
        True if the nodata tag is suspect, because its value is a legal one.
    """

    tile: str
    path: str
    band: str
    year: int | None
    value: float
    share: float
    reason: str
    is_error: bool
    is_tag: bool = False


def _find_suspects(
    file: SourceFile, band: Band, rows: list[dict[str, Any]], samples: list[PixelSample], trust: _Trust
) -> list[_Suspect]:
    """Return the suspects of one file, at most two per band. Its nodata tags are always trusted."""
    found = []
    numbers = [number for number in file.numbers if number] or range(1, len(rows) + 1)
    for number, row, sample in zip(numbers, rows, samples, strict=True):
        tag = file.tag_of(number)
        place = (file.tile, file.path, band.name, row["year"])
        if tag is not None and tag != band.nodata and _is_legal(tag, band) and (share := sample.share_of(tag)):
            reason = f"its nodata tag {_exact(tag)} lies within the band's valid range"
            found.append(_Suspect(*place, tag, share, reason, is_error=False, is_tag=True))
        constant = sample.constant(partial(_is_measured, band, tag))
        if constant is not None:
            is_seen = trust != "nothing" and row["missing"] > 0
            is_believed = tag is not None or is_seen or (trust == "flat water" and not constant.is_apart)
            where = "along an edge, " if constant.is_edge else ""
            reason = f"{where}{constant.share:.1%} of its pixels hold {_exact(constant.value)}"
            found.append(_Suspect(*place, constant.value, constant.share, reason, is_error=not is_believed))
    return found


def _refuse_undeclared(wrong: list[_Suspect], band: Band, files: Sequence[SourceFile]) -> None:
    """Refuse tiles with pixels that look missing but are not declared as missing."""
    if not wrong:
        return
    lines = [
        f"{one.path}{'' if one.year is None else f', {one.year}'}: {one.reason}, and no nodata tag"
        for one in wrong[:_MOST_NAMED]
    ]
    if len(wrong) > _MOST_NAMED:
        lines.append(f"and {len(wrong) - _MOST_NAMED} more")
    n_wrong, value = len({one.path for one in wrong}), _exact(wrong[0].value)
    measured = holdable(band.nodata, {file.dtype for file in files})
    raise InputError(
        f"{n_wrong} of {len(files)} files of band {band.name} hold one value so often that it seems to mean missing",
        where="\n         ".join(lines),
        fix=f"if it does, tag all files of the band: rio edit-info --nodata {value} FILE; if it is measured, tag the "
        f"value for missing: rio edit-info --nodata {measured} FILE, or set tiles.on_suspect_nodata = 'accept'"
        f"{COPY_FIRST}",
    )


def _exact(value: float) -> str:
    """Return a value as text, with as many digits as a tag needs to equal it."""
    return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_WHOLE else repr(value)


def _is_measured(band: Band, tag: float | None, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values count as measurements: valid ones, except range limits, because indices saturate there."""
    valid, _, _ = _classify(values, band, tag)
    # A limit of 0 is not excepted: it is the lower limit of many bands, and 0 often means missing.
    for limit in filter(None, (band.valid_min, band.valid_max)):
        valid &= _stored(values, band) != limit
    return valid


def _is_legal(tag: float, band: Band) -> bool:
    """Return whether a tag is within the valid range, if the band has one."""
    if (band.valid_min is None and band.valid_max is None) or not np.isfinite(tag):
        return False
    return bool(_classify(np.array([tag], np.float64), band, None)[0][0])


def _classify(plane: NDArray[Any], band: Band, tag: float | None) -> tuple[NDArray[np.bool_], ...]:
    """Return which pixels are valid, missing (by the band's nodata or the file's `tag`), and out of range.

    `plane` is in source units and has any real dtype and shape. Each pixel is exactly one of the three.
    """
    missing = plane == band.nodata
    if tag is not None:
        missing |= plane == tag
    if plane.dtype.kind == "f":
        missing |= ~np.isfinite(plane)
    wild = np.zeros(plane.shape, bool)
    stored = _stored(plane, band)
    with np.errstate(invalid="ignore"):
        if band.valid_min is not None:
            wild |= stored < band.valid_min
        if band.valid_max is not None:
            wild |= stored > band.valid_max
    wild &= ~missing
    return ~(missing | wild), missing, wild


def _stored(values: NDArray[Any], band: Band) -> NDArray[Any]:
    # Damaged pixels may have any value, including NaN.
    with np.errstate(invalid="ignore", over="ignore"):
        return values.astype(np.float64) * band.scale + band.offset if band.is_converted else values
