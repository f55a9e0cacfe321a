"""`gcn check-split`: measure what the splits share, in a dataset or in a user's own files."""

import itertools
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.completion import complete_dataset
from gcn_luigi.cli.options import SOURCE_PATH, dataset_place, output_option
from gcn_luigi.errors import ConfigError, few

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from gcn_luigi.read.dataset import Dataset

_OF_FILES = ("train", "dev", "test")
_OF_FOLD = ("train", "held out")
_SUMS = ("shared_pixels", "shared_area_m2", "n_overlapping", "n_duplicates")


def _number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    # No distance is less than NaN, so every split would pass.
    if math.isnan(value):
        raise click.BadParameter("give a number of metres, not nan")
    return value


@click.command("check-split")
@click.argument("what", nargs=-1, required=True, type=SOURCE_PATH, metavar="DATASET | FILE | TRAIN DEV [TEST]",
                shell_complete=complete_dataset)  # fmt: skip
@output_option
@click.option("--min-distance", type=click.FloatRange(0), default=0.0, show_default=True, metavar="M", callback=_number,
              help="Smallest allowed distance between two splits, in metres.")  # fmt: skip
@click.option("--no-shared-glaciers", is_flag=True, help="Also count a glacier in two splits as a leak.")
@click.option("--crs", metavar="CRS", help="Projected CRS in which files are measured.  [default: the first file's]")
@click.option("--glacier-field", metavar="NAME", help="Column with the glacier ids, for files.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def check_split(
    *,
    what: tuple[Path, ...],
    output: Path,
    as_json: bool,
    crs: str | None,
    glacier_field: str | None,
    **limits: Any,
) -> None:
    """Measure what every two splits share; the exit code is 1 if there is a leak.

    DATASET is the directory of a finished dataset, or a region's name. The command also measures splits made
    elsewhere: give two or three vector files of footprints, TRAIN, DEV and TEST, or one FILE with a column `split`.
    Files are measured in a projected CRS.

    Shared pixels or area, duplicates, and a distance below --min-distance are leaks. Shared glaciers are reported. A
    warning says if two splits are closer to each other than the edge of one chip: they share no pixel then, but show
    nearly the same ground.

    JSON keys: what, n_train, n_dev and n_test (if there is a test split), shared_pixels (of a dataset) or
    shared_area_m2 and n_overlapping (of files), n_duplicates, shared_glaciers (null if they were not compared),
    least_distance_m, nearest, edge_m (of a chip or footprint), left_out (how many rows of FILE are in no split, for
    each other word in the column `split`), pairs (the same measures for each two splits, which `splits` names), folds
    (for a dataset with folds: fold, n_train, n_held_out and the same measures), leaks and warnings (lists of texts).
    With several pairs, the measures above pairs are their sums, and the least distance.

    \b
    Example:
      gcn check-split output/demo --min-distance 5000
      gcn check-split train.gpkg dev.gpkg --crs EPSG:3338
    """  # noqa: D301  click reads the control character
    if len(what) > len(_OF_FILES):
        raise click.UsageError("give a dataset, a file with a column `split`, or files: train, then dev, then test")
    if len(what) == 1 and not what[0].is_file():
        if crs or glacier_field:
            raise click.UsageError(
                "--crs and --glacier-field are for files only: a dataset has its own CRS and glacier ids"
            )
        found = _of_dataset(dataset_place(what[0], output))
    else:
        if limits["no_shared_glaciers"] and glacier_field is None:
            raise click.UsageError("--no-shared-glaciers needs --glacier-field, the column with the glacier ids")
        found = _of_files(what, crs, glacier_field)
    found = {**found, **_together(found["pairs"])}
    every = [*(("", found, pair) for pair in found["pairs"]), *_as_pairs(found)]
    found["leaks"] = [about + leak for about, counts, pair in every for leak in _leaks(counts, pair, **limits)]
    found["warnings"] = [about + line for about, _, pair in every for line in _warnings(pair, found["edge_m"])]
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _print(found)
    if found["leaks"]:
        sys.exit(1)


def _of_dataset(place: Path) -> dict[str, Any]:
    from gcn_luigi.prepare.split.leakage import measure_leakage  # noqa: PLC0415
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415

    dataset = Dataset(place)
    index = dataset.chip_table
    leaks = measure_leakage(index, dataset.partition_table, dataset.lattice, dataset.splits)
    return {
        "what": str(place),
        **{f"n_{split}": count for split, count in leaks.counts.items()},
        "pairs": [{**asdict(pair), "n_duplicates": _count_duplicates(index, *pair.splits)} for pair in leaks.pairs],
        **({"folds": _folds_of(dataset)} if dataset.n_folds else {}),
        "edge_m": float((index["right"] - index["left"]).median()) if len(index) else None,
        "left_out": {},
    }


