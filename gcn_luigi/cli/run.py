"""`gcn run` and `gcn demo`: build a region and show the progress."""

import json
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcn_luigi.cli.cluster import cluster_engine, cluster_options, cluster_place
from gcn_luigi.cli.options import PartOf, configure_luigi, dataset_task, region_file, region_options, shared_options
from gcn_luigi.cli.stopping import say_what_is_kept
from gcn_luigi.luigi_host.cfg_files import shipped_cfg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcn_luigi.operate.build import BuildResult
    from gcn_luigi.settings import RegionSettings
    from gcn_luigi.tasks import Dataset

# The same as Luigi's own exit code for tasks that were not run.
NOT_RUN = 25
# Where the other commands look for the demo's settings.
_DEMO_CONFIG = Path("config") / "demo.toml"
_DEMO_DATA_ROOT = 'data_root = "../output/demo-input"'


@click.command()
@region_options
@shared_options
@cluster_options
@click.option("--deep", is_flag=True, help="First read every finished file, and rebuild those whose bytes changed.")
@click.option(
    "--task",
    "names",
    multiple=True,
    metavar="NAME",
    help="Build only this task and what it requires, such as 'ChipShard(train, 7)'; a family stands for all its "
    "tasks. May be given several times.",
)
@click.option(
    "--part",
    type=PartOf(),
    metavar="I/N",
    help="Of the tasks that --task chooses, build only part I of N, counted from 0: one part for each job of an array.",
)
def run(*, region: str, config_dir: Path, data_root: Path | None, output: Path, **options: Any) -> None:
    """Build the dataset of REGION: a name in the config directory, or a TOML file.

    Run it again after a failure or a change: it builds only the files that are missing or out of date. It also rebuilds
    a finished file that somebody has written to. With --deep it also finds files that the disk has damaged.

    With --task, the parts of a dataset can be built by jobs that know nothing of each other, in any order and again
    after a failure; a run without it then builds what is left.

    \b
    Example:
      gcn run columbia --workers 2
      gcn run columbia --local-scheduler --task 'ChipShard(train, 7)'
      gcn run columbia --local-scheduler --task ChipShard --part 3/20
    """  # noqa: D301  click reads the control character
    _check_scheduler_options(options)
    if options["part"] and not options["names"]:
        raise click.UsageError("--part divides the tasks that --task chooses: give --task as well, such as ChipShard")
    build_region(region_file(region, config_dir), output, data_root, **options)


def _check_scheduler_options(options: dict[str, Any]) -> None:
    if options["local_scheduler"] and options["scheduler_url"]:
        raise click.UsageError("--local-scheduler and --scheduler-url exclude each other: give one of them")


