"""Renamed keys of the TOML file: the old names are accepted for one version, with their old meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any


def _same(value: Any) -> Any:
    return value


def _next(value: Any) -> Any:
    """Return n + 1: more than n votes are n + 1 or more; the settings refuse what is not a whole number."""
    whole = _number(value)
    return value if whole is None or whole != int(whole) else int(whole) + 1


def _rest(value: Any) -> Any:
    """Return 1 minus the value, in decimal: 0.1 for 0.9."""
    share = _number(value)
    return value if share is None else float(1 - share)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


@dataclass(frozen=True)
class Renamed:
    """What became of a key.

    Attributes
    ----------
    new : str
        The new name, with a dot if the key moved to its own table; empty for a key that is ignored.
    now, before : callable
        Conversion of a value from the old name to the new one, and back.
    """

    new: str
    now: Callable[[Any], Any] = _same
    before: Callable[[Any], Any] = _same


# By section, then by old name.
OLD_KEYS: Mapping[str, Mapping[str, Renamed]] = MappingProxyType({
    "convert": {"exclude": Renamed("")},
    "label": {"threshold": Renamed("min_votes", _next, lambda votes: votes - 1)},
    "grid": {
        "min_glacier_share": Renamed("min_outline_share"),
        "reject_ids": Renamed("reject_ids_path"),
        "exclude_polygons": Renamed("exclude_polygons_path"),
    },
    "year": {"max_gap": Renamed("max_gap_years")},
    "split": {"block": Renamed("block_partitions"), "buffer": Renamed("buffer_partitions")},
    "nodata": {key: Renamed(f"legacy.{key}") for key in ("optical_band", "topo_band", "alt_topo_band")},
    "chips": {"max_topo_nodata_share": Renamed("min_valid_topo_share", _rest, _rest)},
    "shards": {"train": Renamed("n_train"), "dev": Renamed("n_dev")},
})  # fmt: skip


def renew_section(section: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the keys of a section under their new names, and a note about each renamed key.

    Raises
    ------
    ValueError
        A key is given under both names.
    """
    renewed, notes = dict(values), []
    for old, renamed in OLD_KEYS.get(section, {}).items():
        if old not in values:
            continue
        value = renewed.pop(old)
        if not renamed.new:
            notes.append(f"{section}.{old} has no effect any more")
            continue
        *tables, name = renamed.new.split(".")
        if any(not isinstance(renewed.get(table, {}), Mapping) for table in tables):
            # The check of the settings refuses such a table, and names it.
            continue
        place = renewed
        for table in tables:
            place[table] = dict(place.get(table, {}))
            place = place[table]
        if name in place:
            raise ValueError(f"{section}.{renamed.new} and {section}.{old}, its old name, are both given")
        place[name] = renamed.now(value)
        means = "" if renamed.now is _same else f" = {place[name]}"
        notes.append(f"{section}.{old} is now {section}.{renamed.new}{means}")
    return renewed, notes


def renew(tree: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return all settings of a region under their new names, and a note about each renamed key.

    Raises
    ------
    ValueError
        A key is given under both names.
    """
    renewed, notes = dict(tree), []
    for section in OLD_KEYS:
        if isinstance(tree.get(section), Mapping):
            renewed[section], told = renew_section(section, tree[section])
            notes += told
    return renewed, notes


def renew_recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a sidecar, by section or by dotted key, under their new names."""
    renewed: dict[str, Any] = {}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        renamed = OLD_KEYS.get(section, {}).get(name)
        if renamed is not None:
            if renamed.new:
                renewed[f"{section}.{renamed.new}"] = renamed.now(value)
        elif not name and isinstance(value, Mapping):
            renewed[key] = renew_section(key, value)[0]
        else:
            renewed[key] = value
    return renewed
