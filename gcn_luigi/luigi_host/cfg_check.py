"""What may stand in luigi.cfg: Luigi passes over a misspelt section without a word, and over much else."""

import configparser
import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import luigi
import luigi.batch_notifier
import luigi.retcodes
from luigi.configuration import LuigiConfigParser
from luigi.parameter import ParameterException
from luigi.task_register import Register, TaskClassException

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.safe_names import is_name
from gcn_luigi.luigi_host.cfg_files import Entry, find_files, read_entries
from gcn_luigi.luigi_host.private_dir import open_to_others

Options = Mapping[str, luigi.Parameter]

# Read by Luigi without a parameter that would say so.
_READ_DIRECTLY: Mapping[tuple[str, str], luigi.Parameter] = {
    ("core", "autoload_range"): luigi.BoolParameter(),
    ("core", "no_configure_logging"): luigi.BoolParameter(),
    ("core", "rpc_connect_timeout"): luigi.FloatParameter(),
    ("core", "rpc_log_retries"): luigi.BoolParameter(),
    ("core", "rpc_retry_attempts"): luigi.IntParameter(),
    ("core", "rpc_retry_wait"): luigi.IntParameter(),
    ("gcn", "other_sections"): luigi.ListParameter(),
    ("gcn", "trust_network"): luigi.BoolParameter(),
}
# Sections that Luigi's manual names and that belong to parts of it which are not loaded here.
_BY_NAME = frozenset(
    {
        "DEFAULT", "azureblob", "bigquery", "cors", "datadog", "dockerconfig", "elasticsearch", "external_program",
        "hadoop", "hadoopcli", "hdfs", "hive", "kubernetes", "logging", "mysql", "OpenPai", "postgres", "presto",
        "prometheus", "redshift", "s3", "salesforce", "scalding", "sge", "spark", "sqlalchemy", "sparkey", "ssh",
        "task_history", "upstream", "webhdfs",
    }
)  # fmt: skip
# Any text may be one of these.
_SECRET = frozenset({"password", "apikey", "db_connection"})
_COMMENT = re.compile(r"\s[;#]")
# What every shard takes one of; without a number there is one of it.
_IO = "io"


@functools.cache
def check_settings() -> None:
    """Check the settings that Luigi has read, once a process; see `check_files`."""
    check_files(find_files(os.environ, Path.cwd()))


def check_files(paths: Iterable[Path]) -> None:
    """Check files of settings together.

    Raises
    ------
    ConfigError
        Something in them would not be heard, or not as it is meant; everything of that kind is named.
    """
    entries = [entry for path in paths for entry in read_entries(path)]
    found = list(find_problems(entries, known_sections()))
    if not found:
        return
    count = f"{len(found)} of Luigi's settings" if len(found) > 1 else "one of Luigi's settings"
    files = dict.fromkeys(str(entry.path) for entry in entries)
    raise ConfigError(
        f"{count} cannot be used: {'; '.join(found)}",
        where=", ".join(files),
        fix='correct them; sections of other programs are named in [gcn] other_sections = ["name"]',
    )


def known_sections() -> dict[str, dict[str, luigi.Parameter]]:
    """Return the options of every section: those of each task and each Config that is loaded, and Luigi's own."""
    known: dict[str, dict[str, luigi.Parameter]] = {}
    for family, _, name, parameter in Register.get_all_params():
        known.setdefault(family, {})[name] = parameter
        path = parameter._config_path  # noqa: SLF001  Luigi has no other way to ask
        if path:
            known.setdefault(path["section"], {})[path["name"].replace("-", "_")] = parameter
    for (section, name), parameter in _READ_DIRECTLY.items():
        known.setdefault(section, {})[name] = parameter
    return known


def find_problems(entries: Sequence[Entry], known: Mapping[str, Options]) -> Iterator[str]:
    """Yield a sentence for each thing that Luigi would pass over, or take otherwise than it is meant.

    Parameters
    ----------
    entries : sequence of Entry
        Of all files, in the order in which they are read.
    known : mapping
        Options of each section.

    Yields
    ------
    str
        Names section and option, and the nearest right name.
    """
    values = _Values(entries)
    foreign = {*_BY_NAME, *values.other_sections()}
    for section in dict.fromkeys(entry.section for entry in entries):
        mine = [entry for entry in entries if entry.section == section and entry.option]
        if section == "resources":
            yield from _resources(mine, values)
        elif section in known:
            yield from _options(mine, known[section], values)
        elif section not in foreign:
            yield f"[{section}] is unknown{_hint(section, [*known, *_BY_NAME, 'resources'], '[{}]')}"
    yield from _state(values)


