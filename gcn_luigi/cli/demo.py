"""`gcn demo`: a made-up region from nothing to a dataset."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.luigi_setup import configure_luigi
from gcn_luigi.cli.options import build_options, shared_options
from gcn_luigi.cli.run import build_region


@click.command()
@shared_options
def demo(*, output: Path, **options: Any) -> None:
    """Make a small made-up Alaska and build its dataset, in about a minute and without any download.

    \b
    Example:
      gcn demo && gcn validate output/demo
    """  # noqa: D301  click reads the control character
    from gcn_luigi.synthetic import make_demo  # noqa: PLC0415

    how = build_options(**options)
    configure_luigi()
    sources = output / "demo-input"
    made = make_demo(sources)
    click.echo(f"sources: {sources} ({'made' if made else 'already there'})")
    config = Path(str(files("gcn_luigi") / "demo.toml")).resolve()
    build_region(config, output, sources, how)
