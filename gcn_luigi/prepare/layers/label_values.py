"""Interpret the values of votes and of ready-made labels, and refuse values that could mean two things.

A raster of 0 and 1 may be a glacier mask or a label without ice. A raster of 0 and 255 may be a mask or a label full of
gaps. Such ambiguous values are refused until the settings say which meaning is right.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import ConfigError, InputError

# The largest number of values listed in a message.
_MOST_SHOWN = 10
# Keys of the map [label] classes have at most nine digits.
_MOST_KEY = 1_000_000_000
# A share computed in float32 may end a little above 1.
_ONE = 1.000001
# The published study requires 4 of 7 votes. With a limit at a tenth of the range nearly everything would be ice.
_FAR_ABOVE, _HALF = 10, 50

LabelSource = Literal["votes", "raster", "outlines"]
# Why a class may have no pixel.
_CAUSES: Mapping[LabelSource, Mapping[str, str]] = MappingProxyType({
    "votes": {
        "ice": "no pixel inside an outline has as many votes as [label] min_votes",
        "debris": "every pixel inside an outline is missing or has at least [label] min_votes votes",
    },
    "raster": {},
    "outlines": {
        "ice": "no pixel is inside an outline, or all of these are debris",
        "debris": "no pixel inside an outline is in the map of debris",
    },
})  # fmt: skip
_TO_CHECK: Mapping[LabelSource, str] = MappingProxyType({
    "votes": "votes, min_votes and outlines",
    "raster": "the raster and [label] classes",
    "outlines": "outlines, debris and [label] classes",
})  # fmt: skip
Planes = Iterable[tuple[NDArray[Any], NDArray[np.bool_]]]


def count_values(planes: Planes, where: str) -> Counter[float]:
    """Return how often each value of a ready-made label occurs.

    `planes` are pairs of values (y, x), of any number type, and a bool array (y, x) that is True where they are
    missing. Raise InputError for a value that is not a whole number.
    """
    counts: Counter[float] = Counter()
    for values, missing in planes:
        valid = values[~missing]
        if has_fractions(valid):
            raise InputError(
                f"the label has values that are not whole numbers, for example {valid[valid != np.rint(valid)][0]:g}",
                where=where,
                fix="resample it with the nearest neighbour, never by averaging, because its values are class numbers",
            )
        found, times = np.unique(valid, return_counts=True)
        counts.update(dict(zip(found.astype(float).tolist(), times.tolist(), strict=True)))
    return counts


def class_table(
    counts: Mapping[float, int],
    classes: Mapping[str, str],
    absent: Collection[str],
    where: str,
    known_classes: ClassTable = DEFAULT_CLASSES,
) -> NDArray[np.float64]:
    """Return the values of a ready-made label in ascending order, each with its stored class: float64 (value, 2).

    `counts` come from `count_values`. `classes` is the map in the settings, from whole numbers as text to names of
    `known_classes` or ``"ignore"``. If it is empty, the values of these classes mean them, and 255 means ignore.
    `absent` are classes that the settings allow to be absent.

    Raise InputError if a value has no class. Also raise it if there is no map and a class does not occur that the
    settings do not allow to be absent, because the values could then be read in two ways.
    """
    value_of = known_classes.value_of
    if classes:
        table = {float(value): value_of[name] for value, name in classes.items()}
    else:
        table = {float(value): value for value in value_of.values()}
    if unknown := [value for value in counts if value not in table]:
        known = ", ".join(f"{value:g}" for value in sorted(table))
        raise InputError(
            f"the label has values other than {known}: {_listed(unknown, counts)}",
            where=where,
            fix=_map_to_fill_in(counts, classes, known_classes),
        )
    names = known_classes.names
    lacking = [name for name in names if float(value_of[name]) not in counts and name not in absent]
    if not classes and lacking and counts:
        wanted = ", ".join(f"{value_of[name]} ({name})" for name in lacking)
        meant = ", ".join(f"{value_of[name]} {'means ' if name == names[0] else ''}{name}" for name in names)
        raise InputError(
            f"the label has {_listed(counts, counts)}, but not {wanted}: these values could be read in two ways",
            where=where,
            fix=f"{_map_to_fill_in(counts, {}, known_classes)}; or, if {meant} and 255 missing, "
            f"write [label] allow_absent = {_toml_list(lacking)}",
        )
    return np.array(sorted(table.items()), np.float64)


def reclassify(values: NDArray[Any], missing: NDArray[np.bool_], table: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a ready-made label in our classes, uint8 (y, x), and 255 where missing or ignored.

    `table` comes from `class_table` and contains every value that is not missing.
    """
    at = np.searchsorted(table[:, 0], np.where(missing, table[0, 0], values))
    return np.where(missing, LABEL_IGNORE, table[np.minimum(at, len(table) - 1), 1]).astype(np.uint8)


