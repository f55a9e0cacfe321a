"""`gcn export` and `gcn convert`: write a finished dataset as GeoTIFFs for a GIS, or in another layout or codec."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import click

from gcn_luigi.cli.completion import complete_dataset, complete_id
from gcn_luigi.cli.options import LOCAL_PATH, SOURCE_PATH
from gcn_luigi.cli.terminal import progress_bar
from gcn_luigi.settings import Codec, StorageLayout

if TYPE_CHECKING:
    from gcn_luigi.prepare.partitions.query import Selection
    from gcn_luigi.read.dataset import Dataset

_LAYERS = ("image", "label", "flags", "confidence")


@click.command()
@click.argument("dataset", type=SOURCE_PATH, shell_complete=complete_dataset)
@click.argument("out", type=LOCAL_PATH)
@click.option(
    "--chip",
    "--chips",
    "chips",
    multiple=True,
    metavar="ID[,ID..]",
    shell_complete=partial(complete_id, column="chip_id"),
    help="Write these chips; may be repeated.",
)
@click.option(
    "--partition",
    "--partitions",
    "partitions",
    multiple=True,
    metavar="ID[,ID..]",
    shell_complete=partial(complete_id, column="partition"),
    help="Write these partitions; may be repeated.",
)
@click.option(
    "--bbox",
    nargs=4,
    type=float,
    metavar="LEFT BOTTOM RIGHT TOP",
    help="Write the pixels or chips that overlap this box.",
)
@click.option("--bbox-crs", metavar="CRS", help="CRS of the box, such as EPSG:4326.  [default: the dataset's]")
@click.option("--split", type=click.Choice(["train", "dev", "test"]), help="Write this split only.")
@click.option(
    "--year", "years", type=int, multiple=True, help="Write the composite of this year only; may be repeated."
)
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Write N chips or partitions, drawn at random.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of --sample.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Write the first N chips or partitions only.")
@click.option(
    "--all", "everything", is_flag=True, help="Write the whole dataset; needed if no other option selects a part of it."
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["chips", "partitions", "mosaic"]),
    help="One GeoTIFF per chip, partition or year.  [default: mosaic for --bbox, partitions for --partition]",
)
@click.option(
    "--layer", "layers", type=click.Choice(_LAYERS), multiple=True, help="Write this layer only; may be repeated."
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in OUT, but no other files.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of OUT/export.json.")
def export(*, dataset: Path, out: Path, form: str | None, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Write chips, partitions or a box of the dataset in DATASET as GeoTIFFs into the new directory OUT.

    The export needs no sources. Next to each image (int16, bands by name) are its label and flags (uint8), the
    confidence of the label if the dataset has it, and styles that QGIS loads automatically. The file footprints.gpkg
    holds each footprint with all columns of the index or catalog. A box gives one mosaic per year: years are never
    mixed, and pixels that no partition covers are missing.

    JSON keys: format, region, dataset, digest, form, crs, n_chips, n_rasters, bytes, files.

    \b
    Example:
      gcn export output/demo chips --split dev --sample 20
      gcn export output/demo north --bbox -147.5 61 -147 61.3 --bbox-crs EPSG:4326
      gcn export output/demo one --partition r0001_c0002
    """  # noqa: D301  click reads the control character
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415
    from gcn_luigi.read.export.export import Form, Request  # noqa: PLC0415
    from gcn_luigi.read.export.export import export as write  # noqa: PLC0415

    opened = Dataset(dataset)
    everything = options.pop("everything")
    layers = options.pop("layers")
    selection = _selection(opened, **options)
    if selection.is_empty and not everything:
        raise click.UsageError("say what to export: --chip, --partition, --bbox, --split, --year, --sample, or --all")
    usual = "mosaic" if selection.bounds is not None else "partitions" if selection.partitions else "chips"
    wanted = tuple(layer for layer in _LAYERS if layer in layers) or None
    request = Request(selection, cast("Form", form or usual), cast("Any", wanted), overwrite)
    with progress_bar() as say:
        said = write(opened, out, request, say)
    if as_json:
        click.echo(json.dumps(said, indent=1))
        return
    click.echo(f"export: {out}: {said['n_rasters']} GeoTIFFs of {said['n_chips']} chips, {said['bytes'] / 1e6:,.1f} MB")


def _selection(dataset: "Dataset", **options: Any) -> "Selection":
    from gcn_luigi.prepare.partitions.query import Selection, bounds_within  # noqa: PLC0415

    box, box_crs = options["bbox"], options["bbox_crs"]
    if box_crs is not None and not box:
        raise click.UsageError("--bbox-crs needs --bbox")
    crs = dataset.lattice.crs
    split: Literal["train", "dev", "test"] | None = options["split"]
    return Selection(
        chips=_ids(options["chips"]),
        partitions=_ids(options["partitions"]),
        bounds=bounds_within(box, box_crs or crs, crs, where="--bbox") if box else None,
        split=split,
        years=tuple(options["years"]),
        sample=options["sample"],
        seed=options["seed"],
        limit=options["limit"],
    )


def _ids(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for names in given for name in names.split(",") if name)


@click.command()
@click.argument("source", type=SOURCE_PATH, shell_complete=complete_dataset)
@click.argument("target", type=LOCAL_PATH)
@click.option("--layout", type=click.Choice(get_args(StorageLayout)), help="Store every chip, or every partition once.")
@click.option("--codec", type=click.Choice(get_args(Codec)), help="How pixels are compressed.")
def convert(*, source: Path, target: Path, layout: str | None, codec: str | None) -> None:
    """Write the dataset in SOURCE to the new directory TARGET, in another layout or codec.

    The chips, index, catalog and statistics stay bit-identical.

    \b
    Example:
      gcn convert output/columbia output/columbia-windows --layout windows
    """  # noqa: D301  click reads the control character
    from gcn_luigi.stages.dataset.convert import convert_dataset  # noqa: PLC0415

    with progress_bar() as say:
        convert_dataset(source, target, cast("StorageLayout | None", layout), cast("Codec | None", codec), say)
    click.echo(f"dataset: {target}: shards of {_size(target / 'shards')}; {_size(source / 'shards')} in {source}")


def _size(directory: Path) -> str:
    return f"{sum(path.stat().st_size for path in directory.glob('*.h5')) / 1e6:,.1f} MB"
