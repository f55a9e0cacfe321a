"""`gcn validate`: say whether a dataset is whole."""

import sys
from pathlib import Path

import click

from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import unlisted
from gcn_luigi.read.validate import validate as find_problems


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
def validate(*, directory: Path) -> None:
    """Check every file, digest, shape and index row of the dataset in DIRECTORY.

    \b
    Example:
      gcn validate output/columbia
    """  # noqa: D301  click reads the control character
    problems = 0
    for problem in find_problems(directory):
        problems += 1
        click.echo(problem, err=True)
    if problems:
        click.echo(
            f"{problems} problem(s). Delete the files named above and run the build again: it makes them anew.",
            err=True,
        )
        sys.exit(1)
    for note in unlisted(directory):
        click.echo(f"note: {note}", err=True)
    dataset = Dataset(directory)
    counts = ", ".join(f"{len(dataset.chips(split))} {split} chips" for split in ("train", "dev"))
    click.echo(f"sound: {len(dataset.description['files'])} files, {counts}")
