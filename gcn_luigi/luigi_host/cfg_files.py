"""The files that Luigi takes its settings from, as text; Luigi itself need not be loaded for that.

Luigi says little of a file that is not there, and raises a bare parser error for one that it cannot read.
"""

import configparser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gcn_luigi.errors import ConfigError

# In the order in which Luigi reads them: a later one wins. What is named by LUIGI_CONFIG_PATH comes last.
PLACES = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")
_INI = frozenset({"cfg", "conf", "ini"})
# No section can have this name: [DEFAULT] is then one like any other.
_NO_DEFAULT = "\0"


@dataclass(frozen=True)
class Entry:
    """One option as it stands in a file.

    Attributes
    ----------
    path : Path
        The file.
    section, option, value : str
        As written; an option with dashes is the same as one with underscores.
    """

    path: Path
    section: str
    option: str
    value: str


class _Parser(configparser.RawConfigParser):
    """A parser to which the case of letters matters, as to Luigi's."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def find_files(environ: Mapping[str, str], directory: Path) -> tuple[Path, ...]:
    """Return the files that Luigi reads its settings from, in its order.

    Parameters
    ----------
    environ : mapping
        The environment: ``LUIGI_CONFIG_PATH`` and ``LUIGI_CONFIG_PARSER``.
    directory : Path
        Where the command is given.

    Raises
    ------
    ConfigError
        The file named by ``LUIGI_CONFIG_PATH`` is not there, or a parser is chosen that these checks do not know.
    """
    parser = environ.get("LUIGI_CONFIG_PARSER", "cfg")
    if parser not in _INI:
        raise ConfigError(
            f"LUIGI_CONFIG_PARSER is {parser!r}; settings are checked in Luigi's own format alone",
            where="environment variable LUIGI_CONFIG_PARSER",
            fix="unset it and write the settings as luigi.cfg",
        )
    files = [path for place in PLACES if (path := directory / place).is_file()]
    named = environ.get("LUIGI_CONFIG_PATH")
    if named is None:
        return tuple(files)
    path = directory / named
    if not named or not path.is_file():
        raise ConfigError(
            f"LUIGI_CONFIG_PATH names {named!r}, which is no file: Luigi would run without these settings",
            where="environment variable LUIGI_CONFIG_PATH",
            fix="correct the path, or unset the variable",
        )
    if path.suffix == ".toml":
        raise ConfigError(
            "a TOML file is not read by Luigi as it is set up here: it would run without these settings",
            where=str(path),
            fix="write the settings as luigi.cfg",
        )
    return (*files, path)


def read_entries(path: Path) -> tuple[Entry, ...]:
    """Return all options of a file, in its order.

    Parameters
    ----------
    path : Path
        A file in Luigi's format.

    Raises
    ------
    ConfigError
        It is not in that format, or names a section or an option of one section twice; the line is named. Or
        ``[core] autoload_range``, which Luigi reads when it is loaded, is neither true nor false.
    """
    parser = _Parser(default_section=_NO_DEFAULT, strict=True)
    try:
        with path.open(encoding="utf-8") as stream:
            parser.read_file(stream)
    except configparser.Error as error:
        raise _unreadable(path, " ".join(str(error).split())) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check the file's rights"
        ) from error
    entries = tuple(_entries(path, parser))
    _check_what_loading_needs(entries)
    return entries


def _entries(path: Path, parser: configparser.RawConfigParser) -> Iterator[Entry]:
    for section in parser.sections():
        items = parser.items(section)
        # An empty section is told as well.
        yield from (Entry(path, section, option, value) for option, value in items or [("", "")])


def _unreadable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"Luigi's settings cannot be read: {why}", where=str(path), fix="mend the line named above")


def _check_what_loading_needs(entries: tuple[Entry, ...]) -> None:
    truths = configparser.RawConfigParser.BOOLEAN_STATES
    for entry in entries:
        name = entry.section, entry.option.replace("-", "_")
        if name == ("core", "autoload_range") and "$" not in entry.value and entry.value.lower() not in truths:
            raise ConfigError(
                f"[core] autoload_range = {entry.value} is neither true nor false",
                where=str(entry.path),
                fix="write autoload_range = false",
            )
