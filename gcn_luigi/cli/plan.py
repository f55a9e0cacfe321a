"""`gcn plan`: what a build of a region would do, how many chips and bytes it would make, and how long it would take."""

import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcn_luigi.cli.options import dataset_task, output_option, region_file, region_options
from gcn_luigi.cli.run import exit_if_failed, print_warnings
from gcn_luigi.cli.terminal import duration, progress_bar, watch_with
from gcn_luigi.io.shard.codecs import check_codec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcn_luigi.operate.forecast import Forecast
    from gcn_luigi.settings import ShardSettings


@click.command()
@region_options
@output_option
@click.option("--workers", "-w", default=2, show_default=True, type=click.IntRange(1), help="Number of processes.")
@click.option(
    "--quick",
    is_flag=True,
    help="Read the label only. This gives an upper limit for the chips, bytes before compression, and no time.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def plan(*, region: str, config_dir: Path, data_root: Path | None, output: Path, workers: int, **how: bool) -> None:
    """Show which tasks a build of REGION would run, how many chips and bytes it would make, and how long it would take.

    The plan counts chips as the build does, from every partition. It estimates bytes and time from a trial build of a
    few partitions. If an int16 stack would lose the fractions of a band, it advises a scale. It does not change the
    dataset. It uses the dataset's mosaics, label, catalog and stacks if they are
    up to date; otherwise it makes them in a temporary directory (below TMPDIR).

    \b
    Example:
      gcn plan columbia
      gcn plan columbia --workers 8 --json
    """  # noqa: D301  click reads the control character
    is_exact = not how["quick"]
    root = dataset_task(region_file(region, config_dir), output, data_root, is_built=True)
    shards = root.configured.settings.shards
    check_codec(shards.codec)
    from gcn_luigi.operate.build import build  # noqa: PLC0415
    from gcn_luigi.operate.forecast import forecast, tasks_to_prepare  # noqa: PLC0415
    from gcn_luigi.tasks import Dataset  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="gcn-plan-") as scratch, progress_bar() as say:
        prepared = root
        if not all(task.complete() for task in tasks_to_prepare(root, is_exact=is_exact)):
            prepared = root.clone(Dataset, output_root=str(Path(scratch).resolve() / "output"))
            say("preparing in a temporary directory", 0.0)
            wanted = tasks_to_prepare(prepared, is_exact=is_exact)
            result = build(wanted, workers=workers, address=None, watch=watch_with(say))
            exit_if_failed(result)
        busy = min(workers, os.cpu_count() or 1)
        found = forecast(root, prepared, Path(scratch), say, workers=busy, is_exact=is_exact)
    if how["as_json"]:
        click.echo(json.dumps(found.as_dict(), indent=1))
    else:
        for line in _lines(found, shards, workers):
            click.echo(line)
        print_warnings(found.warnings)


def _lines(found: "Forecast", shards: "ShardSettings", workers: int) -> "Iterator[str]":
    plan, trial = found.plan, found.trial
    counts = Counter(planned.action for planned in found.tasks)
    doing = ", ".join(f"{count} to {action}" for action, count in sorted(counts.items()))
    yield f"tasks: {len(found.tasks)}, {doing}"
    if found.cells is not None:
        yield from found.cells.lines()
    for name, split in plan.splits.items():
        most = "" if plan.is_exact else "at most "
        why = ", ".join(f"{count:,} {reason}" for reason, count in split.rejected.items())
        yield (
            f"{name}: {most}{split.chips:,} of {split.candidates:,} candidate chips, cut from "
            f"{_counted(split.partitions, 'partition')}" + (f"; rejected: {why}" if why else "")
        )
        if split.partitions:
            shares = ", ".join(f"{kind} {share:.1%}" for kind, share in split.classes.items())
            yield f"{name}: classes in its partitions: {shares}"
        if not split.chips:
            fix = "lower the minimum shares in [chips], or check [grid] and [split]"
            yield f"no {name} chip: a build would stop; {fix}"
    for layout, size in (("chips", plan.chips_bytes), ("windows", plan.windows_bytes)):
        yield f"layout {layout}: {size / 1e6:,.1f} MB of pixels before compression"
    repeated = plan.chips_bytes / plan.windows_bytes if plan.windows_bytes else 1.0
    stored = f"layout chips stores each pixel {repeated:.1f} times"
    is_so = plan.advised == shards.layout
    done = "which is configured" if is_so else f'set [shards] layout = "{plan.advised}" to use it'
    yield f"advice: layout {plan.advised} ({stored}); {done}"
    for advice in (*found.advice, *found.scales):
        yield f"advice: {advice}"
    if trial is None or found.seconds is None:
        return
    n_shards = sum(map(len, trial.shard_seconds.values()))
    yield (
        f"shards: {trial.shard_bytes / 1e6:,.1f} MB in {_counted(n_shards, 'file')} ({shards.layout}, "
        f"{shards.codec}); other files: about {found.other_bytes / 1e6:,.1f} MB"
    )
    yield f"time: about {duration(found.seconds)} with {_counted(workers, 'worker')}"
    tried = f"{_counted(trial.n_chips, 'chip')} in {_counted(trial.n_partitions, 'partition')}"
    yield f"bytes and time are estimated from a trial of {tried}"


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
