"""`gcn upgrade-config`: rename old keys in TOML files; comments and the order of lines stay."""

import difflib
import json
import re
import sys
import tomllib
from pathlib import Path

import click

from gcn_luigi.config import read_toml
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.atomic import atomic_write
from gcn_luigi.old_keys import OLD_KEYS, renew

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(#.*)?")
# An entry, or one that is commented out: indentation, key, equals sign, value, and a comment after it.
_ENTRY = re.compile(
    r"""(\s*(?:\#\s*)?)([A-Za-z0-9_.-]+)(\s*=\s*)((?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\#"'])*?)(\s*(?:\#.*)?)"""
)


@click.command("upgrade-config")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--check", is_flag=True, help="Change nothing; the exit code is 1 if a file has an old key.")
def upgrade_config(*, files: tuple[Path, ...], check: bool) -> None:
    """Rewrite old keys in regions' TOML files under their new names, in place.

    The command shows what it changes. It converts a value if the new key has another meaning: `threshold = 3`, which
    means more than 3 votes, becomes `min_votes = 4`. Comments and the order of lines do not change, and neither do
    datasets.

    \b
    Example:
      gcn upgrade-config config/northern.toml config/southern.toml
    """  # noqa: D301  click reads the control character
    changes = [(path, *_upgraded(path)) for path in files]
    for path, before, after in changes:
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm="", n=0)
        click.echo("\n".join(lines) if before != after else f"{path}: no old keys")
        if before != after and not check:
            with atomic_write(path.resolve()) as temporary:
                temporary.write_bytes(after.encode())
                temporary.chmod(path.stat().st_mode)
    if check and any(before != after for _, before, after in changes):
        sys.exit(1)


def _upgraded(path: Path) -> tuple[str, str]:
    """Return the text of a file, and the text with the new names in it.

    Raises
    ------
    ConfigError
        The file cannot be read, gives a key under both names, or writes a key in a form that this command cannot parse.
    """
    text, tree = read_toml(path)
    try:
        wanted, notes = renew(tree)
    except ValueError as error:
        raise ConfigError(str(error), where=str(path), fix="remove the old name") from error
    renewed = renew_text(text)
    try:
        reached = tomllib.loads(renewed)
        is_understood = reached == wanted
        notes = renew(reached)[1] or notes
    except ValueError:
        is_understood = False
    if not is_understood:
        raise ConfigError(
            f"the file cannot be rewritten: {'; '.join(notes)}",
            where=str(path),
            fix="change these keys by hand; only lines of the form key = value are rewritten",
        )
    return text, renewed


def renew_text(text: str) -> str:
    """Return the text of a TOML file with all renamed keys, including commented ones, under their new names."""
    section, lines = "", []
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\r\n")
        header = _HEADER.fullmatch(body)
        if header:
            section = header[1]
        entry = _ENTRY.fullmatch(body)
        renewed = _renewed_entry(section, entry) if entry else body
        if renewed is not None:
            lines.append(renewed + line[len(body) :])
    return "".join(lines)


def _renewed_entry(section: str, entry: re.Match[str]) -> str | None:
    """Return a line under its new name; None for a key that is ignored."""
    start, key, equals, value, end = entry.groups()
    # If no header comes before the key, the section is part of it.
    prefix, _, name = key.rpartition(".")
    renamed = OLD_KEYS.get(".".join(filter(None, (section, prefix))), {}).get(name)
    if renamed is None:
        return entry[0]
    if not renamed.new:
        return None
    try:
        old = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return entry[0]
    new = renamed.now(old)
    kept = value if new == old and type(new) is type(old) else json.dumps(new)
    return f"{start}{prefix}{'.' if prefix else ''}{renamed.new}{equals}{kept}{end}"