def build_region(
    path: Path,
    output: Path,
    data_root: Path | None,
    *,
    workers: int,
    deep: bool = False,
    names: tuple[str, ...] = (),
    **options: Any,
) -> None:
    """Build the region that `path` configures below `output`, and exit with Luigi's exit code if that fails.

    `data_root` replaces the one of the TOML file. With `deep` the bytes of all finished files are first compared with
    their digests. `names` are the tasks to build; without any, the whole dataset is built. `options` are the other ones
    of `shared_options`, and with `names` also the `part` of these tasks. Raises ConfigError or SchedulerError if a
    setting cannot be used, or if the scheduler does not answer or is not trusted.
    """
    root = dataset_task(path, output, data_root, is_built=True)
    settings = root.configured.settings
    from gcn_luigi.cli.chosen import chosen_tasks  # noqa: PLC0415
    from gcn_luigi.luigi_host.memory_limit import share_mb  # noqa: PLC0415
    from gcn_luigi.operate.build import BuildResult  # noqa: PLC0415
    from gcn_luigi.operate.leftovers import invalidate_damaged, sweep_temporaries  # noqa: PLC0415
    from gcn_luigi.operate.luigid import central_scheduler, running_scheduler  # noqa: PLC0415
    from gcn_luigi.prepare.appearance import shown_names  # noqa: PLC0415
    from gcn_luigi.tasks import Dataset  # noqa: PLC0415
    from gcn_luigi.tasks.base import share_look  # noqa: PLC0415
    from gcn_luigi.tasks.dependencies import Snapshot  # noqa: PLC0415

    composite = shown_names(settings.schema_bands.image, settings.report.composite or ())
    place = cluster_place(options, root.dask, output, workers)
    shown = "" if place is None else place.shown
    root = root.clone(Dataset, memory_mb=options["memory"] or share_mb(workers), dask=shown)
    # A name that fits no task is reported before anything starts.
    tasks = chosen_tasks(root, names, options["part"]) if names else [root]
    sweep_temporaries(root)
    if deep:
        for damaged in invalidate_damaged(root):
            click.echo(f"damaged, will be rebuilt: {damaged}", err=True)
    scheduler: AbstractContextManager[str | None] = nullcontext()
    if options["scheduler_url"] is not None:
        scheduler = nullcontext(running_scheduler(options["scheduler_url"], is_trusted=options["trust_network"]))
    elif not options["local_scheduler"]:
        scheduler = central_scheduler(options["port"], output.resolve() / ".scheduler", shipped_cfg())
    # Nothing is started for a dataset that is finished; and Luigi schedules a build from this one look.
    look = Snapshot()
    if all(task.is_complete_upstream(look) for task in tasks):
        _conclude(BuildResult(0, ()), root, is_whole=not names)
        return
    _check_libraries(settings)
    from gcn_luigi.luigi_host.worker import start_server  # noqa: PLC0415

    # It imports the libraries while the scheduler starts.
    start_server()
    from gcn_luigi.cli.terminal import watching  # noqa: PLC0415
    from gcn_luigi.operate.build import build  # noqa: PLC0415
    from gcn_luigi.report.served.server import serve_pages  # noqa: PLC0415
    from gcn_luigi.tasks.awaited import are_complete  # noqa: PLC0415

    with say_what_is_kept(root), scheduler as address, ExitStack() as open_:
        if address is not None:
            pages = open_.enter_context(serve_pages(root.paths, composite=composite))
            tasks = [task.clone(type(task), pages_url=pages) for task in tasks]
            click.echo(
                f"graph, while this runs: {address}/static/visualiser/index.html#tab=graph&taskId={root.task_id}"
            )
        engine = open_.enter_context(cluster_engine(place, options["memory"]))
        with watching() as watch:
            # A scheduler that the user named must be used; one that another run started here may end with that run.
            goes_on = options["scheduler_url"] is None
            seen = share_look(tasks, look)
            result = build(seen, workers=workers, address=address, watch=watch, goes_on=goes_on, engine=engine)
    if result.exit_code == 0 and not are_complete(tasks, root.paths.root):
        click.echo(
            "not finished: sources or settings changed during the run, or another run is building this dataset with "
            "other settings. Wait for that run to end, then run again.",
            err=True,
        )
        sys.exit(NOT_RUN)
    _conclude(result, root, is_whole=not names)


def _check_libraries(settings: "RegionSettings") -> None:
    """Raise ConfigError if a library is missing that the settings ask for."""
    from gcn_luigi.io.shard.codecs import check_codec  # noqa: PLC0415

    check_codec(settings.shards.codec)
    if settings.evaluation.autocorrelation:
        from gcn_luigi.prepare.evaluation.variogram import check_library  # noqa: PLC0415

        check_library()


def _conclude(result: "BuildResult", root: "Dataset", *, is_whole: bool) -> None:
    if is_whole and not result.exit_code:
        from gcn_luigi.stages.dataset.warnings import dataset_warnings  # noqa: PLC0415

        print_warnings(dataset_warnings(root.configured.settings, root.paths))
    print_result(result, root.paths.root, is_whole=is_whole)


