"""Checks of luigi.cfg, because Luigi silently ignores misspelt sections and other mistakes."""

import configparser
import difflib
import functools
import logging
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
from gcn_luigi.luigi_host.cfg_files import check_readable, find_files
from gcn_luigi.luigi_host.trust import open_to_others

# Options that Luigi or this package reads without declaring a parameter for them.
_UNDECLARED: Mapping[str, Mapping[str, luigi.Parameter]] = {
    "core": {
        "autoload_range": luigi.BoolParameter(),
        "no_configure_logging": luigi.BoolParameter(),
        "rpc_connect_timeout": luigi.FloatParameter(),
        "rpc_log_retries": luigi.BoolParameter(),
        "rpc_retry_attempts": luigi.IntParameter(),
        "rpc_retry_wait": luigi.IntParameter(),
    },
    "gcn": {"other_sections": luigi.ListParameter(), "trust_network": luigi.BoolParameter()},
    "slurm": {
        **{name: luigi.IntParameter() for name in ("cores", "jobs")},
        **{
            name: luigi.Parameter()
            for name in ("partition", "account", "walltime", "memory", "interface", "log_directory")
        },
    },
}
# Sections in Luigi's manual that belong to parts of Luigi which are not loaded here.
_NOT_LOADED = frozenset(
    {
        "azureblob", "bigquery", "cors", "datadog", "dockerconfig", "elasticsearch", "external_program",
        "hadoop", "hadoopcli", "hdfs", "hive", "kubernetes", "logging", "mysql", "OpenPai", "postgres", "presto",
        "prometheus", "redshift", "s3", "salesforce", "scalding", "sge", "spark", "sqlalchemy", "sparkey", "ssh",
        "task_history", "upstream", "webhdfs",
    }
)  # fmt: skip
# Classes that luigi.cfg may name by their former module; this is accepted for one version.
_MOVED = {"gcn_luigi.tasks.process.ChildContext": "gcn_luigi.luigi_host.worker.ChildContext"}
# Options whose value may be any text.
_SECRET = frozenset({"password", "apikey", "db_connection"})
_COMMENT = re.compile(r"\s[;#]")


@functools.cache
def check_settings() -> None:
    """Check the settings that Luigi has read, once per process; see `check_files`."""
    check_files(find_files(os.environ, Path.cwd()))


def check_files(paths: Sequence[Path]) -> None:
    """Raise ConfigError if Luigi would ignore or misunderstand something in these files; the message names each case.

    The tasks must be loaded, because their families are sections.
    """
    check_readable(paths)
    cfg = LuigiConfigParser()
    cfg.read(paths, encoding="utf-8")
    found = list(find_problems(cfg, known_sections()))
    if found:
        count = f"{len(found)} of Luigi's settings" if len(found) > 1 else "one of Luigi's settings"
        raise ConfigError(
            f"{count} cannot be used: {'; '.join(found)}",
            where=", ".join(map(str, paths)),
            fix='correct them; to allow sections of other programs, list them: [gcn] other_sections = ["name"]',
        )
    former = cfg.get("worker", "task_process_context", "")
    if former in _MOVED:
        logging.getLogger("gcn_luigi").warning(
            "warning: %s: [worker] task_process_context = %s is now %s",
            ", ".join(map(str, paths)), former, _MOVED[former],
        )  # fmt: skip


def known_sections() -> dict[str, dict[str, luigi.Parameter]]:
    """Return the options of every section: those of each loaded task and Config, and Luigi's own."""
    known = {section: dict(options) for section, options in _UNDECLARED.items()}
    for family, _, name, parameter in Register.get_all_params():
        known.setdefault(family, {})[name] = parameter
        path = parameter._config_path  # noqa: SLF001  Luigi has no other way to ask
        if path:
            known.setdefault(path["section"], {})[path["name"].replace("-", "_")] = parameter
    return known


