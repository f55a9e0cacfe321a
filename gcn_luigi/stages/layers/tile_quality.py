"""What the tiles really hold: every pixel of every tile read once, before anyone trusts it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_luigi.bands import Band, Role
from gcn_luigi.config import Region
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.raster.geotiff import blocks
from gcn_luigi.io.raster.header import check_deflated, open_raster
from gcn_luigi.io.raster.windows import read_dataset
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.missing.constants import Sketch
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.layers.suspects import Suspect, Trust, check_suspects, find_suspects, judged

# Whole blocks of all years at once: files interleaved by pixel are then decoded once, too.
_STRIP = (256, 4096)
_MOST_NAMED = 20


def checked_bands(settings: RegionSettings) -> tuple[Band, ...]:
    """Return the bands that come from tiles and reach the stack."""
    return tuple(band for band in settings.schema_bands if band.role in (Role.OPTICAL, Role.TOPO))


def write_tile_quality(region: Region, paths: DatasetPaths, name: str, out: Path, say: Say) -> None:
    """Read every tile of one band and count what it holds.

    A flipped bit in a compressed block often decodes without an error, to wild values. Deflated blocks have a checksum,
    an Adler-32, which is looked at and misses few flips; in others, and in these few, values beyond the band's valid
    range betray it, and they are masked in chips.

    Parameters
    ----------
    region : Region
        Settings and sources.
    paths : DatasetPaths
        Where the inventory is.
    name : str
        The band.
    out : Path
        JSON: for each tile and year the number of valid, missing and out-of-range pixels, smallest and largest
        valid value in source units; the sums; and ``suspect``, tiles whose pixels or tags look as if missing pixels
        were taken for measurements, or the reverse.
    say : callable
        Told how far the work is.

    Raises
    ------
    InputError
        Files cannot be decoded, or hold undeclared pixels that look missing, unless ``[tiles] on_suspect_nodata``
        accepts them; the message names them all, up to twenty.
    """
    band, years, files = _of_band(region, paths, name)
    rows: list[dict[str, Any]] = []
    suspects: list[Suspect] = []
    damaged: list[str] = []
    trust = _trust(region.settings, band)
    for done, file in enumerate(files, 1):
        try:
            counted, sketches = _file_rows(region.root / file.path, file, band, years)
            _check_blocks(region.root / file.path, band, counted)
            rows += counted
            suspects += find_suspects(file, band, counted, sketches, trust=trust)
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
        check_suspects(suspects, band, files)
    totals = {key: sum(row[key] for row in rows) for key in ("valid", "missing", "out_of_range")}
    content = {
        "band": name,
        "valid_min": band.valid_min,
        "valid_max": band.valid_max,
        "totals": totals,
        "tiles": rows,
        "suspect": [suspect.as_dict() for suspect in suspects],
    }
    out.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _of_band(
    region: Region, paths: DatasetPaths, name: str
) -> tuple[Band, tuple[int | None, ...], Sequence[SourceFile]]:
    """Return a band, the years that each of its files holds, and its files."""
    band = next(band for band in checked_bands(region.settings) if band.name == name)
    years = region.settings.years if band.role is Role.OPTICAL else (None,)
    return band, years, read_inventory(paths).of_band(name)


def _trust(settings: RegionSettings, band: Band) -> Trust:
    """Return how far the configuration says what missing pixels of a band hold."""
    (table,) = [table for table in settings.bands if table.name == band.name]
    if table.nodata is None:
        return "nothing"
    return "where seen" if band.role is Role.OPTICAL else "flat water"


def _file_rows(
    path: Path, file: SourceFile, band: Band, years: tuple[int | None, ...]
) -> tuple[list[dict[str, Any]], list[Sketch]]:
    """Return what each year of a file holds, and a sketch of it."""
    sketches = [Sketch(file.window.height, file.window.width) for _ in years]
    counts = np.zeros((len(years), 3), np.int64)
    extremes = [(np.inf, -np.inf)] * len(years)
    shape = Lattice("", 0.0, 0.0, 1.0, file.window.height, file.window.width)
    with open_raster(path) as dataset:
        for window in blocks(shape, _STRIP):
            values = read_dataset(dataset, window, bands=range(1, len(years) + 1), fill=0)
            for position, plane in enumerate(values):
                sketches[position].add(window.row, window.col, plane)
                valid, missing, wild = judged(plane, band, file.tag_of(position + 1))
                counts[position] += (valid.sum(), missing.sum(), wild.sum())
                if valid.any():
                    kept, (low, high) = plane[valid], extremes[position]
                    extremes[position] = (min(low, float(kept.min())), max(high, float(kept.max())))
    rows = [
        {
            "tile": file.tile,
            "path": file.path,
            "year": year,
            **dict(zip(("valid", "missing", "out_of_range"), row.tolist(), strict=True)),
            "min": None if low > high else low,
            "max": None if low > high else high,
        }
        for year, row, (low, high) in zip(years, counts, extremes, strict=True)
    ]
    return rows, sketches


def _check_blocks(path: Path, band: Band, counted: list[dict[str, Any]]) -> None:
    """Refuse a file with a damaged block that decodes all the same, and say what its values betray."""
    try:
        with open_raster(path) as dataset:
            check_deflated(dataset, path)
    except InputError as error:
        wild = {row["year"]: row["out_of_range"] for row in counted if row["out_of_range"]}
        years = ", ".join(str(year) for year in wild if year is not None)
        told = f"; {sum(wild.values()):,} values lie outside {_range(band)}" + (f", in {years}" if years else "")
        raise InputError(error.what + (told if wild else ""), where=error.where, fix=error.fix) from error


def _range(band: Band) -> str:
    low, high = ("" if limit is None else f"{limit:g}" for limit in (band.valid_min, band.valid_max))
    return f"{low}..{high}"
