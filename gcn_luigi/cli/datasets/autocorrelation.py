"""`gcn autocorrelation`: how far bands and label resemble themselves, beside the buffer of the split."""

import json
from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.completion import complete_dataset
from gcn_luigi.cli.options import LOCAL_PATH, dataset_place, output_option
from gcn_luigi.errors import PublishError


@click.command()
@click.argument("what", type=LOCAL_PATH, metavar="REGION | DATASET", shell_complete=complete_dataset)
@output_option
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Decides which pixels are chosen.")
@click.option("--write", "directory", type=LOCAL_PATH, metavar="DIR",
              help="Also write autocorrelation.json and autocorrelation.csv into DIR.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def autocorrelation(*, what: Path, output: Path, seed: int, directory: Path | None, as_json: bool) -> None:
    """Measure how far the bands and the label resemble themselves, and compare this with the buffer of the split.

    The dataset must be finished: give its directory, or the name of its region. About 8,000 pixels of its shards are
    compared, which takes seconds for a dataset of any size. The dataset is not changed. With another --seed other
    pixels are chosen, which shows how certain the ranges are. This needs the extra `variogram`.

    The range is the distance at which the fitted model has risen by 95% of the way from its nugget to its sill. A layer
    without a plateau, without correlation, or with too few pairs has no range, and the table says so.

    JSON keys: those of autocorrelation.json, which docs/explanation/autocorrelation.md describes.

    \b
    Example:
      gcn autocorrelation columbia
      gcn autocorrelation output/columbia --seed 1 --json
    """  # noqa: D301  click reads the control character
    from gcn_luigi.prepare.evaluation.variogram import check_library  # noqa: PLC0415

    check_library()
    if directory is not None:
        _refuse_dataset(directory)
    found = _measure(dataset_place(what, output), seed)
    if directory is not None:
        _write(found, directory)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _print(found)


def _measure(place: Path, seed: int) -> dict[str, Any]:
    from gcn_luigi.cli.terminal import progress_bar  # noqa: PLC0415
    from gcn_luigi.io.publish.safe_names import inside  # noqa: PLC0415
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415
    from gcn_luigi.stages.evaluation.autocorrelation import measure_autocorrelation  # noqa: PLC0415

    dataset = Dataset(place)
    names = sorted(set(dataset.chip_table["shard"].astype(str)))
    shards = [inside(dataset.paths.shards, name, where=dataset.paths.index) for name in names]
    method = str(dataset.description.get("configuration", {}).get("split", {}).get("method", "blocks"))
    with progress_bar() as say:
        return measure_autocorrelation(dataset.paths, shards, dataset.classes, method, say, seed)


def _refuse_dataset(directory: Path) -> None:
    if (directory / "dataset.json").exists():
        raise PublishError(
            "this is the directory of a dataset, whose files are sealed",
            where=str(directory),
            fix="give another directory; [evaluation] autocorrelation = true makes the files a part of the dataset",
        )


def _write(found: dict[str, Any], directory: Path) -> None:
    from gcn_luigi.io.publish.atomic import atomic_write  # noqa: PLC0415
    from gcn_luigi.stages.evaluation.autocorrelation import write_results  # noqa: PLC0415

    with (
        atomic_write(directory / "autocorrelation.json") as text,
        atomic_write(directory / "autocorrelation.csv") as table,
    ):
        write_results(found, text, table)


def _print(found: dict[str, Any]) -> None:
    buffer = found["buffer_m"]
    apart = "one split has no partition" if buffer is None else f"{buffer:,.0f} m"
    click.echo(f"least distance between splits: {apart}; partitions of {found['partition_m']:,.0f} m")
    click.echo(f"{found['n_pixels']:,} pixels of {found['n_chips']:,} chips, seed {found['seed']}")
    head = ("layer", "kind", "range", "in parts", "exponent", "pairs")
    rows = [head, *(_row(layer) for layer in found["layers"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for hint in found["comparison"]["hints"]:
        click.echo(hint)


def _row(layer: dict[str, Any]) -> tuple[str, ...]:
    from gcn_luigi.prepare.evaluation.words import parts_in_words, range_in_words  # noqa: PLC0415

    model = layer["model"]
    return (
        layer["name"],
        layer["kind"],
        range_in_words(layer),
        parts_in_words(layer),
        "" if model is None or layer["range_m"] is None else f"{model['exponent']:.2f}",
        f"{layer['n_pairs']:,}",
    )
