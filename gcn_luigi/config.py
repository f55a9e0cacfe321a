"""A region's TOML file read into frozen, validated settings."""

import difflib
import functools
import json
import logging
import multiprocessing
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gcn_luigi.bands import Band
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.objects.remote import refuse_remote
from gcn_luigi.old_keys import OLD_KEYS, renew
from gcn_luigi.settings import RegionSettings

# What each kind of pydantic error asks for, in words.
_WANTED: Mapping[str, str] = MappingProxyType({
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("string_type", "string_sub_type"), "a text in quotation marks"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "a table of keys"),
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "a list of {min_length} or more values",
    "too_long": "a list of {max_length} or fewer values",
})  # fmt: skip
# Pydantic's names for the kinds of value that a key takes, if it takes several.
_KINDS = frozenset({"int", "float", "str", "bool", "constrained-int", "constrained-float", "constrained-str"})
# Keys that hold a list of tables, and what each table describes.
_LISTS: Mapping[str, str] = MappingProxyType({"bands": "band", "classes": "class"})
_MOST_SHOWN = 60
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Region:
    """A region's settings and where its sources are.

    Attributes
    ----------
    settings : RegionSettings
        The settings that decide the dataset's content.
    root : Path
        Directory that all source paths start from; it is not part of the dataset's identity.
    """

    settings: RegionSettings
    root: Path

    def check_sources(self) -> None:
        """Refuse settings that name sources which do not exist; the content is checked when it is read.

        Raises
        ------
        ConfigError
            The message names every key and path.
        """
        named = {
            "data_root": ".",
            **self.settings.tile_directories,
            "outlines.path": self.settings.outlines.path,
            "label.stem": self.settings.label.stem,
            "label.raster": self.settings.label.raster,
            "label.debris_outlines": self.settings.label.debris_outlines,
            "label.debris_raster": self.settings.label.debris_raster,
            "distance.raster": self.settings.distance.raster if self.settings.distance.enabled else None,
            "grid.path": self.settings.grid.path,
            "grid.reject_ids_path": self.settings.grid.reject_ids_path,
            "grid.exclude_polygons_path": self.settings.grid.exclude_polygons_path,
        }
        for key, path in named.items():
            refuse_remote(path or "", where=key, is_source=True)
        lost = [f"{key} = {path}" for key, path in named.items() if path and not (self.root / path).exists()]
        if lost:
            raise ConfigError(
                f"{len(lost)} source(s) do not exist: {'; '.join(lost)}",
                where=str(self.root),
                fix="correct the paths, which start at data_root; or give another directory with --data-root",
            )


def find_regions(directory: Path) -> tuple[str, ...]:
    """Return the names of the regions configured in `directory`, sorted."""
    return tuple(sorted(path.stem for path in directory.glob("*.toml")))


def load_region(path: Path, data_root: Path | None = None) -> Region:
    """Read and check a region's TOML file.

    Parameters
    ----------
    path : Path
        The file; its stem must equal its ``region``.
    data_root : Path or None
        Replacement for the file's ``data_root``.

    Returns
    -------
    Region
        Checked settings.

    Raises
    ------
    ConfigError
        The file is missing, is not TOML, or has a key or value that cannot be used; the message names every such key.
    """
    text = _text(path)
    try:
        settings = _parse(text, path)
    except ValidationError as error:
        raise _unusable(path, text, error) from error
    if settings.region != path.stem:
        raise ConfigError(
            f'the file {path.name} has region = "{settings.region}"; both names must be the same',
            where=str(path),
            fix=f'name the file {settings.region}.toml, or write region = "{path.stem}"',
        )
    refuse_remote(settings.data_root, where=f"data_root in {path}", is_source=True)
    return Region(settings, (data_root or path.parent / settings.data_root).resolve())


def pick(settings: RegionSettings, keys: Iterable[str]) -> dict[str, Any]:
    """Return plain JSON values by key: ``"chips"`` gives a whole section, ``"shards.n_train"`` one value.

    Keys and sections that the settings leave out, because they were not given, are left out here as well.
    """
    dumped = _dumped(_Same(settings))
    chosen = {}
    for key in keys:
        section, _, _ = key.partition(".")
        if section not in dumped and section in RegionSettings.model_fields:
            continue
        value: Any = dumped
        *sections, name = key.split(".")
        for section in sections:
            value = value[section]
        if name in value:
            chosen[key] = value[name]
        elif name not in _fields(sections):
            raise KeyError(key)
    return chosen