def _folds_of(dataset: "Dataset") -> list[dict[str, Any]]:
    """Return what the train chips and the held-out chips of each fold share."""
    import pandas as pd  # noqa: PLC0415

    from gcn_luigi.prepare.split.leakage import measure_leakage  # noqa: PLC0415
    from gcn_luigi.read.selection import chosen_rows  # noqa: PLC0415

    found = []
    for fold in range(dataset.n_folds):
        sides = []
        for split, side in zip(("train", "dev"), _OF_FOLD, strict=True):
            rows = chosen_rows(dataset.chip_table, split, fold=fold, folds=dataset.fold_table)
            sides.append(dataset.chip_table[rows].assign(split=side))
        # A chip that is in both parts is in the table twice.
        parts = pd.concat(sides, ignore_index=True)
        leaks = measure_leakage(parts, dataset.partition_table, dataset.lattice, _OF_FOLD)
        counts = {f"n_{side.replace(' ', '_')}": count for side, count in leaks.counts.items()}
        shared = {key: value for key, value in asdict(leaks.pairs[0]).items() if key != "splits"}
        found.append({"fold": fold, **counts, **shared, "n_duplicates": _count_duplicates(parts, *_OF_FOLD)})
    return found


def _count_duplicates(index: "pd.DataFrame", one: str, other: str) -> int:
    """Return how many boxes chips of both splits have."""
    edges = ["left", "bottom", "right", "top"]
    boxes = (index.loc[index["split"] == split, edges].drop_duplicates() for split in (one, other))
    return len(next(boxes).merge(next(boxes), on=edges))


def _of_files(what: tuple[Path, ...], crs: str | None, glacier_field: str | None) -> dict[str, Any]:
    from gcn_luigi.io.inputs.vector import read_footprints  # noqa: PLC0415
    from gcn_luigi.prepare.split.footprints import measure_footprints  # noqa: PLC0415

    frames = [read_footprints(path) for path in what]
    if len(frames) > 1:
        sides, left_out = dict(zip(_OF_FILES, frames, strict=False)), dict[str, int]()
    else:
        sides, left_out = _parts(frames[0], what[0])
    pairs, counts, edges = [], dict[str, int](), dict[tuple[str, str], float | None]()
    # All pairs are measured in the CRS of the first file.
    crs = crs or (frames[0].crs.to_wkt() if frames[0].crs is not None else None)
    for one, other in itertools.combinations(sides, 2):
        leaks = measure_footprints(sides[one], sides[other], crs=crs, glaciers=glacier_field)
        counts |= {one: leaks.n_train, other: leaks.n_dev}
        edges[one, other] = leaks.edge_m
        named = [_name(sides[side], row) for side, row in zip((one, other), leaks.nearest or (), strict=False)]
        pairs.append(
            {
                "splits": [one, other],
                **{key: getattr(leaks, key) for key in ("shared_area_m2", "n_overlapping", "n_duplicates")},
                "shared_glaciers": None if glacier_field is None else leaks.shared_glaciers,
                "least_distance_m": leaks.least_distance_m,
                "nearest": named or None,
            }
        )
    return {
        "what": ", ".join(map(str, what)),
        **{f"n_{side}": count for side, count in counts.items()},
        "pairs": pairs,
        "edge_m": min((edge for edge in edges.values() if edge is not None), default=None),
        "left_out": left_out,
    }


def _parts(frame: "gpd.GeoDataFrame", path: Path) -> tuple[dict[str, "gpd.GeoDataFrame"], dict[str, int]]:
    """Return the splits of one file, and how many of its rows are in none, by their word."""
    from gcn_luigi.prepare.split.names import names_test, split_of  # noqa: PLC0415

    if "split" not in frame.columns:
        raise ConfigError(
            "the file has no column 'split'", where=str(path), fix="give two files, train and dev, or add the column"
        )
    words = frame["split"].fillna("").astype(str).str.strip()
    has_test = names_test(words)
    splits = words.map(lambda word: split_of(word, has_test=has_test))
    sides = _OF_FILES if has_test else _OF_FILES[:2]
    left_out = words[~splits.isin(sides)].value_counts().sort_index()
    return {side: frame[splits == side] for side in sides}, {str(word): int(n) for word, n in left_out.items()}


