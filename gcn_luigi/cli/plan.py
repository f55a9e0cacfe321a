"""`gcn plan`: what a build of a region would do, give, weigh and take."""

import json
import os
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress

from gcn_luigi.cli.run import tell_failures, tell_warnings
from gcn_luigi.cli.terminal.luigi_setup import configure_luigi
from gcn_luigi.cli.terminal.options import LOCAL_PATH, region_file, region_options, task_parameters
from gcn_luigi.cli.terminal.progress import duration
from gcn_luigi.config import load_region
from gcn_luigi.io.shard.codecs import check_codec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcn_luigi.config import Region
    from gcn_luigi.operate.forecast import Forecast
    from gcn_luigi.stages import Say


@click.command()
@region_options
@click.option("--output", "-o", default="output", show_default=True, type=LOCAL_PATH, help="Where datasets lie.")
@click.option("--workers", "-w", default=2, show_default=True, type=click.IntRange(1), help="Processes of the build.")
@click.option("--quick", is_flag=True, help="Read the label only: chips are at most as many as said; bytes are raw.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def plan(*, region: str, config_dir: Path, data_root: Path | None, output: Path, workers: int, **how: bool) -> None:
    """Say what a build of REGION would do: which tasks, how many chips, how many bytes, how long.

    Chips are counted as the build counts them, from every partition. Bytes and time come from a few partitions that
    are built for trial. Nothing of the dataset is written. Mosaics, label, catalog and stacks are the dataset's where
    they are up to date; else they are made in a temporary directory (TMPDIR says where), as the build would.

    \b
    Example:
      gcn plan columbia
      gcn plan columbia --workers 8 --json
    """  # noqa: D301  click reads the control character
    is_exact = not how["quick"]
    path = region_file(region, config_dir)
    loaded = load_region(path, data_root)
    loaded.check_sources()
    check_codec(loaded.settings.shards.codec)
    configure_luigi()
    from gcn_luigi.operate.build import build  # noqa: PLC0415
    from gcn_luigi.operate.forecast import forecast, is_prepared, preparing  # noqa: PLC0415
    from gcn_luigi.tasks import Dataset  # noqa: PLC0415

    root = Dataset(**task_parameters(loaded, path, output, data_root))
    with tempfile.TemporaryDirectory(prefix="gcn-plan-") as scratch, _told() as say:
        prepared = root
        if not is_prepared(root, is_exact=is_exact):
            prepared = Dataset(**task_parameters(loaded, path, Path(scratch) / "output", data_root))
            say("preparing in a temporary directory", 0.0)
            result = build(preparing(prepared, is_exact=is_exact), workers=workers, address=None)
            if result.exit_code:
                tell_failures(result)
                sys.exit(result.exit_code)
        busy = min(workers, os.cpu_count() or 1)
        told = forecast(root, prepared, Path(scratch), say, workers=busy, is_exact=is_exact)
    if how["as_json"]:
        click.echo(json.dumps(told.as_dict(), indent=1))
    else:
        for line in _lines(told, loaded, workers):
            click.echo(line)
        tell_warnings(told.warnings)


@contextmanager
def _told() -> "Iterator[Say]":
    """Yield what shows how far the plan is: a bar in a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("", total=1.0)
        yield lambda line, share: bar.update(shown, description=line, completed=share)


def _lines(told: "Forecast", region: "Region", workers: int) -> "Iterator[str]":
    counts = Counter(step.action.value for step in told.steps)
    doing = ", ".join(f"{count} to {action}" for action, count in sorted(counts.items()))
    yield f"tasks: {len(told.steps)}, {doing}"
    for name, split in told.plan.splits.items():
        most = "" if told.plan.is_exact else " at most"
        why = ", ".join(f"{count:,} {reason}" for reason, count in split.rejected.items())
        yield (
            f"{name}: {split.chips:,} chips{most} of {split.candidates:,} cut from {split.partitions:,} partitions"
            + (f"; rejected: {why}" if why else "")
        )
        if split.partitions:
            shares = ", ".join(f"{kind} {share:.1%}" for kind, share in split.classes.items())
            yield f"{name}: label of its partitions: {shares}"
        if not split.chips:
            yield f"no {name} chip: a build would stop; loosen the least shares in [chips], or see [grid] and [split]"
    shards, plan = region.settings.shards, told.plan
    for layout, size in (("chips", plan.chips_bytes), ("windows", plan.windows_bytes)):
        yield f"layout {layout}: {size / 1e6:,.1f} MB of pixels before compression"
    repeated = plan.chips_bytes / plan.windows_bytes if plan.windows_bytes else 1.0
    yield f"advised: layout {plan.advised} (as chips every pixel is stored {repeated:.1f} times); set: {shards.layout}"
    if told.probe is None or told.seconds is None:
        return
    yield (
        f"shards: {told.probe.shard_bytes / 1e6:,.1f} MB in {shards.n_train + shards.n_dev} files ({shards.layout}, "
        f"{shards.codec}); other files: about {told.other_bytes / 1e6:,.1f} MB"
    )
    yield f"time: about {duration(told.seconds)} with {workers} workers"
    yield f"bytes and time from a trial of {told.probe.n_chips:,} chips in {told.probe.n_partitions} partitions"