def find_problems(cfg: LuigiConfigParser, known: Mapping[str, Mapping[str, luigi.Parameter]]) -> Iterator[str]:
    """Yield a sentence for each setting in `cfg` that Luigi would ignore or misunderstand, with the closest known name.

    `known` gives the options of each section. If several files set an option, `cfg` holds the last value.
    """
    foreign = {*_NOT_LOADED, *_other_sections(cfg)}
    for section in cfg.sections():
        options = [option for option in cfg.options(section) if option not in cfg.defaults()]
        if section == "resources":
            yield from _resources(cfg, options)
        elif section in known:
            for option in options:
                yield from _option(cfg, section, option, known[section])
        elif section not in foreign:
            yield f"[{section}] is unknown{_hint(section, [*known, *_NOT_LOADED, 'resources'], '[{}]')}"
    yield from _state_path(cfg)


def _option(
    cfg: LuigiConfigParser, section: str, option: str, parameters: Mapping[str, luigi.Parameter]
) -> Iterator[str]:
    shown, name = f"[{section}] {option}", option.replace("-", "_")
    raw = dict(cfg.items(section, raw=True))[option]
    if name not in parameters:
        yield f"{shown} is unknown{_hint(name, parameters, '{}')}"
    elif name not in _SECRET and _COMMENT.search(raw):
        yield f"{shown} = {_one_line(raw)}: a comment on the same line becomes part of the value"
    else:
        parameter = parameters[name]
        try:
            value = _get(cfg, section, option)
            parameter.parse(value)
        except configparser.Error as error:
            yield f"{shown}: {_one_line(str(error))}"
        except (ValueError, TypeError, KeyError, OverflowError, ParameterException, TaskClassException):
            kind = type(parameter).__name__.removesuffix("Parameter").removeprefix("Optional").lower()
            choices = ", ".join(map(str, getattr(parameter, "_choices", ())))
            yield f"{shown} = {_one_line(str(value))} is not {f'one of {choices}' if choices else f'of type {kind}'}"


def _resources(cfg: LuigiConfigParser, options: Sequence[str]) -> Iterator[str]:
    number = luigi.IntParameter()
    for option in options:
        yield from _option(cfg, "resources", option, {option.replace("-", "_"): number})
        if not is_name(option):
            # Luigi's page inserts the name as HTML.
            yield f"[resources] {option} cannot be the name of a resource"
    if options and "io" not in options:
        given = ", ".join(options)
        yield f"[resources] sets {given} but not io: only one shard would be built at a time (did you mean io?)"


def _state_path(cfg: LuigiConfigParser) -> Iterator[str]:
    """Check where luigid keeps its state, a pickle: anyone who can write there can run code when luigid loads it."""
    try:
        state = _get(cfg, "scheduler", "state_path")
    except configparser.Error:
        return
    for place in (Path(state).absolute(), Path(state).absolute().parent) if state else ():
        if place.exists() and (why := open_to_others(place)):
            yield f"[scheduler] state_path = {state}: {place} {why}, and luigid runs code from that file"


def _other_sections(cfg: LuigiConfigParser) -> list[str]:
    try:
        named = luigi.ListParameter().parse(_get(cfg, "gcn", "other_sections"))
    except (ValueError, configparser.Error):
        # The option is not set, or the check of this option reports it.
        return []
    return [str(name) for name in named] if isinstance(named, Sequence) else []


def _get(cfg: LuigiConfigParser, section: str, option: str) -> str:
    """Return a value with ``${NAME}`` and ``%(name)s`` filled in; Luigi's own `get` warns about a dash in a name."""
    return configparser.ConfigParser.get(cfg, section, option)


def _hint(name: str, known: Iterable[str], shape: str) -> str:
    spelled = {right.lower(): right for right in known}
    near = difflib.get_close_matches(name.lower(), spelled, n=1)
    return f" (did you mean {shape.format(spelled[near[0]])}?)" if near else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
