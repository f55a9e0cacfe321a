"""Measure how far the bands and the label of a dataset resemble themselves, from a sample of its shards.

Shards are read, and not stacks: they hold the pixels that a network sees, with the flags of missing ones; they are
there without the sources; and one chip is decoded at a time.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Role
from gcn_luigi.classes import ClassTable
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.prepare.evaluation.buffer import Buffer, compare_with_buffer
from gcn_luigi.prepare.evaluation.sampling import ChipPlaces, PixelSample, choose_pixels
from gcn_luigi.prepare.evaluation.variogram import (
    REACHED,
    Finding,
    Variogram,
    geostatistics,
    lag_edges,
    measure_variogram,
)
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages import Say

FORMAT = "gcn_luigi autocorrelation 1"
SEED = 0
# Results are rounded, because the last digits of a fit depend on the processor.
_DIGITS_OF_VALUES, _DIGITS_OF_RANGES = 5, 3
_COLUMNS = ("layer", "lag_m", "pairs", "semivariance", "model")
_MISSING = {Role.OPTICAL: Flag.OPTICAL, Role.TOPO: Flag.TOPO, Role.DISTANCE: Flag.DISTANCE}


@dataclass(frozen=True)
class _Chips:
    """Where all chips are: their shard and their row in it, the same as `places`, and the metres of a pixel."""

    shards: Sequence[Path]
    shard: NDArray[np.int64]
    row: NDArray[np.int64]
    places: ChipPlaces
    pixel_size: float
    bands: tuple[tuple[str, Role], ...]


def write_autocorrelation(
    settings: RegionSettings, paths: DatasetPaths, shards: Sequence[Path], out: tuple[Path, Path], say: Say
) -> None:
    """Write ``autocorrelation.json`` and ``autocorrelation.csv``, which are the two paths `out`.

    The errors are those of `measure_autocorrelation`.
    """
    found = measure_autocorrelation(paths, shards, settings.class_table, settings.split.method, say)
    write_results(found, *out)


def write_results(found: Mapping[str, Any], json_out: Path, csv_out: Path) -> None:
    """Write the result of `measure_autocorrelation` as JSON, and its bins as CSV."""
    json_out.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with csv_out.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(_COLUMNS)
        for layer in found["layers"]:
            for bin_ in layer["lags"]:
                table.writerow([layer["name"], *(bin_[name] for name in _COLUMNS[1:])])


def measure_autocorrelation(
    paths: DatasetPaths, shards: Sequence[Path], classes: ClassTable, method: str, say: Say, seed: int = SEED
) -> dict[str, Any]:
    """Return the variograms of all bands and classes of a dataset, and how their ranges compare with its buffer.

    Parameters
    ----------
    paths : DatasetPaths
        Paths of the dataset. ``split.json`` and the catalog are read.
    shards : sequence of Path
        All shards, of all splits.
    classes : ClassTable
        The classes of the label. The layer of a class is 1 where a pixel belongs to it, and 0 elsewhere.
    method : str
        ``[split] method``.
    say : callable
        Progress callback.
    seed : int
        Decides which pixels are chosen.

    Returns
    -------
    dict
        As documented in docs/explanation/autocorrelation.md. Missing pixels, which have a flag, never count. Optical
        bands are compared within a year; topography, distance and label also between partitions of different years.

    Raises
    ------
    ConfigError
        GSTools is not installed.
    InputError, ShardError
        A table or a shard is missing or damaged.
    """
    geostatistics()
    say("finding chips", 0.02)
    chips = _read_places(shards)
    sample = choose_pixels(chips.places, seed)
    values = _read_pixels(chips, sample, classes, say)
    positions = np.stack([sample.x, sample.y]) * chips.pixel_size
    edges = {
        True: lag_edges(chips.places.reach_in_a_year(), chips.pixel_size),
        False: lag_edges(chips.places.reach(), chips.pixel_size),
    }
    layers = []
    for number, (name, kind, plane) in enumerate(values):
        say(f"variogram of {name}", 0.5 + 0.5 * number / len(values))
        is_optical = kind == Role.OPTICAL.value
        draws = sample.of_year if is_optical else sample.of_any_year
        layers.append(_layer(name, kind, measure_variogram(positions, plane, draws, edges[is_optical])))
    buffer = _buffer(paths, chips.pixel_size, method)
    years, counts = np.unique(chips.places.year[sample.chip], return_counts=True)
    return {
        "format": FORMAT,
        "range": f"distance at which the model has risen by {REACHED:.0%} of the way from its nugget to its sill",
        "estimator": "Matheron, by GSTools",
        "seed": seed,
        "pixel_size_m": chips.pixel_size,
        "partition_m": buffer.partition_m,
        "n_pixels": len(sample.chip),
        "n_chips": len(np.unique(sample.chip)),
        "pixels_by_year": {str(year): int(count) for year, count in zip(years, counts, strict=True)},
        "buffer_m": buffer.metres,
        "split_method": buffer.method,
        "layers": layers,
        "comparison": compare_with_buffer(layers, buffer),
    }


def _read_places(shards: Sequence[Path]) -> _Chips:
    parts: dict[str, list[NDArray[Any]]] = {}
    size, pixel_size, bands = 1, 1.0, []
    for number, path in enumerate(shards):
        with open_shard(path) as shard:
            size = shard.chip_size
            bands = list(zip(*(json.loads(shard.attributes[key]) for key in ("band_names", "band_roles")), strict=True))
            transform = shard.column("transform")
            pixel_size = float(transform[0, 0]) if len(transform) else pixel_size
            columns = {
                "shard": np.full(len(shard), number),
                "row": np.arange(len(shard)),
                "left": transform[:, 2],
                "top": -transform[:, 5],
                "partition": shard.column("partition"),
                "year": shard.column("year").astype(np.int64),
            }
        for name, column in columns.items():
            parts.setdefault(name, []).append(column)
    whole = {name: np.concatenate(columns) for name, columns in parts.items()}
    # By place, so that the number of shards and their order do not decide which chips are chosen.
    order = np.lexsort([whole["top"], whole["left"], whole["partition"], whole["year"]])
    whole = {name: column[order] for name, column in whole.items()}
    _, partition = np.unique(whole["partition"], return_inverse=True)
    places = ChipPlaces(
        whole["left"] / pixel_size, whole["top"] / pixel_size, partition.astype(np.int64), whole["year"], size
    )
    named = tuple((str(name), Role(role)) for name, role in bands)
    return _Chips(shards, whole["shard"], whole["row"], places, pixel_size, named)


def _read_pixels(
    chips: _Chips, sample: PixelSample, classes: ClassTable, say: Say
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Return name, kind and values, (pixel,), of each band and each class; NaN is missing."""
    n_bands, n_pixels = len(chips.bands), len(sample.chip)
    image = np.full((n_bands, n_pixels), np.nan)
    label = np.full(n_pixels, np.nan)
    missing = np.array([_MISSING[role] | Flag.OUTSIDE for _, role in chips.bands], np.uint8)
    for pixels, chip_image, chip_label, flags in _each_chip(chips, sample, say):
        row, col = sample.row[pixels], sample.col[pixels]
        flag = flags[row, col]
        image[:, pixels] = np.where(flag & missing[:, np.newaxis], np.nan, chip_image[:, row, col])
        of_label = chip_label[row, col]
        is_known = classes.known[of_label] & ((flag & (Flag.LABEL | Flag.OUTSIDE)) == 0)
        label[pixels] = np.where(is_known, of_label, np.nan)
    bands = [(name, role.value, values) for (name, role), values in zip(chips.bands, image, strict=True)]
    of_classes = (
        (each.name, "label", np.where(np.isnan(label), np.nan, (label == each.value).astype(float))) for each in classes
    )
    return [*bands, *of_classes]


