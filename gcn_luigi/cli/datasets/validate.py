"""`gcn validate`: check whether a dataset is intact, and whether several are the same."""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from gcn_luigi.cli.completion import complete_dataset
from gcn_luigi.cli.options import SOURCE_PATH


@dataclass
class _Report:
    """The findings about one directory."""

    directory: str
    sound: bool = False
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    chips: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    data_digest: str = ""
    # From the first dataset; None if they were not compared.
    differences: list[str] | None = None


@click.command()
@click.argument("directory", type=SOURCE_PATH, nargs=-1, required=True, shell_complete=complete_dataset)
@click.option("--deep", is_flag=True, help="Also read every chip, and check the records in .gcn.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object per dataset.")
def validate(*, directory: tuple[Path, ...], deep: bool, as_json: bool) -> None:
    """Check every file, digest, shape and index row of the dataset in DIRECTORY, which may also be a .tar archive.

    Given several directories, the command also says whether each dataset is the same as the first. If one is not, it
    says whether at least the data are the same: shards, index, catalog and statistics.

    A copy of a part of a dataset, without .gcn, is sound if it has every file that chips are read from. An archive of
    `gcn publish` is such a part; a tar file is unpacked below TMPDIR for the check.

    JSON keys of a dataset: directory, sound, problems, notes, files (how many exist), chips, digest, data_digest, and
    differences (from the first dataset; null if they were not compared).

    \b
    Example:
      gcn validate output/columbia
      gcn validate --deep output/columbia
      gcn validate output/columbia /mnt/copy/columbia
    """  # noqa: D301  click reads the control character
    from gcn_luigi.read.archive.unpacking import opened  # noqa: PLC0415
    from gcn_luigi.read.checks.files import differences  # noqa: PLC0415
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415

    with ExitStack() as stack:
        places = [stack.enter_context(opened(place)) for place in directory]
        # Every dataset is checked, even if an earlier one is damaged.
        reports = [
            _check(place, str(name), f"{name}: " if len(directory) > 1 else "", deep=deep, prints=not as_json)
            for place, name in zip(places, directory, strict=True)
        ]
        if all(report.sound for report in reports):
            first, *others = (Dataset(place) for place in places)
            for other, report in zip(others, reports[1:], strict=True):
                report.differences = list(differences(first, other))
                if not as_json:
                    is_same_data = first.data_digest == other.data_digest
                    _print_differences(reports[0], report, is_same_data=is_same_data)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports], indent=1))
    if any(report.problems or report.differences for report in reports):
        sys.exit(1)


def _check(directory: Path, name: str, whose: str, *, deep: bool, prints: bool) -> _Report:
    """Look for problems in a dataset, and print each one when it is found."""
    from gcn_luigi.read.checks.files import left_out_of, listed  # noqa: PLC0415
    from gcn_luigi.read.dataset import Dataset  # noqa: PLC0415
    from gcn_luigi.read.validate import absent, unlisted, unrecorded  # noqa: PLC0415
    from gcn_luigi.read.validate import validate as find_problems  # noqa: PLC0415

    report = _Report(name)
    for problem in find_problems(directory, deep=deep):
        report.problems.append(problem)
        if prints:
            click.echo(f"{whose}{problem}", err=True)
    if report.problems:
        if prints:
            count = len(report.problems)
            advice = "To rebuild only the damaged files: gcn run --deep REGION"
            click.echo(f"{whose}{count} problem(s). {advice}", err=True)
        return report
    for note in (*absent(directory), *unlisted(directory), *(unrecorded(directory) if deep else ())):
        report.notes.append(note)
        if prints:
            click.echo(f"{whose}note: {note}", err=True)
    dataset = Dataset(directory)
    report.sound, report.digest, report.data_digest = True, dataset.digest, dataset.data_digest
    report.files = len(listed(dataset)) - len(left_out_of(dataset))
    report.chips = {split: len(dataset.chips(split)) for split in dataset.splits}
    if prints:
        counts = ", ".join(f"{count} {split} chips" for split, count in report.chips.items())
        click.echo(f"{whose}sound: {report.files} files, {counts}, digest {report.digest}")
        if not whose:
            click.echo(f"data only (shards, index, catalog, statistics): digest {report.data_digest}")
    return report


def _print_differences(first: _Report, other: _Report, *, is_same_data: bool) -> None:
    """Print whether a dataset is the same as the first, or what differs."""
    found, places = other.differences or [], f"{first.directory} and {other.directory}"
    for difference in found:
        click.echo(f"{other.directory}: {difference}", err=True)
    if not found:
        click.echo(f"the same: {places}")
        return
    click.echo(f"not the same: {places}, {len(found)} difference(s)", err=True)
    if is_same_data:
        click.echo(f"the same data: {places}; shards, index, catalog and statistics are equal")
