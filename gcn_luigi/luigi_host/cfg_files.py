"""The files with Luigi's settings, chosen and parsed before Luigi is loaded, because Luigi reads them on import.

Luigi hardly reports a missing file, and raises a bare parser error for a file that it cannot read.
"""

import configparser
import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from gcn_luigi.errors import ConfigError

# In the order in which Luigi reads them; a later file wins. The file named by LUIGI_CONFIG_PATH comes last.
PLACES = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")


def shipped_cfg() -> Path:
    """Return the luigi.cfg of this package."""
    return Path(str(files("gcn_luigi") / "luigi.cfg")).resolve()


def choose_cfg() -> None:
    """Set LUIGI_CONFIG_PATH to the shipped settings if the user has none."""
    if "LUIGI_CONFIG_PATH" not in os.environ and not Path("luigi.cfg").is_file():
        os.environ["LUIGI_CONFIG_PATH"] = str(shipped_cfg())


def find_files(environ: Mapping[str, str], directory: Path) -> tuple[Path, ...]:
    """Return the files that Luigi reads in `directory` with the environment `environ`, in Luigi's order.

    Raises ConfigError if LUIGI_CONFIG_PATH names no file, or if a format is chosen that is not Luigi's own.
    """
    parser = environ.get("LUIGI_CONFIG_PARSER", "cfg")
    if parser not in {"cfg", "conf", "ini"}:
        raise ConfigError(
            f"LUIGI_CONFIG_PARSER is {parser!r}; settings can only be checked in Luigi's own format",
            where="environment variable LUIGI_CONFIG_PARSER",
            fix="unset it and write the settings as luigi.cfg",
        )
    found = [path for place in PLACES if (path := directory / place).is_file()]
    named = environ.get("LUIGI_CONFIG_PATH")
    if named is None:
        return tuple(found)
    path = directory / named
    if not named or not path.is_file():
        raise ConfigError(
            f"LUIGI_CONFIG_PATH names {named!r}, which is not a file: Luigi would run without these settings",
            where="environment variable LUIGI_CONFIG_PATH",
            fix="correct the path, or unset the variable",
        )
    if path.suffix == ".toml":
        raise ConfigError(
            "Luigi is not set up to read a TOML file here, and would run without these settings",
            where=str(path),
            fix="write the settings as luigi.cfg",
        )
    return (*found, path)


def check_readable(paths: Iterable[Path]) -> None:
    """Raise ConfigError for a file that Luigi cannot parse, with the number of the wrong line.

    A section or option that is given twice is also an error. So is ``[core] autoload_range`` if it is not a boolean,
    because Luigi needs it during its import.
    """
    for path in paths:
        parser = configparser.RawConfigParser(strict=True)
        # Upper case is kept: Luigi distinguishes Io from io.
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            with path.open(encoding="utf-8") as stream:
                parser.read_file(stream)
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
            raise ConfigError(
                f"Luigi's settings cannot be read: {why}",
                where=str(path),
                fix="correct that line, or the file's permissions",
            ) from error
        for option in ("autoload_range", "autoload-range"):
            value = parser.get("core", option, fallback="false")
            if "$" not in value and value.lower() not in parser.BOOLEAN_STATES:
                raise ConfigError(
                    f"[core] {option} = {value} is neither true nor false",
                    where=str(path),
                    fix="write autoload_range = false",
                )


def section(name: str) -> dict[str, str]:
    """Return a section of the settings that Luigi has read, by option; an empty one if there is none."""
    from luigi.configuration import get_config  # noqa: PLC0415  Luigi reads its settings on import

    settings = get_config()
    return dict(settings.items(name)) if settings.has_section(name) else {}
