"""What the numbers in votes and in a ready-made label mean, and when they could mean two things.

A raster of 0 and 1 may be a glacier mask, or a label without ice; one of 0 and 255 may be a mask or a label full of
gaps. Values that have two readings are refused until the settings say which one is right.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gcn_luigi.bands import LABEL_DEBRIS, LABEL_ICE, LABEL_IGNORE, LABEL_NONE
from gcn_luigi.errors import ConfigError, InputError

CLASS_VALUES = {"none": LABEL_NONE, "debris": LABEL_DEBRIS, "ice": LABEL_ICE, "ignore": LABEL_IGNORE}
# Classes of the label itself, in the order of `count_classes`.
CLASSES = ("none", "debris", "ice")
_IDENTITY = {float(value): value for value in CLASS_VALUES.values()}
_MOST_TOLD = 10
# Keys of a map have at most nine digits.
_MOST_KEY = 1_000_000_000
# A share computed in float32 may end a little above 1.
_ONE = 1.000001
# The published study asks for 4 of 7 votes; at a tenth of the range nearly everything would be ice.
_FAR_ABOVE, _HALF = 10, 50

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ValueCounts:
    """How often each value occurs in a raster.

    Attributes
    ----------
    counts : mapping of float to int
        Pixels by value, missing ones left out.
    """

    counts: Mapping[float, int]

    @classmethod
    def of(cls, planes: Iterable[tuple[Array, npt.NDArray[np.bool_]]], where: str) -> Self:
        """Count the values of a ready-made label.

        Parameters
        ----------
        planes : iterable of tuple of ndarray
            Values (y, x), of any number type, and which of them are missing (y, x), bool.
        where : str
            The raster, for the message.

        Raises
        ------
        InputError
            A value is not a whole number.
        """
        counts: Counter[float] = Counter()
        for values, missing in planes:
            kept = values[~missing]
            if has_fractions(kept):
                raise InputError(
                    f"label holds values that are not whole numbers, for example {kept[kept != np.rint(kept)][0]:g}",
                    where=where,
                    fix="a label names classes: resample it with the nearest pixel, never by averaging",
                )
            found, times = np.unique(kept, return_counts=True)
            counts.update(dict(zip(found.astype(float).tolist(), times.tolist(), strict=True)))
        return cls(counts)

    def told(self, values: Iterable[float]) -> str:
        """Return values with their counts, as text: at most ten."""
        ordered = sorted(values)
        more = f" and {len(ordered) - _MOST_TOLD} more values" if len(ordered) > _MOST_TOLD else ""
        return ", ".join(f"{value:g} ({self.counts[value]:,} pixels)" for value in ordered[:_MOST_TOLD]) + more


def label_coding(counts: ValueCounts, classes: Mapping[str, str], absent: Collection[str], where: str) -> Array:
    """Return what each value of a ready-made label means.

    Parameters
    ----------
    counts : ValueCounts
        The values of the raster on the region's lattice.
    classes : mapping of str to str
        The map of the settings: whole numbers, as text, to ``"none"``, ``"debris"``, ``"ice"`` or ``"ignore"``. Empty
        where there is none: then 0, 1, 2 and 255 stand for these, in this order.
    absent : collection of str
        Classes that the settings allow to be absent.
    where : str
        The raster, for messages.

    Returns
    -------
    ndarray
        Axes (value, 2), float64: the values in rising order, and the class of each as it is stored.

    Raises
    ------
    InputError
        A value has no class; or there is no map, and a class that is not known to be absent does not
        occur, so that the values could be read in two ways.
    """
    coding = {float(value): CLASS_VALUES[name] for value, name in classes.items()} or _IDENTITY
    if unknown := [value for value in counts.counts if value not in coding]:
        known = ", ".join(f"{value:g}" for value in sorted(coding))
        raise InputError(
            f"label holds values other than {known}: {counts.told(unknown)}",
            where=where,
            fix=_map_to_fill_in(counts.counts, classes),
        )
    lacking = [name for name in CLASSES if float(CLASS_VALUES[name]) not in counts.counts and name not in absent]
    if not classes and lacking and counts.counts:
        values = sorted(counts.counts)
        wanted = ", ".join(f"{CLASS_VALUES[name]} ({name})" for name in lacking)
        raise InputError(
            f"label holds {counts.told(values)}, but not {wanted}: these values could be read in two ways",
            where=where,
            fix=f"{_map_to_fill_in(values, {})}; or, if they are 0 none, 1 debris, 2 ice and 255 missing, "
            f"write [label] allow_absent = {_toml_list(lacking)}",
        )
    return np.array(sorted(coding.items()), np.float64)


def apply_coding(values: Array, missing: npt.NDArray[np.bool_], coding: Array) -> npt.NDArray[np.uint8]:
    """Return a ready-made label in our own classes.

    Parameters
    ----------
    values : ndarray
        Axes (y, x), any number type.
    missing : ndarray
        Axes (y, x), bool.
    coding : ndarray
        From `label_coding`; every value that is not missing is in it.

    Returns
    -------
    ndarray
        Axes (y, x), uint8: 0 none, 1 debris, 2 debris-free ice, 255 where missing or ignored.
    """
    at = np.searchsorted(coding[:, 0], np.where(missing, coding[0, 0], values))
    return np.where(missing, LABEL_IGNORE, coding[np.minimum(at, len(coding) - 1), 1]).astype(np.uint8)


def has_fractions(values: Array) -> bool:
    """Return whether any of these numbers is not whole; none of them may be NaN or infinite."""
    return values.dtype.kind == "f" and bool((values != np.rint(values)).any())


def fractional_votes(planes: Iterable[tuple[Array, npt.NDArray[np.bool_]]], min_votes: int, where: str) -> InputError:
    """Return the error for votes that are not whole numbers, with the likely cause.

    Parameters
    ----------
    planes : iterable of tuple of ndarray
        All votes (y, x), and which of them are missing (y, x), bool.
    min_votes : int
        ``[label] min_votes``.
    where : str
        The raster.
    """
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
    what = f"holds votes that are not whole numbers: {n_broken:,} of {n_total:,} pixels, for example {example:g}"
    if low >= 0 and high <= _ONE:
        return InputError(
            f"{what}; all lie between 0 and 1, as probabilities or shares do",
            where=where,
            fix="multiply by the number of classifications, round, and write whole numbers: "
            f"{min_votes} votes ([label] min_votes) or more are debris-free ice. To cut at a probability instead, "
            "write 1 above it and 0 below, and set min_votes = 1",
        )
    return InputError(
        what,
        where=where,
        fix="votes are counts: resample them with the nearest pixel, never by averaging; turn scores of "
        "another kind into whole numbers, and set [label] min_votes in their unit",
    )


def refuse_percentages(most: int, min_votes: int, where: str) -> None:
    """Refuse votes that go so far above the votes needed for ice that they must be percentages, or bytes scaled to 255.

    Parameters
    ----------
    most : int
        The largest vote of the raster.
    min_votes : int
        ``[label] min_votes``.
    where : str
        The raster.

    Raises
    ------
    InputError
        The largest vote is above 50, and at least ten times the smallest number of votes that is called ice.
    """
    if most > _HALF and most >= _FAR_ABOVE * max(min_votes, 1):
        raise InputError(
            f"votes reach {most}, although {min_votes} or more are called ice: these look like percentages",
            where=where,
            fix="set [label] min_votes in the unit of the raster, for example 51 for a majority of percentages; if the "
            f"raster does count classifications, confirm it with [label] max_votes = {most}",
        )


def refuse_absent(counts: npt.NDArray[np.int64], allowed: Collection[str], *, of_votes: bool, region: str) -> None:
    """Refuse a catalog whose used partitions hold no pixel of a class.

    Parameters
    ----------
    counts : ndarray
        Axes (class,) = none, debris, ice, missing; pixels of all used partitions.
    allowed : collection of str
        ``[label] allow_absent``.
    of_votes : bool
        Whether the label was made from votes.
    region : str
        For the message.

    Raises
    ------
    ConfigError
        A class that is not allowed to be absent has no pixel.
    """
    pixels = zip(CLASSES, counts[:3].tolist(), strict=True)
    lacking = [name for name, count in pixels if not count and name not in allowed]
    if not lacking:
        return
    shares = ", ".join(f"{name} {count:,}" for name, count in zip((*CLASSES, "missing"), counts.tolist(), strict=True))
    causes = {
        "ice": "no pixel inside an outline has as many votes as [label] min_votes" if of_votes else "",
        "debris": "every pixel inside an outline is missing or has at least [label] min_votes votes"
        if of_votes
        else "",
        "none": "",
    }
    hints = [causes[name] for name in lacking if causes[name]]
    if of_votes and {"ice", "debris"} <= set(lacking):
        hints = ["no outline covers a pixel with votes: check the CRS of the outlines"]
    raise ConfigError(
        f"no pixel of class {' or '.join(lacking)} in any partition that is used",
        where=f"region {region}, pixels by class: {shares}" + (f"; {'; '.join(hints)}" if hints else ""),
        fix=f"check votes, min_votes and outlines; if it is meant, write [label] allow_absent = {_toml_list(lacking)}",
    )


def _map_to_fill_in(values: Iterable[float], classes: Mapping[str, str]) -> str:
    """Return a map of the raster's values for a person to complete: what they mean is not guessed."""
    ordered = sorted(values)
    if any(abs(value) >= _MOST_KEY for value in ordered):
        return (
            "declare values that mean missing as the file's nodata value, and say with [label] classes what others mean"
        )
    keys = [f"{value:.0f}" for value in ordered[:_MOST_TOLD]]
    pairs = ", ".join(f'"{key}" = "{classes.get(key, "...")}"' for key in keys)
    more = ", and so on" if len(ordered) > _MOST_TOLD else ""
    return f"say what each value means, none, debris, ice or ignore: [label] classes = {{ {pairs}{more} }}"


def _toml_list(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
