"""Count chips that repeat other chips, within a split and across splits."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np

from gcn_luigi.lattice import Lattice

# A chip may be in one of these only. A repeat counts in the later one.
_ORDER = ("train", "dev", "test")


@dataclass(frozen=True)
class Repeats:
    """Chips that are alike in one respect."""

    # Chips compared.
    n_chips: int
    # Number of sets of two or more equal chips.
    n_sets: int
    # For each split, the chips that equal another chip of this split, without the first chip of each set.
    n_spare: Mapping[str, int]
    # Chips of dev that equal a chip of train, and chips of test that equal a chip of train or dev.
    n_leaked: int
    # Chip ids of the first sets. Sets that are in both splits come first; otherwise sets are ordered by id.
    examples: tuple[tuple[str, ...], ...]


def count_repeats(keys: Sequence[Hashable], splits: Sequence[str], ids: Sequence[str], n_examples: int = 5) -> Repeats:
    """Count chips that have equal keys. The order of the chips does not matter.

    `keys`, `splits` (``train``, ``dev`` or ``test``) and `ids` have one entry per chip. At most `n_examples`
    sets are named.
    """
    sets: dict[Hashable, list[tuple[str, str]]] = defaultdict(list)
    for key, split, name in zip(keys, splits, ids, strict=True):
        sets[key].append((split, name))
    alike = [sorted(members, key=lambda member: member[1]) for members in sets.values() if len(members) > 1]
    spare, leaked = dict.fromkeys(_ORDER, 0), 0
    for members in alike:
        counts = {split: sum(one == split for one, _ in members) for split in _ORDER}
        for split, count in counts.items():
            spare[split] += max(count - 1, 0)
        leaked += sum(counts[split] for i, split in enumerate(_ORDER) if any(counts[one] for one in _ORDER[:i]))
    ranked = sorted(
        (len({split for split, _ in members}) == 1, tuple(name for _, name in members)) for members in alike
    )
    return Repeats(len(keys), len(alike), spare, leaked, tuple(names for _, names in ranked[:n_examples]))


def footprint_keys(chips: gpd.GeoDataFrame, lattice: Lattice) -> list[tuple[int, int, int]]:
    """Return the first row and column on the lattice, and the year, of each chip.

    `chips` has the columns left and top (metres) and year. Chips of one size have equal keys exactly if they show the
    same pixels of the same composite, even if they belong to different partitions.
    """
    rows = np.round((lattice.top - chips["top"].to_numpy(float)) / lattice.pixel_size).astype(np.int64)
    cols = np.round((chips["left"].to_numpy(float) - lattice.left) / lattice.pixel_size).astype(np.int64)
    return list(zip(rows.tolist(), cols.tolist(), chips["year"].to_numpy(np.int64).tolist(), strict=True))
