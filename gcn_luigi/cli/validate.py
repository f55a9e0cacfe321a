"""`gcn validate`: say whether a dataset is whole, and whether two are the same."""

import sys
from pathlib import Path

import click

from gcn_luigi.read.checks.sameness import differences
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import unlisted, unrecorded
from gcn_luigi.read.validate import validate as find_problems


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--deep", is_flag=True, help="Also read every chip, and check the records in .gcn.")
def validate(*, directory: tuple[Path, ...], deep: bool) -> None:
    """Check every file, digest, shape and index row of the dataset in DIRECTORY.

    Of several, say besides whether they are the same dataset as the first.

    \b
    Example:
      gcn validate output/columbia
      gcn validate --deep output/columbia
      gcn validate output/columbia /mnt/copy/columbia
    """  # noqa: D301  click reads the control character
    whose = [f"{place}: " if len(directory) > 1 else "" for place in directory]
    # Each is looked at, also behind one that is damaged.
    sound = [_is_sound(place, name, deep=deep) for place, name in zip(directory, whose, strict=True)]
    if not all(sound):
        sys.exit(1)
    first, *others = (Dataset(place) for place in directory)
    same = [_is_same(first, other) for other in others]
    if not all(same):
        sys.exit(1)


def _is_sound(directory: Path, whose: str, *, deep: bool) -> bool:
    """Tell what is wrong with a dataset, or that nothing is."""
    problems = 0
    for problem in find_problems(directory, deep=deep):
        problems += 1
        click.echo(f"{whose}{problem}", err=True)
    if problems:
        click.echo(
            f"{whose}{problems} problem(s). To make exactly the damaged files anew: gcn run --deep REGION", err=True
        )
        return False
    for note in (*unlisted(directory), *(unrecorded(directory) if deep else ())):
        click.echo(f"{whose}note: {note}", err=True)
    dataset = Dataset(directory)
    counts = ", ".join(f"{len(dataset.chips(split))} {split} chips" for split in ("train", "dev"))
    click.echo(f"{whose}sound: {len(dataset.description['files'])} files, {counts}, digest {dataset.digest}")
    return True


def _is_same(first: Dataset, other: Dataset) -> bool:
    """Tell whether a dataset is the same as the first, or in what not."""
    found = list(differences(first, other))
    for difference in found:
        click.echo(f"{other.layout.root}: {difference}", err=True)
    if found:
        click.echo(f"not the same: {first.layout.root} and {other.layout.root}, {len(found)} difference(s)", err=True)
    else:
        click.echo(f"the same: {first.layout.root} and {other.layout.root}")
    return not found
