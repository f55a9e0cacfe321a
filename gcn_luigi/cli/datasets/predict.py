"""`gcn predict`: from a trained model and a year or a raster to a map of classes."""

from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.completion import complete_dataset
from gcn_luigi.cli.options import LOCAL_PATH, SOURCE_PATH
from gcn_luigi.cli.terminal import progress_bar


@click.command()
@click.argument("dataset", type=SOURCE_PATH, shell_complete=complete_dataset)
@click.option(
    "--model", "model_file", type=SOURCE_PATH, required=True, metavar="FILE", help="The model: .pt2 or .safetensors."
)
@click.option(
    "--architecture",
    metavar="FILE.py:NAME",
    help="What makes the model, for .safetensors; or package.module:NAME. Its code is run.",
)
@click.option("--year", type=int, help="Predict the stack of this year.")
@click.option("--source", type=SOURCE_PATH, metavar="RASTER", help="Predict this raster, with bands by name.")
@click.option(
    "--to",
    type=LOCAL_PATH,
    metavar="DIR",
    help="Directory of the map.  [default: DATASET-predictions, next to DATASET]",
)
@click.option("--size", type=click.IntRange(1), metavar="PX", help="Edge of a window.  [default: as in training]")
@click.option(
    "--overlap", type=click.IntRange(0), metavar="PX", help="Pixels that windows share.  [default: half a window]"
)
@click.option(
    "--blending",
    type=click.Choice(["hann", "linear"]),
    default="hann",
    show_default=True,
    help="How the weight of a pixel rises from the edge of a window.",
)
@click.option(
    "--missing",
    type=click.Choice(["any", "all"]),
    default="any",
    show_default=True,
    help="Leave a pixel without a class if any band is missing, or only if all are.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, or another device of torch.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Windows at a time.")
def predict(*, dataset: Path, model_file: Path, architecture: str | None, to: Path | None, **options: Any) -> None:
    """Predict a map of classes with a model that was trained on DATASET, or on one with the same bands.

    The command writes NAME_classes.tif with a style for QGIS and NAME_probabilities.tif, where NAME is the year or the
    name of the raster. A run that was stopped goes on where it was when the same command is given again. Bands and
    statistics are those of the model file, which `gcn_luigi.read.torch.save_model` writes.

    \b
    Example:
      gcn predict output/demo --model model.pt2 --year 2004
      gcn predict output/demo --model model.pt2 --source scene.tif --to maps --overlap 32
    """  # noqa: D301  click reads the control character
    year, source = options.pop("year"), options.pop("source")
    if (year is None) == (source is None):
        raise click.UsageError("say what to predict: --year or --source")
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415
    from gcn_luigi.read.prediction import Windows, model_from  # noqa: PLC0415
    from gcn_luigi.read.prediction import predict as write  # noqa: PLC0415

    opened = Dataset(dataset)
    model = model_from(model_file, architecture)
    for note in model.card.notes(opened):
        click.echo(f"note: {note}", err=True)
    # A path such as "." has no name to put another next to.
    root = dataset if dataset.name not in {"", ".."} else opened.paths.root
    place = root.with_name(f"{root.name}-predictions") if to is None else to
    with progress_bar() as say:
        found = write(model, opened, place, source if year is None else year, windows=Windows(**options), say=say)
    total = sum(found.counts.values())
    shares = ", ".join(f"{name} {count / total:.1%}" for name, count in found.counts.items())
    click.echo(f"map: {found.classes}: {shares}")
    click.echo(f"probabilities: {found.probabilities}")
