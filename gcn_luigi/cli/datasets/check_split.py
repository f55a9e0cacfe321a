"""`gcn check-split`: measure what train and dev share, in a dataset or in a user's own files."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.completion import complete_dataset
from gcn_luigi.cli.options import SOURCE_PATH, output_option
from gcn_luigi.errors import ConfigError, few

if TYPE_CHECKING:
    import geopandas as gpd


@click.command("check-split")
@click.argument("what", nargs=-1, required=True, type=SOURCE_PATH, metavar="DATASET | FILE | TRAIN DEV",
                shell_complete=complete_dataset)  # fmt: skip
@output_option
@click.option("--min-distance", type=click.FloatRange(0), default=0.0, show_default=True, metavar="M",
              help="Smallest allowed distance between train and dev, in metres.")  # fmt: skip
@click.option("--no-shared-glaciers", is_flag=True, help="Also count a glacier in both splits as a leak.")
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
    """Measure what train and dev share; the exit code is 1 if there is a leak.

    DATASET is the directory of a finished dataset, or a region's name. The command also measures splits made
    elsewhere: give two vector files of footprints, TRAIN and DEV, or one FILE with a column `split`. Files are measured
    in a projected CRS.

    Shared pixels or area, duplicates, and a distance below --min-distance are leaks. Shared glaciers are reported. A
    warning says if train and dev are closer to each other than the edge of one chip: they share no pixel then, but show
    nearly the same ground.

    JSON keys: what, n_train, n_dev, shared_pixels (of a dataset) or shared_area_m2 and n_overlapping (of files),
    n_duplicates, shared_glaciers (null if they were not compared), least_distance_m, nearest, edge_m (of a chip or
    footprint), left_out (how many rows of FILE are in neither split, for each other word in the column `split`), leaks
    and warnings (lists of texts).

    \b
    Example:
      gcn check-split output/demo --min-distance 5000
      gcn check-split train.gpkg dev.gpkg --crs EPSG:3338
    """  # noqa: D301  click reads the control character
    if len(what) > 2:
        raise click.UsageError("give a dataset, a file with a column `split`, or two files: train first, then dev")
    place = _dataset_place(what, output)
    if place is not None:
        if crs or glacier_field:
            raise click.UsageError(
                "--crs and --glacier-field are for files only: a dataset has its own CRS and glacier ids"
            )
        found = _of_dataset(place)
    else:
        if limits["no_shared_glaciers"] and glacier_field is None:
            raise click.UsageError("--no-shared-glaciers needs --glacier-field, the column with the glacier ids")
        found = _of_files(what, crs, glacier_field)
    found["leaks"] = _leaks(found, **limits)
    found["warnings"] = _warnings(found)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _print(found)
    if found["leaks"]:
        sys.exit(1)


def _dataset_place(what: tuple[Path, ...], output: Path) -> Path | None:
    if len(what) == 2 or what[0].is_file():
        return None
    if what[0].is_dir() or what[0].suffix or len(what[0].parts) > 1:
        return what[0]
    return output / what[0]


def _of_dataset(place: Path) -> dict[str, Any]:
    from gcn_luigi.prepare.split.leakage import measure_leakage  # noqa: PLC0415
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415

    dataset = Dataset(place)
    leaks = measure_leakage(dataset.chip_table, dataset.partition_table, dataset.lattice)
    index = dataset.chip_table
    boxes = index[["left", "bottom", "right", "top"]].apply(tuple, axis=1)
    train, dev = (set(boxes[index["split"] == split]) for split in ("train", "dev"))
    return {
        "what": str(place),
        **asdict(leaks),
        "n_duplicates": len(train & dev),
        "edge_m": float((index["right"] - index["left"]).median()) if len(index) else None,
        "left_out": {},
    }


def _of_files(what: tuple[Path, ...], crs: str | None, glacier_field: str | None) -> dict[str, Any]:
    from gcn_luigi.io.inputs.vector import read_footprints  # noqa: PLC0415
    from gcn_luigi.prepare.split.leakage import measure_footprints  # noqa: PLC0415

    frames = [read_footprints(path) for path in what]
    train, dev, left_out = (*frames, {}) if len(frames) == 2 else _parts(frames[0], what[0])
    leaks = measure_footprints(train, dev, crs=crs, glaciers=glacier_field)
    nearest = None
    if leaks.nearest is not None:
        nearest = [_name(frame, row) for frame, row in zip((train, dev), leaks.nearest, strict=True)]
    return {
        "what": ", ".join(map(str, what)),
        **asdict(leaks),
        "shared_glaciers": None if glacier_field is None else leaks.shared_glaciers,
        "nearest": nearest,
        "left_out": left_out,
    }


def _parts(frame: "gpd.GeoDataFrame", path: Path) -> tuple["gpd.GeoDataFrame", "gpd.GeoDataFrame", dict[str, int]]:
    """Return train and dev of one file, and how many of its rows are in neither split, by their word."""
    from gcn_luigi.prepare.split.names import refuse_third_split, split_of  # noqa: PLC0415

    if "split" not in frame.columns:
        raise ConfigError(
            "the file has no column 'split'", where=str(path), fix="give two files, train and dev, or add the column"
        )
    words = frame["split"].fillna("").astype(str).str.strip()
    refuse_third_split(words, where=str(path), fix="compare two at a time: give two files, each with one split")
    splits = words.map(split_of)
    left_out = words[~splits.isin(["train", "dev"])].value_counts().sort_index()
    counts = {str(word): int(count) for word, count in left_out.items()}
    return frame[splits == "train"], frame[splits == "dev"], counts


def _name(frame: "gpd.GeoDataFrame", row: int) -> str:
    kept = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    for column in ("chip_id", "partition", "id", "name"):
        if column in kept.columns:
            return str(kept[column].iloc[row])
    return f"row {kept.index[row]}"


def _leaks(found: dict[str, Any], *, min_distance: float, no_shared_glaciers: bool) -> list[str]:
    leaks = []
    if not found["n_train"] or not found["n_dev"]:
        leaks.append(f"nothing to compare: {found['n_train']} train, {found['n_dev']} dev")
    if found.get("shared_pixels"):
        leaks.append(f"{found['shared_pixels']:,} pixels are in both train and dev")
    if found.get("n_overlapping"):
        leaks.append(f"{found['n_overlapping']:,} pairs overlap on {found['shared_area_m2'] / 1e6:,.3f} km2")
    if found["n_duplicates"]:
        leaks.append(f"{found['n_duplicates']:,} footprints are in both train and dev")
    distance = found["least_distance_m"]
    if distance is not None and distance < min_distance:
        leaks.append(f"{' and '.join(found['nearest'])} are {distance:,.0f} m apart, less than {min_distance:,.0f} m")
    if no_shared_glaciers and found["shared_glaciers"]:
        leaks.append(f"{len(found['shared_glaciers'])} glaciers are in both train and dev")
    return leaks


def _warnings(found: dict[str, Any]) -> list[str]:
    distance, edge = found["least_distance_m"], found["edge_m"]
    is_shared = found.get("shared_pixels") or found.get("n_overlapping")
    if distance is None or edge is None or is_shared or distance >= edge:
        return []
    apart = f"are {distance:,.0f} m apart" if distance else "touch"
    pair = " and ".join(found["nearest"])
    same = "they share no pixel, but show nearly the same ground"
    return [f"{pair} {apart}, less than the edge of one chip ({edge:,.0f} m): {same}"]


def _print(found: dict[str, Any]) -> None:
    distance, glaciers = found["least_distance_m"], found["shared_glaciers"]
    apart = "none" if distance is None else f"{distance:,.0f} m, {' to '.join(found['nearest'])}"
    shared = (
        f"{found['shared_pixels']:,} pixels"
        if "shared_pixels" in found
        else f"{found['shared_area_m2'] / 1e6:,.3f} km2 in {found['n_overlapping']:,} pairs"
    )
    click.echo(f"{found['n_train']:,} train, {found['n_dev']:,} dev: {found['what']}")
    click.echo(f"shared:          {shared}, {found['n_duplicates']:,} duplicates")
    click.echo(f"least distance:  {apart}")
    click.echo(f"shared glaciers: {_glaciers(glaciers)}")
    if found["left_out"]:
        words = ", ".join(f"{count:,} {word or 'without a split'}" for word, count in found["left_out"].items())
        click.echo(f"in neither:      {words}")
    for leak in found["leaks"]:
        click.echo(f"leak: {leak}", err=True)
    for warning in found["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    if not found["leaks"]:
        no_leak = "no leak, but train and dev are too close for a fair test" if found["warnings"] else "no leak"
        click.echo(no_leak + ("; shared glaciers are allowed unless you give --no-shared-glaciers" if glaciers else ""))


def _glaciers(ids: list[str] | None) -> str:
    if ids is None:
        return "not compared, because --glacier-field was not given"
    return f"{len(ids)}: {few(ids)}" if ids else "0"