def _each_chip(
    chips: _Chips, sample: PixelSample, say: Say
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Yield the pixels of the sample in each chip, and the chip's image, label and flags, in the order of the files."""
    order = np.argsort(sample.chip, kind="stable")
    found, first = np.unique(sample.chip[order], return_index=True)
    groups = dict(zip(found.tolist(), np.split(order, first[1:]), strict=True))
    done = 0
    for number, path in enumerate(chips.shards):
        chosen = [chip for chip in groups if chips.shard[chip] == number]
        if not chosen:
            continue
        with open_shard(path) as shard:
            for chip in chosen:
                row = int(chips.row[chip])
                image, label, flags = (shard.pixels(name, row) for name in ("image", "label", "flags"))
                yield groups[chip], image, label, flags
        done += len(chosen)
        say(f"{done} of {len(groups)} chips read", 0.02 + 0.48 * done / len(groups))


def _buffer(paths: DatasetPaths, pixel_size: float, method: str) -> Buffer:
    audit = json.loads(paths.split_audit.read_text(encoding="utf-8"))
    catalog = read_geoparquet(paths.catalog)
    used = catalog[catalog["used"]]
    edge = float(np.median([*used["width"], *used["height"]])) if len(used) else 1.0
    return Buffer(audit.get("least_distance_m"), edge * pixel_size, method)


def _layer(name: str, kind: str, found: Variogram) -> dict[str, Any]:
    """Return a variogram as plain JSON values."""
    fitted = np.full(len(found.lags), np.nan) if found.model is None else found.model.at(found.lags)
    longest = found.longest
    return {
        "name": name,
        "kind": kind,
        "finding": found.finding.value,
        "range_m": _rounded(found.range, _DIGITS_OF_RANGES),
        "range_of_parts_m": [_rounded(value, _DIGITS_OF_RANGES) for value in found.spread],
        "longer_than_m": _rounded(longest, _DIGITS_OF_RANGES) if found.finding is Finding.NO_PLATEAU else None,
        "longest_lag_m": _rounded(longest, _DIGITS_OF_RANGES),
        "n_pixels": found.n_values,
        "n_pairs": int(found.pairs.sum()),
        "variance": _rounded(found.variance, _DIGITS_OF_VALUES),
        "model": None
        if found.model is None
        else {
            "nugget": _rounded(found.model.nugget, _DIGITS_OF_RANGES, found.model.sill),
            "sill": _rounded(found.model.sill, _DIGITS_OF_RANGES),
            "length_m": _rounded(found.model.length, _DIGITS_OF_RANGES),
            "exponent": round(found.model.exponent, 2),
            "r2": round(found.model.r2, 3),
        },
        "lags": [
            {
                "lag_m": _rounded(lag, _DIGITS_OF_VALUES),
                "pairs": int(count),
                "semivariance": _rounded(value, _DIGITS_OF_VALUES),
                "model": None if found.model is None else _rounded(model, _DIGITS_OF_RANGES, found.model.sill),
            }
            for lag, count, value, model in zip(found.lags, found.pairs, found.semivariance, fitted, strict=True)
        ],
    }


def _rounded(value: float | None, digits: int, size: float | None = None) -> float | None:
    """Return a number with so many significant digits, or with those of a number of the size `size`."""
    if value is None or not math.isfinite(value):
        return None
    size = abs(value) if size is None else abs(size)
    return round(float(value), digits - 1 - math.floor(math.log10(size))) + 0.0 if size else 0.0
