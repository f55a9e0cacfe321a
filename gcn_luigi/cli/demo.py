"""`gcn demo`: a made-up region from nothing to a dataset."""

from importlib.resources import files
from pathlib import Path

import click

from gcn_luigi.cli.run import build_region, shared_options


@click.command()
@click.option("--output", "-o", default="output", show_default=True, type=click.Path(path_type=Path), help="Datasets go below it.")
@shared_options
def demo(*, output: Path, workers: int, port: int, local_scheduler: bool) -> None:
    """Make a small made-up Alaska and build its dataset, in about a minute and without any download.

    \b
    Example:
      gcn demo && gcn validate output/demo
    """
    from gcn_luigi.synthetic import make_demo  # noqa: PLC0415

    sources = output / "demo-input"
    made = make_demo(sources)
    click.echo(f"sources: {sources} ({'made' if made else 'already there'})")
    config = Path(str(files("gcn_luigi") / "demo.toml")).resolve()
    build_region(config, output, sources, workers=workers, port=None if local_scheduler else port)