def has_fractions(values: NDArray[Any]) -> bool:
    """Return whether any of these finite values is not a whole number."""
    return values.dtype.kind == "f" and bool((values != np.rint(values)).any())


def fractional_votes(planes: Planes, min_votes: int, where: str) -> InputError:
    """Return the error for votes that are not whole numbers, with the likely cause; `planes` as in `count_values`."""
    n_broken = n_total = 0
    low, high, example = np.inf, -np.inf, np.nan
    for values, missing in planes:
        votes = values[~missing]
        broken = votes[votes != np.rint(votes)]
        n_total, n_broken = n_total + votes.size, n_broken + broken.size
        if votes.size:
            low, high = min(low, float(votes.min())), max(high, float(votes.max()))
        if broken.size and np.isnan(example):
            example = float(broken[0])
    what = f"votes are not whole numbers in {n_broken:,} of {n_total:,} pixels, for example {example:g}"
    if low >= 0 and high <= _ONE:
        return InputError(
            f"{what}; all are between 0 and 1, like probabilities or shares",
            where=where,
            fix="multiply by the number of classifications, round, and write whole numbers: "
            f"{min_votes} votes ([label] min_votes) or more are debris-free ice. To use a probability as the limit "
            "instead, write 1 above it and 0 below, and set min_votes = 1",
        )
    return InputError(
        what,
        where=where,
        fix="resample votes with the nearest neighbour, never by averaging, because they are counts; convert scores "
        "of another kind to whole numbers, and set [label] min_votes to the smallest number that means ice",
    )


def refuse_percentages(most: int, min_votes: int, where: str) -> None:
    """Raise InputError if votes are so far above the number needed for ice that they look like percentages or bytes.

    This holds if they are above 50 and at least ten times the smallest number of votes that is called ice.
    """
    if most > _HALF and most >= _FAR_ABOVE * max(min_votes, 1):
        raise InputError(
            f"votes reach {most}, although {min_votes} or more are called ice: these look like percentages",
            where=where,
            fix="set [label] min_votes to a percentage, for example 51 for a majority; if the "
            f"raster does count classifications, confirm it with [label] max_votes = {most}",
        )


def refuse_absent(
    counts: NDArray[np.int64],
    allowed: Collection[str],
    *,
    source: LabelSource,
    region: str,
    classes: ClassTable = DEFAULT_CLASSES,
) -> None:
    """Raise ConfigError if a class that is not `allowed` to be absent has no pixel in any used partition.

    `counts` are the pixels of the used partitions: of each class, and missing ones. `source` says what the label was
    made from.
    """
    pixels = dict(zip((*classes.names, "missing"), counts.tolist(), strict=True))
    lacking = [name for name in classes.names if not pixels[name] and name not in allowed]
    if not lacking:
        return
    causes = _CAUSES[source]
    hints = [causes[name] for name in lacking if name in causes]
    if source == "votes" and len(hints) == len(causes):
        hints = ["no outline covers a pixel with votes: check the CRS of the outlines"]
    listed = ", ".join(f"{name} {count:,}" for name, count in pixels.items())
    raise ConfigError(
        f"no partition in use has a pixel of class {' or '.join(lacking)}",
        where="; ".join([f"region {region}, pixels by class: {listed}", *hints]),
        fix=f"check {_TO_CHECK[source]}; if this is intended, write [label] allow_absent = {_toml_list(lacking)}",
    )


def _listed(values: Iterable[float], counts: Mapping[float, int]) -> str:
    """Return at most ten values with their counts, as text."""
    ordered = sorted(values)
    more = f" and {len(ordered) - _MOST_SHOWN} more values" if len(ordered) > _MOST_SHOWN else ""
    return ", ".join(f"{value:g} ({counts[value]:,} pixels)" for value in ordered[:_MOST_SHOWN]) + more


def _map_to_fill_in(values: Iterable[float], classes: Mapping[str, str], known: ClassTable) -> str:
    """Return a map of the raster's values that the user can complete: the program does not guess what they mean."""
    ordered = sorted(values)
    if any(abs(value) >= _MOST_KEY for value in ordered):
        return (
            "declare the value that means missing as the file's nodata value, and give a class to others in "
            "[label] classes"
        )
    keys = [f"{value:.0f}" for value in ordered[:_MOST_SHOWN]]
    pairs = ", ".join(f'"{key}" = "{classes.get(key, "...")}"' for key in keys)
    more = ", and so on" if len(ordered) > _MOST_SHOWN else ""
    return f"give each value a class ({', '.join(known.names)} or ignore): [label] classes = {{ {pairs}{more} }}"


def _toml_list(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