class _Values:
    """Values as Luigi takes them: the last one wins, and ${NAME} and %(name)s are filled in."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._raw: dict[str, dict[str, str]] = {}
        for entry in entries:
            self._raw.setdefault(entry.section, {})[entry.option] = entry.value

    def options(self, section: str) -> list[str]:
        """Return the names of the options of a section."""
        return [option for option in self._raw.get(section, {}) if option]

    def get(self, section: str, option: str) -> str | None:
        """Return a value, or None where there is none.

        Raises
        ------
        configparser.Error
            It refers to something that is not there.
        """
        inherited = {**self._raw.get("DEFAULT", {}), **self._raw.get(section, {})}
        if option not in inherited:
            return None
        interpolation = LuigiConfigParser._DEFAULT_INTERPOLATION  # noqa: SLF001  Luigi's own way to fill in
        value: str = interpolation.before_get(LuigiConfigParser(), section, option, inherited[option], inherited)
        return value

    def other_sections(self) -> list[str]:
        """Return the sections that the user says are of other programs."""
        try:
            named = luigi.ListParameter().parse(self.get("gcn", "other_sections") or "[]")
        except (ValueError, configparser.Error):
            # Told where the option is checked.
            return []
        return [str(name) for name in named] if isinstance(named, Sequence) else []


def _options(entries: Sequence[Entry], options: Options, values: _Values) -> Iterator[str]:
    for entry in entries:
        name = entry.option.replace("-", "_")
        shown = f"[{entry.section}] {entry.option}"
        if name not in options:
            yield f"{shown} is unknown{_hint(name, options, '{}')}"
        elif name not in _SECRET and _COMMENT.search(entry.value):
            yield f"{shown} = {_one_line(entry.value)}: a comment on the line of a value becomes part of it"
        else:
            yield from _value(entry, options[name], values)


def _value(entry: Entry, parameter: luigi.Parameter, values: _Values) -> Iterator[str]:
    shown = f"[{entry.section}] {entry.option}"
    try:
        value = values.get(entry.section, entry.option)
    except configparser.Error as error:
        yield f"{shown}: {_one_line(str(error))}"
        return
    try:
        parameter.parse(value)
    except (ValueError, TypeError, KeyError, OverflowError, ParameterException, TaskClassException):
        kind = type(parameter).__name__.removesuffix("Parameter").removeprefix("Optional").lower()
        choices = ", ".join(map(str, getattr(parameter, "_choices", ())))
        yield f"{shown} = {_one_line(str(value))} is not {f'one of {choices}' if choices else f'of type {kind}'}"


def _resources(entries: Sequence[Entry], values: _Values) -> Iterator[str]:
    number = luigi.IntParameter()
    for entry in entries:
        yield from _options([entry], {entry.option.replace("-", "_"): number}, values)
        if not is_name(entry.option):
            # Luigi's page takes it for HTML.
            yield f"[resources] {entry.option} cannot be the name of a resource"
    if entries and _IO not in values.options("resources"):
        named = ", ".join(entry.option for entry in entries)
        yield f"[resources] gives {named} but not {_IO}: one shard would be built at a time (did you mean {_IO}?)"


def _state(values: _Values) -> Iterator[str]:
    """Judge where luigid keeps its state, a pickle: whoever can write there runs code when it is loaded."""
    try:
        state = values.get("scheduler", "state_path")
    except configparser.Error:
        # Told where the option is checked.
        return
    if state:
        path = Path(state).absolute()
        for place in (path, path.parent):
            if place.exists() and (why := open_to_others(place)):
                yield f"[scheduler] state_path = {state}: {place} {why}, and luigid runs what stands in that file"


def _hint(name: str, known: Iterable[str], shape: str) -> str:
    spelled = {right.lower(): right for right in known}
    near = difflib.get_close_matches(name.lower(), spelled, n=1)
    return f" (did you mean {shape.format(spelled[near[0]])}?)" if near else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
