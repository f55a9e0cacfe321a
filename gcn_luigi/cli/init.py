"""`gcn init`: look at a directory of sources, and write a first TOML file for them."""

import os
import re
from importlib.resources import files
from pathlib import Path

import click

from gcn_luigi.cli.options import LOCAL_PATH, SOURCE_PATH
from gcn_luigi.cli.terminal import progress_bar
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.atomic import atomic_write

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class _Years(click.ParamType):  # type: ignore[type-arg]
    """Years, separated by commas."""

    name = "years"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        words = [word.strip() for word in str(value).split(",")]
        if not all(re.fullmatch(r"\d{4}", word) for word in words):
            self.fail(f"{value} is not a list of years such as 2004,2008", param, ctx)
        return tuple(map(int, words))


@click.command()
@click.argument("directory", default=".", type=SOURCE_PATH, metavar="[DIR]")
@click.option("--region", help="Name of the region and of its TOML file.  [default: the name of DIR]")
@click.option("--config-dir", default="config", show_default=True, type=LOCAL_PATH, help="Directory of REGION.toml.")
@click.option("--years", type=_Years(), help="The years of the composites, if the files do not give them: 2004,2008.")
@click.option("--example", is_flag=True, help="Write the settings of the demo instead, to look at or to copy.")
def init(
    *, directory: Path, region: str | None, config_dir: Path, years: tuple[int, ...] | None, example: bool
) -> None:
    """Look at the files below DIR, list what they are, and write a first CONFIG_DIR/REGION.toml for them.

    The command reads the names of all files, the headers of some, and a few blocks of pixels. It writes nothing but the
    TOML file, and never replaces one. In that file, every guess is marked, and open questions come first.

    \b
    Example:
      gcn init my-exports --region kenai && gcn plan kenai
    """  # noqa: D301  click reads the control character
    name = region or ("demo" if example else region_name(directory))
    if not _NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} is not a name of a region: use a-z, 0-9, _ and -, a letter first")
    path = config_dir / f"{name}.toml"
    if path.exists() or path.is_symlink():
        raise ConfigError(
            "this file already exists and is not replaced",
            where=str(path),
            fix="give another name with --region, or move the file away",
        )
    text = _example(name) if example else _proposal(directory, name, path.parent, years or ())
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    click.echo(f"settings: {path}" if example else f"settings: {path}; next: gcn plan {name}")


def region_name(directory: Path) -> str:
    """Return a name of a region made from that of a directory.

    Examples
    --------
    >>> region_name(Path("/data/Kenai Exports 2")), region_name(Path("/data/2004"))
    ('kenai-exports-2', 'region-2004')
    """
    bare = re.sub(r"[^a-z0-9_-]+", "-", directory.resolve().name.lower()).strip("-_")
    return (bare if re.match(r"[a-z]", bare) else f"region-{bare}".rstrip("-"))[:32]


def _seen_from(config_dir: Path, directory: Path) -> str:
    """Return a path to the sources, relative if both are below the working directory, so that all can move together."""
    here, config, place = Path.cwd().resolve(), config_dir.resolve(), directory.resolve()
    if config.is_relative_to(here) and place.is_relative_to(here):
        return Path(os.path.relpath(place, config)).as_posix()
    return place.as_posix()


def _example(name: str) -> str:
    text = (files("gcn_luigi") / "demo.toml").read_text(encoding="utf-8")
    return text.replace('region = "demo"', f'region = "{name}"')


def _proposal(directory: Path, name: str, config_dir: Path, years: tuple[int, ...]) -> str:
    """Return the text of the TOML file for a directory, after listing what is there."""
    from gcn_luigi.survey.check import problems  # noqa: PLC0415
    from gcn_luigi.survey.listing import listing  # noqa: PLC0415
    from gcn_luigi.survey.proposal import Wishes, propose  # noqa: PLC0415
    from gcn_luigi.survey.sources import survey  # noqa: PLC0415

    root = directory.resolve()
    with progress_bar() as say:
        found = survey(root, say)
        if not found.images and not found.cubes:
            raise ConfigError(
                "no raster was found", where=str(root), fix="name the directory of your composites and elevations"
            )
        draft = propose(found, Wishes(name, _seen_from(config_dir, directory), years))
        say("checking the proposal", 0.95)
        draft.questions += problems(draft.text(), found)
    for line in listing(found):
        click.echo(line)
    click.echo("")
    for number, question in enumerate(draft.questions, 1):
        click.echo(f"question {number}: {question}")
    for line in draft.guesses():
        click.echo(f"guess: {line}")
    click.echo(_marked(draft.n_guesses, len(draft.questions)))
    return draft.text()


def _marked(n_guesses: int, n_questions: int) -> str:
    """Return how many guesses and open questions the file marks.

    Examples
    --------
    >>> _marked(1, 0), _marked(0, 1)
    ('1 guess and 0 open questions are marked in the file', '0 guesses and 1 open question are marked in the file')
    """
    guesses = f"{n_guesses} guess{'' if n_guesses == 1 else 'es'}"
    questions = f"{n_questions} open question{'' if n_questions == 1 else 's'}"
    return f"{guesses} and {questions} are marked in the file"