def print_result(result: "BuildResult", directory: Path, *, is_whole: bool = True) -> None:
    """Say how the build of the dataset in `directory` ended; exit with Luigi's exit code if that is not 0.

    `is_whole` is False if only some of its tasks were asked for.
    """
    exit_if_failed(result, f"not finished: {len(result.built)} tasks built. {_advice(result)}")
    if result.lost_scheduler:
        click.echo("the scheduler ended during the run; the rest was built without its page", err=True)
    built = f"{len(result.built)} tasks built" if result.built else "nothing to build, everything is up to date"
    if result.built_elsewhere:
        built = f"{len(result.built)} tasks built, {len(result.built_elsewhere)} more by another run"
    shown = f"dataset: {directory}\nreport:  {directory / 'report.html'}" if is_whole else f"parts of {directory}"
    click.echo(f"done: {built}\n{shown}")


def print_warnings(warnings: "Iterable[str]") -> None:
    """Print the warnings about a dataset, one line each."""
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def exit_if_failed(result: "BuildResult", message: str = "") -> None:
    """Print which tasks failed and why; print `message` and exit with Luigi's exit code if that is not 0."""
    for name, error in result.failures.items():
        click.echo(f"failed: {name}\n{error.strip()}\n", err=True)
    if result.exit_code:
        if message:
            click.echo(message, err=True)
        sys.exit(result.exit_code)


def _advice(result: "BuildResult") -> str:
    if result.failures:
        return "Fix the errors above and run again."
    return (
        "The scheduler started no more tasks: other work takes up everything that it may run at once, or another run "
        "on it stopped at these tasks. Run again."
    )


@click.command()
@shared_options
def demo(*, output: Path, **options: Any) -> None:
    """Make a small invented piece of Alaska and build its dataset, in about a minute and without any download.

    The command writes the settings to config/demo.toml, where `gcn status demo` and the other commands find them. It
    does not change a file that already exists.

    \b
    Example:
      gcn demo && gcn validate output/demo && gcn status demo
    """  # noqa: D301  click reads the control character
    from gcn_luigi.synthetic import make_demo  # noqa: PLC0415

    _check_scheduler_options(options)
    configure_luigi()
    sources = output / "demo-input"
    made = make_demo(sources)
    click.echo(f"sources: {sources} ({'made' if made else 'already there'})")
    build_region(demo_settings(sources), output, sources, **options)


def demo_settings(sources: Path) -> Path:
    """Write the demo's settings for these sources where other commands look; return the file to build from."""
    shipped = Path(str(files("gcn_luigi") / "demo.toml")).resolve()
    text = shipped.read_text(encoding="utf-8")
    data_root = json.dumps(_as_seen_from(_DEMO_CONFIG.parent, sources), ensure_ascii=False)
    text = text.replace(_DEMO_DATA_ROOT, f"data_root = {data_root}")
    if _DEMO_CONFIG.exists():
        if _is_text(_DEMO_CONFIG, text):
            click.echo(f"settings: {_DEMO_CONFIG} (already there)")
            return _DEMO_CONFIG
        click.echo(f"settings: the package's own; {_DEMO_CONFIG} differs from them and was not changed", err=True)
        return shipped
    try:
        _DEMO_CONFIG.parent.mkdir(exist_ok=True)
        with _DEMO_CONFIG.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        click.echo(f"settings: the package's own; {_DEMO_CONFIG} cannot be written: {error.strerror}", err=True)
        return shipped
    click.echo(f"settings: {_DEMO_CONFIG} (written)")
    return _DEMO_CONFIG


def _as_seen_from(directory: Path, sources: Path) -> str:
    """Return a path to the sources, relative if they are below the working directory, so that all can move together."""
    here, place = Path.cwd().resolve(), sources.resolve()
    if place.is_relative_to(here):
        return (Path(*[".."] * len(directory.parts)) / place.relative_to(here)).as_posix()
    return place.as_posix()


def _is_text(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False