def _together(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the measures of all pairs as one: sums, all shared glaciers, and the least distance."""
    measured = [pair for pair in pairs if pair["least_distance_m"] is not None]
    closest = min(measured, key=lambda pair: float(pair["least_distance_m"]), default=pairs[0])
    compared = [pair["shared_glaciers"] for pair in pairs if pair["shared_glaciers"] is not None]
    return {
        **{key: sum(pair[key] for pair in pairs) for key in _SUMS if key in pairs[0]},
        "shared_glaciers": sorted({name for names in compared for name in names}) if compared else None,
        **{key: closest[key] for key in ("least_distance_m", "nearest")},
    }


def _name(frame: "gpd.GeoDataFrame", row: int) -> str:
    kept = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    for column in ("chip_id", "partition", "id", "name"):
        if column in kept.columns:
            return str(kept[column].iloc[row])
    return f"row {kept.index[row]}"


def _leaks(
    found: Mapping[str, Any], pair: Mapping[str, Any], *, min_distance: float, no_shared_glaciers: bool
) -> list[str]:
    one, other = pair["splits"]
    between = f"both {one} and {other}"
    leaks, counts = [], {side: found[f"n_{side}"] for side in pair["splits"]}
    if not all(counts.values()):
        leaks.append(f"nothing to compare: {', '.join(f'{count} {side}' for side, count in counts.items())}")
    if pair.get("shared_pixels"):
        leaks.append(f"{pair['shared_pixels']:,} pixels are in {between}")
    if pair.get("n_overlapping"):
        area = f"{pair['shared_area_m2'] / 1e6:,.3f} km2"
        leaks.append(f"{pair['n_overlapping']:,} pairs of {one} and {other} overlap on {area}")
    if pair["n_duplicates"]:
        leaks.append(f"{pair['n_duplicates']:,} footprints are in {between}")
    distance = pair["least_distance_m"]
    if distance is not None and distance < min_distance:
        leaks.append(f"{' and '.join(pair['nearest'])} are {distance:,.0f} m apart, less than {min_distance:,.0f} m")
    if no_shared_glaciers and pair["shared_glaciers"]:
        leaks.append(f"{len(pair['shared_glaciers'])} glaciers are in {between}")
    return leaks


def _as_pairs(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Return for each fold how messages about it begin, its counts, and its train and held-out chips as a pair."""
    return [
        (
            f"fold {fold['fold']}: ",
            {f"n_{side}": fold[f"n_{side.replace(' ', '_')}"] for side in _OF_FOLD},
            {**fold, "splits": list(_OF_FOLD)},
        )
        for fold in found.get("folds", [])
    ]


def _warnings(pair: Mapping[str, Any], edge: float | None) -> list[str]:
    distance = pair["least_distance_m"]
    is_shared = pair.get("shared_pixels") or pair.get("n_overlapping")
    if distance is None or edge is None or is_shared or distance >= edge:
        return []
    apart = f"are {distance:,.0f} m apart" if distance else "touch"
    same = "they share no pixel, but show nearly the same ground"
    return [f"{' and '.join(pair['nearest'])} {apart}, less than the edge of one chip ({edge:,.0f} m): {same}"]


def _print(found: Mapping[str, Any]) -> None:
    sides = [side for side in _OF_FILES if f"n_{side}" in found]
    counts = ", ".join(f"{found['n_' + side]:,} {side}" for side in sides)
    click.echo(f"{counts}: {found['what']}")
    for pair in found["pairs"]:
        if len(found["pairs"]) > 1:
            click.echo(f"{' and '.join(pair['splits'])}:")
        _print_pair(pair)
    for fold in found.get("folds", []):
        _print_fold(fold)
    if found["left_out"]:
        words = ", ".join(f"{count:,} {word or 'without a split'}" for word, count in found["left_out"].items())
        click.echo(f"in {'neither' if len(sides) < 3 else 'no split'}:{' ' * (6 if len(sides) < 3 else 5)}{words}")
    for leak in found["leaks"]:
        click.echo(f"leak: {leak}", err=True)
    for warning in found["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    if not found["leaks"]:
        only_two = len(sides) < 3 and "folds" not in found
        which = "train and dev" if only_two else "some of these"
        no_leak = f"no leak, but {which} are too close for a fair test" if found["warnings"] else "no leak"
        told = "; shared glaciers are allowed unless you give --no-shared-glaciers"
        click.echo(no_leak + (told if found["shared_glaciers"] else ""))


def _print_fold(fold: Mapping[str, Any]) -> None:
    distance = fold["least_distance_m"]
    apart = "no distance" if distance is None else f"{distance:,.0f} m apart"
    click.echo(
        f"fold {fold['fold']}: {fold['n_train']:,} train, {fold['n_held_out']:,} held out, {apart}; "
        f"shared: {fold['shared_pixels']:,} pixels, {fold['n_duplicates']:,} duplicates, "
        f"{len(fold['shared_glaciers'])} glaciers"
    )


def _print_pair(pair: Mapping[str, Any]) -> None:
    distance = pair["least_distance_m"]
    apart = "none" if distance is None else f"{distance:,.0f} m, {' to '.join(pair['nearest'])}"
    shared = (
        f"{pair['shared_pixels']:,} pixels"
        if "shared_pixels" in pair
        else f"{pair['shared_area_m2'] / 1e6:,.3f} km2 in {pair['n_overlapping']:,} pairs"
    )
    click.echo(f"shared:          {shared}, {pair['n_duplicates']:,} duplicates")
    click.echo(f"least distance:  {apart}")
    click.echo(f"shared glaciers: {_glaciers(pair['shared_glaciers'])}")


def _glaciers(ids: list[str] | None) -> str:
    if ids is None:
        return "not compared, because --glacier-field was not given"
    return f"{len(ids)}: {few(ids)}" if ids else "0"
