"""`gcn status`, `gcn why` and `gcn clean`: which files are current, which are not and why, and which are left over."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.options import LOCAL_PATH, SOURCE_PATH, dataset_task, output_option, region_file, region_options
from gcn_luigi.errors import ConfigError

if TYPE_CHECKING:
    from gcn_luigi.tasks.graph import TaskStatus

_MOST_REASONS = 3


@click.command()
@region_options
@output_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object per task.")
def status(*, region: str, config_dir: Path, data_root: Path | None, output: Path, as_json: bool) -> None:
    """Show which files of REGION are current, which will be built, and why. The command changes nothing.

    \b
    Example:
      gcn status columbia
    """  # noqa: D301  click reads the control character
    root = dataset_task(region_file(region, config_dir), output, data_root)
    from gcn_luigi.tasks.dependencies import Snapshot  # noqa: PLC0415
    from gcn_luigi.tasks.graph import explain, upstream  # noqa: PLC0415

    snapshot = Snapshot()
    statuses = [explain(task, snapshot) for task in (*upstream(root), root, *root.built_extras())]
    if as_json:
        click.echo(json.dumps([asdict(status) for status in statuses], indent=1))
        return
    families: dict[str, list[TaskStatus]] = {}
    for status in statuses:
        families.setdefault(status.name.partition("(")[0], []).append(status)
    for family, members in families.items():
        counts = Counter(status.state.value for status in members)
        click.echo(f"{family:22}" + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
        reasons = [reason for status in members for reason in status.reasons if not reason.startswith("waits for")]
        for reason in reasons[:_MOST_REASONS]:
            click.echo(f"  {reason}")
        if len(reasons) > _MOST_REASONS:
            click.echo(f"  and {len(reasons) - _MOST_REASONS} more")
    current = sum(status.state == "current" for status in statuses)
    click.echo(f"{current} of {len(statuses)} tasks are current: {root.paths.root}")


@click.command()
@click.argument("target", type=SOURCE_PATH)
@click.option(
    "--config-dir", default="config", show_default=True, type=LOCAL_PATH, help="Directory of the region's TOML file."
)
@click.option("--data-root", type=SOURCE_PATH, help="Directory of the sources, instead of data_root in the TOML file.")
@output_option
def why(*, target: Path, config_dir: Path, data_root: Path | None, output: Path) -> None:
    """Explain why TARGET would be rebuilt, down to the setting or source that changed.

    TARGET is a file of a dataset, the dataset's directory, a region's name, or its TOML file.

    \b
    Example:
      gcn why output/columbia/shards/train-00000-of-00004.h5
      gcn why columbia
    """  # noqa: D301  click reads the control character
    toml = region_file(str(target), config_dir)
    if (toml.is_file() and len(target.parts) == 1) or target.suffix == ".toml":
        path = directory = output.resolve() / toml.stem
        region = toml.stem
    else:
        path = target.resolve()
        region, directory = _region_of(path, config_dir)
        toml = config_dir / f"{region}.toml"
    root = dataset_task(toml, directory.parent, data_root)
    from gcn_luigi.tasks.dependencies import Snapshot  # noqa: PLC0415
    from gcn_luigi.tasks.graph import explain, upstream  # noqa: PLC0415

    tasks = [*upstream(root), root, *root.built_extras()]
    makers = [task for task in tasks if path in {made.path for made in task.targets()}] if path != directory else [root]
    if not makers:
        names = sorted(made.path.relative_to(directory).as_posix() for task in tasks for made in task.targets())
        raise ConfigError(
            f"no task of region {region} makes this file with the present settings",
            where=str(target),
            fix=f"name one of the region's {len(names)} files, such as {names[0]}; gcn clean removes leftover files",
        )
    snapshot = Snapshot()
    statuses = {task.name: explain(task, snapshot) for task in tasks}
    _print_status(makers[0].name, statuses, set(), 0)


def _region_of(path: Path, config_dir: Path) -> tuple[str, Path]:
    """Return the region whose dataset holds `path`, and the dataset's directory."""
    for place in (path, *path.parents):
        if place.name and (config_dir / f"{place.name}.toml").is_file():
            return place.name, place
    raise ConfigError(
        "this path does not belong to a dataset of a configured region",
        where=str(path),
        fix=f"name a file below <output>/<region>; {config_dir} must hold <region>.toml, or give --config-dir",
    )


def _print_status(name: str, statuses: "dict[str, TaskStatus]", shown: set[str], depth: int) -> None:
    """Show the status of a task and, below it, of the tasks that it waits for, each once."""
    status = statuses[name]
    click.echo(f"{'  ' * depth}{name}: {status.state.value}")
    shown.add(name)
    for reason in status.reasons:
        awaited = reason.removeprefix("waits for ")
        if awaited == reason:
            click.echo(f"{'  ' * (depth + 1)}{reason}")
        elif awaited not in shown:
            _print_status(awaited, statuses, shown, depth + 1)


@click.command()
@region_options
@output_option
@click.option("--all", "everything", is_flag=True, help="List the files of the dataset itself, too.")
@click.option("--yes", is_flag=True, help="Remove the files; without it they are only listed.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def clean(*, region: str, output: Path, everything: bool, yes: bool, as_json: bool, **where: Any) -> None:
    """List leftover files in the dataset of REGION: files of earlier settings, and temporary files of killed builds.

    The list contains only files that gcn_luigi made and that nobody has changed since then. Links are never followed.
    With --yes the files are removed.

    JSON keys: dataset, removable and kept (path, why), bytes, removed (how many files; null without --yes).

    \b
    Example:
      gcn clean columbia --yes
    """  # noqa: D301  click reads the control character
    root = dataset_task(region_file(region, where["config_dir"]), output, where["data_root"])
    from gcn_luigi.operate.leftovers import find_leftovers, remove_leftovers  # noqa: PLC0415

    found = find_leftovers(root, everything=everything)
    size = sum(leftover.path.stat().st_size for leftover in found.removable if leftover.path.exists())
    if as_json:
        shown = {
            name: [{"path": str(leftover.path), "why": leftover.why} for leftover in leftovers]
            for name, leftovers in (("removable", found.removable), ("kept", found.kept))
        }
        removed = remove_leftovers(root, found) if yes else None
        click.echo(json.dumps({"dataset": str(root.paths.root), **shown, "bytes": size, "removed": removed}, indent=1))
        return
    for leftover in found.kept:
        click.echo(f"kept: {leftover.path}: {leftover.why}", err=True)
    for leftover in found.removable:
        click.echo(f"{leftover.path}: {leftover.why}")
    if not found.removable:
        click.echo("nothing to remove")
    elif yes:
        click.echo(f"removed: {remove_leftovers(root, found)} files, {size / 1e6:,.1f} MB")
    else:
        click.echo(f"would remove {len(found.removable)} files, {size / 1e6:,.1f} MB; give --yes to remove them")
