"""`gcn doctor`: whether this machine has what a build needs."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from gcn_luigi.cli.doctor.finding import Probe, Surroundings, Verdict, examine
from gcn_luigi.cli.doctor.place import probe_clock, probe_disk, probe_file_system
from gcn_luigi.cli.doctor.process import (
    probe_locale,
    probe_memory,
    probe_port,
    probe_proxies,
    probe_settings,
    probe_start_method,
)
from gcn_luigi.cli.doctor.software import (
    probe_codecs,
    probe_drivers,
    probe_kernels,
    probe_libraries,
    probe_projections,
    probe_python,
)
from gcn_luigi.cli.terminal.luigi_setup import choose_cfg
from gcn_luigi.cli.terminal.options import LOCAL_PATH

# In the order in which one thing stands on another.
PROBES: tuple[tuple[str, Probe], ...] = (
    ("Python", probe_python),
    ("libraries", probe_libraries),
    ("kernels", probe_kernels),
    ("drivers", probe_drivers),
    ("projections", probe_projections),
    ("codecs", probe_codecs),
    ("memory", probe_memory),
    ("disk", probe_disk),
    ("file system", probe_file_system),
    ("clock", probe_clock),
    ("start method", probe_start_method),
    ("luigi.cfg", probe_settings),
    ("scheduler", probe_port),
    ("proxies", probe_proxies),
    ("locale", probe_locale),
)
_INKS = {Verdict.OK: "green", Verdict.LOOK: "yellow", Verdict.BROKEN: "red"}


@click.command()
@click.option("--output", "-o", default="output", show_default=True, type=LOCAL_PATH, help="Where datasets go.")
@click.option("--port", default=8082, show_default=True, type=click.IntRange(1, 65535), help="Scheduler's port.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object a finding.")
def doctor(*, output: Path, port: int, as_json: bool) -> None:
    """Look whether this machine has what a build needs: libraries, memory, disk, scheduler, settings.

    Each line says what was looked at, what was found, and whether it is ok, worth a look, or broken; below stands how
    to mend it. Ends with 1 where something is broken. Nothing is changed: a hidden directory is made in the output
    directory, or the nearest that exists, and removed again.

    JSON keys of a finding: what, found, verdict (ok, look, broken), fix.

    \b
    Example:
      gcn doctor --output /data/gcn
    """  # noqa: D301  click reads the control character
    # What the user set is looked at, not what is chosen here.
    surroundings = Surroundings(output, port, dict(os.environ), Path.cwd())
    choose_cfg()
    findings = examine(PROBES, surroundings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            verdict = click.style(f"{finding.verdict.value:6}", fg=_INKS[finding.verdict])
            click.echo(f"{verdict}  {finding.what:{width}}  {finding.found}")
            if finding.fix:
                click.echo(f"{'':6}  {'':{width}}  fix: {finding.fix}")
    if any(finding.verdict is Verdict.BROKEN for finding in findings):
        sys.exit(1)
