"""The pages are built without a warning, ask for nothing elsewhere, and name only commands that can be called."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gcn_luigi.cli import cli
from tests.contracts.fences import blocks

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
SHELL = {"", "sh", "bash", "console", "shell"}
INLINE = re.compile(r"`(gcn [a-z][^`]*)`")
# What stands for something that the reader knows.
STAND_INS = {"...", "\N{HORIZONTAL ELLIPSIS}"}


def command_lines(path: Path) -> Iterator[str]:
    """Yield each call of gcn in a page: lines of shell blocks and whole inline codes."""
    for block in blocks(path):
        if block.kind in SHELL:
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                # Comments, variables set for the call, and what comes before it in a pipe or list.
                for part in re.split(r"&&|\|\||[;|]", re.sub(r"(^|\s)#.*$", "", line)):
                    words = re.sub(r"^\s*(?:\$ )?(?:(?:srun|time|nohup|exec) )*(?:\w+=\S+ )*", "", part)
                    if words.startswith("gcn "):
                        yield words.strip()
    prose = re.sub(r"^(`{3,}).*?^\1$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from INLINE.findall(prose)


def complaint(line: str) -> str:
    """Return why click would refuse a call; nothing where it would not."""
    words = [word for word in shlex.split(re.sub(r"[<>]+\s*\S+$|&$", "", line)) if word not in STAND_INS][1:]
    while words and words[0].startswith("-"):
        words = words[1:]
    if not words:
        return ""
    name, rest = words[0], words[1:]
    command = cli.commands.get(name)
    if command is None:
        return f"no command {name}"
    try:
        # click empties the list that it is given.
        # click keeps the option for help that the first context of a command gives it: here, too, -h and --help.
        command.make_context(name, list(rest), parent=click.Context(cli, **cli.context_settings))
    except (click.exceptions.Exit, click.MissingParameter):
        # --help; or a mention such as `gcn run --deep`, which leaves out the rest.
        return ""
    except click.UsageError as error:
        # The reader's own files; a word that stands for a number; a mention of an option without its value.
        is_fine = bool(re.search(r"does not exist|: '[A-Z]+' is not a valid", error.format_message())) or (
            isinstance(error, click.BadOptionUsage) and error.option_name == rest[-1]
        )
        return "" if is_fine else error.format_message()
    return ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_line_of_a_page_is_understood(path):
    wrong = {line: why for line in command_lines(path) if (why := complaint(line))}

    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("gcn runs demo", "runs"),
        ("gcn run demo --wokers 2", "--wokers"),
        ("gcn run demo --workers many", "many"),
        ("gcn run --deap", "--deap"),
        ("gcn convert a b --layout rows", "rows"),
    ],
)
def test_a_wrong_command_line_is_noticed(line, word):
    assert word in complaint(line)


def test_command_lines_are_found_wherever_they_stand(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Call `gcn status demo`.\n\n```sh\nA=1 gcn run x --port 0 && gcn validate y  # gcn no\n$ gcn plan z\n```\n",
        "utf-8",
    )

    assert list(command_lines(page)) == ["gcn run x --port 0", "gcn validate y", "gcn plan z", "gcn status demo"]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    for name in ("sphinx", "furo", "myst_nb", "numpydoc", "sphinx_click"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[docs]'")
    made = tmp_path_factory.mktemp("pages")
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--builder", "html"]
    command = [sys.executable, "-m", "sphinx", *options, "--doctree-dir", made / "trees", DOCS, made / "html"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    return made / "html"


@pytest.mark.long
def test_the_pages_are_built_without_a_warning(site):
    assert (site / "index.html").is_file()


@pytest.mark.long
def test_every_page_of_the_directory_is_in_the_site(site):
    for path in (*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")):
        assert (site / path.relative_to(DOCS).with_suffix(".html")).is_file(), path


@pytest.mark.long
def test_no_page_loads_anything_from_elsewhere(site):
    loads = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(?:https?:)?//|<link[^>]*\shref=\"(?:https?:)?//", re.IGNORECASE
    )
    for path in site.rglob("*.html"):
        assert not loads.search(path.read_text(encoding="utf-8")), path.name
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//|@import\s+['\"]?http", path.read_text(encoding="utf-8")), (
            path.name
        )


@pytest.mark.long
def test_the_reference_has_every_task_key_and_command(site):
    from gcn_luigi import tasks  # noqa: PLC0415  Luigi takes its time
    from gcn_luigi.settings import RegionSettings  # noqa: PLC0415

    pages = {
        name: (site / "reference" / f"{name}.html").read_text(encoding="utf-8")
        for name in ("tasks", "keys", "commands")
    }

    for name in tasks.__all__:
        assert f"gcn.{name}" in pages["tasks"]
    for name, field in RegionSettings.model_fields.items():
        for key in getattr(field.annotation, "model_fields", {name: field}):
            assert f">{key}<" in pages["keys"], key
    for name in cli.commands:
        assert f'id="gcn-{name}"' in pages["commands"]


@pytest.mark.long
def test_every_decision_is_listed(site):
    page = (site / "decisions.html").read_text(encoding="utf-8")

    for path in (DOCS / "adr").glob("*.md"):
        assert f"adr/{path.stem}.html" in page
