"""`gcn demo`: a made-up region from nothing to a dataset."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from gcn_luigi.cli.luigi_setup import configure_luigi
from gcn_luigi.cli.options import build_options, shared_options
from gcn_luigi.cli.run import build_region

# Where the other commands look for a region's settings.
_CONFIG = Path("config") / "demo.toml"
_DATA_ROOT = 'data_root = "../output/demo-input"'


@click.command()
@shared_options
def demo(*, output: Path, **options: Any) -> None:
    """Make a small made-up Alaska and build its dataset, in about a minute and without any download.

    Its settings are written to config/demo.toml, where `gcn status demo` and the other commands find them; a file that
    is there already is left as it is.

    \b
    Example:
      gcn demo && gcn validate output/demo && gcn status demo
    """  # noqa: D301  click reads the control character
    from gcn_luigi.synthetic import make_demo  # noqa: PLC0415

    how = build_options(**options)
    configure_luigi()
    sources = output / "demo-input"
    made = make_demo(sources)
    click.echo(f"sources: {sources} ({'made' if made else 'already there'})")
    build_region(_settings(sources), output, sources, how)


def _settings(sources: Path) -> Path:
    """Write the demo's settings for these sources where other commands look; return the file to build by."""
    shipped = Path(str(files("gcn_luigi") / "demo.toml")).resolve()
    text = shipped.read_text(encoding="utf-8")
    text = text.replace(
        _DATA_ROOT, f"data_root = {json.dumps(_as_seen_from(_CONFIG.parent, sources), ensure_ascii=False)}"
    )
    if _CONFIG.exists():
        if _is_text(_CONFIG, text):
            click.echo(f"settings: {_CONFIG} (already there)")
            return _CONFIG
        click.echo(f"settings: those of the package; {_CONFIG} says something else and is left as it is", err=True)
        return shipped
    try:
        _CONFIG.parent.mkdir(exist_ok=True)
        with _CONFIG.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        click.echo(f"settings: those of the package; {_CONFIG} cannot be written: {error.strerror}", err=True)
        return shipped
    click.echo(f"settings: {_CONFIG} (written)")
    return _CONFIG


def _as_seen_from(directory: Path, sources: Path) -> str:
    """Return a path to the sources: relative below the working directory, so that all can be moved together."""
    here, place = Path.cwd().resolve(), sources.resolve()
    if place.is_relative_to(here):
        return (Path(*[".."] * len(directory.parts)) / place.relative_to(here)).as_posix()
    return place.as_posix()


def _is_text(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False
