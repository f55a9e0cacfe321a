"""`gcn convert`: a dataset stored another way."""

from pathlib import Path
from typing import cast, get_args

import click
from rich.console import Console
from rich.progress import Progress

from gcn_luigi.cli.completion import complete_dataset
from gcn_luigi.cli.options import LOCAL_PATH, SOURCE_PATH
from gcn_luigi.settings import Codec, StorageLayout


@click.command()
@click.argument("source", type=SOURCE_PATH, shell_complete=complete_dataset)
@click.argument("target", type=LOCAL_PATH)
@click.option("--layout", type=click.Choice(get_args(StorageLayout)), help="Chips, or each partition once.")
@click.option("--codec", type=click.Choice(get_args(Codec)), help="How pixels are compressed.")
def convert(*, source: Path, target: Path, layout: str | None, codec: str | None) -> None:
    """Write the dataset in SOURCE to the new directory TARGET in another layout or codec.

    Chips stay equal to the bit, and so do index, catalog and statistics.

    \b
    Example:
      gcn convert output/columbia output/columbia-windows --layout windows
    """  # noqa: D301  click reads the control character
    from gcn_luigi.stages.dataset.convert import convert_dataset  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("converting", total=1.0)

        def say(message: str, share: float) -> None:
            bar.update(shown, description=message, completed=share)

        wanted = cast("StorageLayout | None", layout), cast("Codec | None", codec)
        convert_dataset(source, target, wanted[0], wanted[1], say)
    click.echo(f"dataset: {target}, {_size(target / 'shards')} of shards; {_size(source / 'shards')} in {source}")


def _size(directory: Path) -> str:
    return f"{sum(path.stat().st_size for path in directory.glob('*.h5')) / 1e6:,.1f} MB"
