"""Chips that repeat others, counted within and across splits."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np

from gcn_luigi.lattice import Lattice

SPLITS = ("train", "dev")


@dataclass(frozen=True)
class Repeats:
    """Chips that are alike in one respect.

    Attributes
    ----------
    n_chips : int
        Chips compared.
    n_sets : int
        Sets of two or more chips that are alike.
    n_spare : mapping
        By split: chips that are like another chip of their split, but for the first of each set.
    n_leaked : int
        Chips of dev that are like a chip of train.
    examples : tuple of tuple of str
        Ids of the first sets: those that are in both splits first, then by id.
    """

    n_chips: int
    n_sets: int
    n_spare: Mapping[str, int]
    n_leaked: int
    examples: tuple[tuple[str, ...], ...]


def count_repeats(keys: Sequence[Hashable], splits: Sequence[str], ids: Sequence[str], n_examples: int = 5) -> Repeats:
    """Count chips of equal keys; the same for every order of the chips.

    `keys` has one entry per chip, `splits` (``train`` or ``dev``) and `ids` too; `n_examples` is the most sets that are
    named.
    """
    sets: dict[Hashable, list[tuple[str, str]]] = defaultdict(list)
    for key, split, name in zip(keys, splits, ids, strict=True):
        sets[key].append((split, name))
    alike = [sorted(members, key=lambda member: member[1]) for members in sets.values() if len(members) > 1]
    spare, leaked = dict.fromkeys(SPLITS, 0), 0
    for members in alike:
        counts = {split: sum(one == split for one, _ in members) for split in SPLITS}
        for split, count in counts.items():
            spare[split] += max(count - 1, 0)
        leaked += counts["dev"] if counts["train"] else 0
    ranked = sorted(
        (len({split for split, _ in members}) == 1, tuple(name for _, name in members)) for members in alike
    )
    return Repeats(len(keys), len(alike), spare, leaked, tuple(names for _, names in ranked[:n_examples]))


def footprint_keys(chips: gpd.GeoDataFrame, lattice: Lattice) -> list[tuple[int, int, int]]:
    """Return the first row and column on the lattice, and the year, of each chip.

    `chips` has the columns left and top (metres) and year. Keys are equal where chips of one size show the same pixels
    of one composite, whatever partition they are of.
    """
    rows = np.round((lattice.top - chips["top"].to_numpy(float)) / lattice.pixel_size).astype(np.int64)
    cols = np.round((chips["left"].to_numpy(float) - lattice.left) / lattice.pixel_size).astype(np.int64)
    return list(zip(rows.tolist(), cols.tolist(), chips["year"].to_numpy(np.int64).tolist(), strict=True))