@dataclass(frozen=True, eq=False)
class _Same:
    """Settings compared by identity: they are frozen, but hold lists and tables, which have no hash."""

    settings: RegionSettings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.settings is other.settings

    def __hash__(self) -> int:
        return id(self.settings)


# Every task picks from the same settings again and again.
@functools.lru_cache(maxsize=16)
def _dumped(same: _Same) -> dict[str, Any]:
    return same.settings.model_dump(mode="json")


def _fields(sections: Iterable[str]) -> Mapping[str, Any]:
    model: type[BaseModel] = RegionSettings
    for name in sections:
        model = _section(model.model_fields[name].annotation) or model
    return model.model_fields


def outline_keys(settings: RegionSettings) -> tuple[str, ...]:
    """Return the keys that decide which outlines are read, including `years` if analyses are chosen by them."""
    return ("outlines", "years") if settings.outlines.analyses == "nearest" else ("outlines",)


def band_facts(bands: Iterable[Band], *fields: str) -> list[dict[str, Any]]:
    """Return `fields` of each of `bands` as plain JSON values, in the order of the bands."""
    return [{name: getattr(band, name) for name in fields} for band in bands]


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a region's TOML file unchanged, including line ends, and its parsed content.

    Raises
    ------
    ConfigError
        The file is missing or is not a TOML file.
    """
    text = _text(path)
    return text, _tree(text, path)


@functools.lru_cache(maxsize=16)
def _parse(text: str, path: Path) -> RegionSettings:
    # Every task asks for the settings often; equal texts give equal, frozen settings.
    given = _tree(text, path)
    try:
        tree, notes = renew(given)
    except ValueError as error:
        raise ConfigError(str(error), where=str(path), fix="remove the old name") from error
    # One warning per run, not one per worker.
    if notes and multiprocessing.parent_process() is None:
        _warn_of_old_keys(path.resolve(), "; ".join(notes))
    return RegionSettings.model_validate(tree)


@functools.lru_cache(maxsize=16)
def _warn_of_old_keys(path: Path, notes: str) -> None:
    # Cached by the resolved path, because a command uses the path as given and its tasks use the absolute one.
    logging.getLogger("gcn_luigi").warning(
        "warning: %s: %s; gcn upgrade-config %s rewrites the file", path, notes, path
    )


def _tree(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not a TOML file: {error}", where=str(path), fix="fix the line named above") from error


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise _no_such_region(path) from None
    except OSError as error:
        raise ConfigError(
            f"the file cannot be read: {error.strerror}", where=str(path), fix="check the file's permissions"
        ) from error
    if data.startswith(_UTF16):
        raise ConfigError(
            "the file is stored as UTF-16, as some editors do; a TOML file must be UTF-8",
            where=str(path),
            fix=f"save it again with the encoding UTF-8, or: iconv -f UTF-16 -t UTF-8 {path} > NEW.toml",
        )
    try:
        # Windows editors begin a file with an invisible byte order mark.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"line {line} holds the byte {data[error.start]:#04x}, which is no UTF-8; a TOML file must be UTF-8",
            where=str(path),
            fix="save it again with the encoding UTF-8; if that letter is the only one, type it again",
        ) from error


def _no_such_region(path: Path) -> ConfigError:
    known = find_regions(path.parent)
    near = difflib.get_close_matches(path.stem, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"TOML files there: {', '.join(known) or 'none'}."
    return ConfigError(
        f"no configuration for region {path.stem}: there is no file {path.name}",
        where=str(path),
        fix=f"{hint} `gcn init DIR` writes one for your files",
    )


def _unusable(path: Path, text: str, error: ValidationError) -> ConfigError:
    lines: dict[str, list[ErrorDetails]] = {}
    found = error.errors()
    for item in found:
        # A list with wrong values is also reported as too short, because pydantic drops these values.
        if item["type"] != "too_short" or not any(len(other["loc"]) > len(item["loc"]) for other in found):
            lines.setdefault(_key(_location(item), text), []).append(item)
    told = [_explain(key, items) for key, items in lines.items()]
    count = f"{len(told)} settings" if len(told) > 1 else "a setting"
    return ConfigError(
        f"{count} cannot be used: " + "; ".join(told),
        where=str(path),
        fix="correct the keys named above; docs/configuration.md lists every key",
    )


def _location(item: ErrorDetails) -> tuple[int | str, ...]:
    """Return the location of a value in the file, without the kind of value that pydantic may add."""
    found: list[int | str] = []
    model: type[BaseModel] | None = RegionSettings
    for part in item["loc"]:
        if model is None and found and isinstance(part, str) and (part in _KINDS or "[" in part):
            continue
        found.append(part)
        if isinstance(part, str) and model is not None:
            field = model.model_fields.get(part)
            model = _section(field.annotation) if field is not None else None
    return tuple(found)


def _key(location: Sequence[int | str], text: str) -> str:
    """Return the name of a key for the user: with its section; a band is named by its number and name."""
    if not location:
        return ""
    if location[0] in _LISTS and len(location) > 1 and isinstance(location[1], int):
        table = f"[[{location[0]}]] number {location[1] + 1}{_table_name(str(location[0]), location[1], text)}"
        return f"{table}: {_key(location[2:], text)}" if len(location) > 2 else table
    parts = [f", value {part + 1}" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def _table_name(key: str, place: int, text: str) -> str:
    tables = tomllib.loads(text)[key]
    name = tables[place].get("name") if isinstance(tables[place], dict) else None
    return f" ({name})" if isinstance(name, str) else ""


def _explain(key: str, items: Sequence[ErrorDetails]) -> str:
    """Return in one line what is wrong with a key; pydantic gives one item for each kind of value that it accepts."""
    first = items[0]
    kind, given = first["type"], first["input"]
    if kind == "extra_forbidden":
        known = _known_keys(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        return f"{key} is unknown" + (f" (did you mean {known[near[0]]}?)" if near else "")
    if kind == "missing":
        return f"{key} is missing"
    if kind == "value_error":
        return f"{key}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    wanted = list(dict.fromkeys(_wanted(item) for item in items))
    return f"{key}: give {' or '.join(wanted)}, not {_shown(given)}"


def _wanted(item: ErrorDetails) -> str:
    """Return what a key takes, in words."""
    kind, context = item["type"], item.get("ctx", {})
    if kind in {"tuple_type", "list_type"}:
        return _wanted_list(item)
    if kind == "literal_error":
        choices = str(context["expected"]).replace("'", '"')
        near = difflib.get_close_matches(str(item["input"]), re.findall(r'"([^"]+)"', choices), n=1)
        return choices + (f" (did you mean {near[0]}?)" if near else "")
    if kind == "string_pattern_mismatch":
        letters = "letters" if "A-Z" in context["pattern"] else "lower-case letters"
        return f"1 to 32 {letters}, digits, _ or -, a letter first"
    return _WANTED.get(kind, "another value").format(**context)


def _wanted_list(item: ErrorDetails) -> str:
    if item["loc"] in {(key,) for key in _LISTS}:
        key = item["loc"][0]
        return f"a table [[{key}]], with two brackets, for each {_LISTS[str(key)]}"
    given = item["input"]
    if not isinstance(given, (str, int, float)):
        return "a list"
    return f"a list such as [{given if str(given).isdigit() else _shown(given)}]"


def _shown(value: object) -> str:
    """Return a value as TOML writes it, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, dict) else "a table"
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _known_keys(location: Sequence[int | str]) -> dict[str, str]:
    """Return the keys of a section, each under its own name and under its old name."""
    model: type[BaseModel] | None = RegionSettings
    for part in location:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _section(model.model_fields[part].annotation)
    if model is None:
        return {}
    old = {name: renamed.new for name, renamed in OLD_KEYS.get(".".join(map(str, location)), {}).items() if renamed.new}
    return old | {name: name for name in model.model_fields}


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _section(arg)) is not None), None)
