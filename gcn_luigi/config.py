"""A region's TOML file read into frozen, validated settings."""

import difflib
import functools
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gcn_luigi.bands import Band
from gcn_luigi.errors import ConfigError
from gcn_luigi.settings import RegionSettings


@dataclass(frozen=True)
class Region:
    """A region's settings and where its sources lie.

    Attributes
    ----------
    settings : RegionSettings
        What decides the dataset's content.
    root : Path
        Directory that all source paths start from; not part of the dataset's identity.
    """

    settings: RegionSettings
    root: Path

    def check_sources(self) -> None:
        """Refuse settings that name sources which are not there; what they hold is checked where it is read.

        Raises
        ------
        ConfigError
            The message names every key and path.
        """
        named = {
            "data_root": ".",
            "tiles.optical": self.settings.tiles.optical,
            "tiles.topo": self.settings.tiles.topo if self.settings.topo_bands else None,
            "outlines.path": self.settings.outlines.path,
            "label.stem": self.settings.label.stem,
            "label.raster": self.settings.label.raster,
            "distance.raster": self.settings.distance.raster if self.settings.distance.enabled else None,
            "grid.path": self.settings.grid.path,
            "grid.reject_ids": self.settings.grid.reject_ids,
            "grid.exclude_polygons": self.settings.grid.exclude_polygons,
        }
        lost = [f"{key} = {path}" for key, path in named.items() if path and not (self.root / path).exists()]
        if lost:
            raise ConfigError(
                f"{len(lost)} source(s) are not there: {'; '.join(lost)}",
                where=str(self.root),
                fix="correct the paths, which start at data_root; or name another place with --data-root",
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
        Replaces the file's ``data_root``.

    Returns
    -------
    Region
        Checked settings.

    Raises
    ------
    ConfigError
        The file is missing, is no TOML, or holds a key or value that cannot be used; every such key is named.
    """
    try:
        settings = _parse(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise _no_such_region(path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not a TOML file: {error}", where=str(path), fix="mend the line named above") from error
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check the file's rights"
        ) from error
    except ValidationError as error:
        raise _unusable(path, error) from error
    if settings.region != path.stem:
        raise ConfigError(
            f'region = "{settings.region}" stands in a file named {path.name}',
            where=str(path),
            fix=f'name the file {settings.region}.toml, or write region = "{path.stem}"',
        )
    return Region(settings, (data_root or path.parent / settings.data_root).resolve())


def pick(settings: RegionSettings, keys: Iterable[str]) -> dict[str, Any]:
    """Return the values of dotted `keys` as plain JSON values.

    Parameters
    ----------
    settings : RegionSettings
        The settings.
    keys : iterable of str
        ``"chips"`` for a whole section, ``"shards.train"`` for one value.

    Returns
    -------
    dict of str
        One entry a key.
    """
    dumped = settings.model_dump(mode="json")
    chosen = {}
    for key in keys:
        value: Any = dumped
        for part in key.split("."):
            value = value[part]
        chosen[key] = value
    return chosen


def outline_keys(settings: RegionSettings) -> tuple[str, ...]:
    """Return the keys that decide which outlines are read: `years` among them where analyses are chosen by them.

    Parameters
    ----------
    settings : RegionSettings
        The settings.
    """
    return ("outlines", "years") if settings.outlines.analyses == "nearest" else ("outlines",)


def band_facts(bands: Iterable[Band], *fields: str) -> list[dict[str, Any]]:
    """Return `fields` of each of `bands` as plain JSON values, in the order of the bands."""
    return [{name: getattr(band, name) for name in fields} for band in bands]


@functools.lru_cache(maxsize=16)
def _parse(text: str) -> RegionSettings:
    # Every task asks for the settings, often; equal texts give equal, frozen settings.
    return RegionSettings.model_validate(tomllib.loads(text))


def _no_such_region(path: Path) -> ConfigError:
    known = find_regions(path.parent)
    near = difflib.get_close_matches(path.stem, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"TOML files there: {', '.join(known) or 'none'}."
    return ConfigError(
        f"no configuration for region {path.stem}: there is no file {path.name}",
        where=str(path),
        fix=f"{hint} Write one like config/demo.toml",
    )


def _unusable(path: Path, error: ValidationError) -> ConfigError:
    lines = [_explain(item["loc"], item["type"], item["msg"]) for item in error.errors()]
    count = f"{len(lines)} settings" if len(lines) > 1 else "a setting"
    return ConfigError(
        f"{count} cannot be used: " + "; ".join(lines),
        where=str(path),
        fix="correct the keys named above; docs/configuration.md lists every key",
    )


def _explain(location: Sequence[int | str], kind: str, message: str) -> str:
    key = ".".join(str(part) for part in location) or "the file as a whole"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _known_keys(location[:-1]), n=1)
        return f"{key} is unknown" + (f" (did you mean {near[0]}?)" if near else "")
    if kind == "missing":
        return f"{key} is missing"
    return f"{key}: {message.removeprefix('Value error, ')}"


def _known_keys(location: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] | None = RegionSettings
    for part in location:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _section(model.model_fields[part].annotation)
    return list(model.model_fields) if model is not None else []


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _section(arg)) is not None), None)
