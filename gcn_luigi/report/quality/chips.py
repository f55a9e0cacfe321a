"""Which chips are shown, and their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import CLASS_NAMES
from gcn_luigi.io.publish.paths import SPLITS, DatasetPaths
from gcn_luigi.io.shard.reader import open_shard
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.appearance import CLASS_COLOURS, MISSING_COLOURS, colour, colour_bands
from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.report.drawing import png_uri
from gcn_luigi.report.quality.data import ROLE_FLAGS, Evidence

_LARGEST = 256


@dataclass(frozen=True)
class Example:
    """A chip that is shown, and why.

    Attributes
    ----------
    kind, why : str
        For example "Typical", and the rule it was chosen by.
    row : mapping
        Its row of the index.
    colour, label, missing : str
        Pictures as data URIs.
    """

    kind: str
    why: str
    row: dict[str, Any]
    colour: str
    label: str
    missing: str


def choose_chips(chips: gpd.GeoDataFrame, lattice: Lattice) -> list[tuple[str, str, int]]:
    """Choose a spread of chips of one split by fixed rules; ties go to the first chip id, no chip is chosen twice.

    Parameters
    ----------
    chips : GeoDataFrame
        Rows of the index.
    lattice : Lattice
        Of the region: a chip that reaches beyond it is at the edge.

    Returns
    -------
    list of tuple
        Kind, rule, and position in `chips`; fewer than six where there are too few chips.
    """
    rows = chips.reset_index(drop=True).sort_values("chip_id")
    if not len(rows):
        return []
    shares = rows[["share_none", "share_debris", "share_ice", "valid_share"]].to_numpy(float)
    glacier = shares[:, 1] + shares[:, 2]
    left, bottom, right, top = lattice.bounds
    beyond = (rows["left"] < left) | (rows["right"] > right) | (rows["bottom"] < bottom) | (rows["top"] > top)
    # Each rule is a cost; where it is infinite the rule does not apply.
    rules = (
        ("Typical", "nearest to the median shares", np.abs(shares - np.median(shares, axis=0)).sum(axis=1)),
        ("Debris-rich", "largest share of debris", np.where(shares[:, 1] > 0, -shares[:, 1], np.inf)),
        ("Ice-rich", "largest share of ice", np.where(shares[:, 2] > 0, -shares[:, 2], np.inf)),
        ("Ice margin", "none and glacier most even", np.where(glacier > 0, np.abs(shares[:, 0] - glacier), np.inf)),
        ("Edge", "reaches beyond the tiles, fullest of those", np.where(beyond, -shares[:, 3], np.inf)),
        ("Worst", "smallest share of valid pixels", shares[:, 3]),
    )
    chosen: list[tuple[str, str, int]] = []
    taken = np.zeros(len(rows), bool)
    for kind, why, cost in rules:
        open_cost = np.where(taken, np.inf, cost)
        best = int(np.argmin(open_cost))
        if np.isfinite(open_cost[best]):
            taken[best] = True
            chosen.append((kind, why, int(rows.index[best])))
    return chosen


def make_examples(evidence: Evidence, paths: DatasetPaths) -> dict[str, list[Example]]:
    """Return the chips that are shown, by split; only these are read."""
    examples: dict[str, list[Example]] = {}
    limits = _limits(evidence)
    missing = int(Flag.OUTSIDE)
    for position, _, _ in limits:
        missing |= int(ROLE_FLAGS[evidence.bands[position].role])
    for split in SPLITS:
        chips = evidence.index[evidence.index["split"] == split].reset_index(drop=True)
        examples[split] = []
        for kind, why, position in choose_chips(chips, evidence.inventory.lattice):
            row = chips.iloc[position].drop("geometry").to_dict()
            with open_shard(paths.shards / row["shard"]) as shard:
                image, label, flags = (
                    shard.pixels(name, int(row["shard_row"])) for name in ("image", "label", "flags")
                )
            thin = slice(None, None, -(-max(label.shape) // _LARGEST))
            image, label, flags = image[:, thin, thin], label[thin, thin], flags[thin, thin]
            pictures = (false_colour(image, flags, limits, missing), label_picture(label), missing_picture(flags))
            examples[split].append(Example(kind, why, row, *(png_uri(picture) for picture in pictures)))
    return examples


def false_colour(
    image: NDArray[np.int16], flags: NDArray[np.uint8], limits: Sequence[tuple[int, float, float]], missing: int
) -> NDArray[np.uint8]:
    """Return (y, x, 3): three bands stretched between limits, chequered where the shown bands are missing.

    Parameters
    ----------
    image : ndarray of int16
        (band, y, x).
    flags : ndarray of uint8
        (y, x): bits of `Flag`.
    limits : sequence of tuple
        Of red, green, blue: position of the band, value shown dark, value shown bright.
    missing : int
        Bits of `Flag` that hide a pixel.
    """
    planes = [np.clip((image[band] - low) / max(high - low, 1.0), 0, 1) for band, low, high in limits]
    # Lifted off black and white: pure primaries hide all texture.
    rgb = np.stack([(18 + 222 * plane**0.8).round().astype(np.uint8) for plane in planes], axis=-1)
    return np.where((flags & missing)[..., None] > 0, _chequered(flags.shape), rgb)


def label_picture(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (y, x, 3): the classes in their colours, chequered where there is no class."""
    rgb = _chequered(label.shape)
    for value, name in enumerate(CLASS_NAMES):
        rgb[label == value] = colour(CLASS_COLOURS[name])
    return rgb


def missing_picture(flags: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (y, x, 3): what is missing, by layer."""
    rgb = np.empty((*flags.shape, 3), np.uint8)
    rgb[...] = colour(MISSING_COLOURS["several"])
    rgb[flags == 0] = colour(MISSING_COLOURS["present"])
    for role, flag in ROLE_FLAGS.items():
        rgb[flags == flag] = colour(MISSING_COLOURS[role.value])
    rgb[flags & Flag.OUTSIDE > 0] = colour(MISSING_COLOURS["outside"])
    return rgb


def _limits(evidence: Evidence) -> list[tuple[int, float, float]]:
    """Return each shown band with the 1st and 99th percentile of train, so that all chips share one stretch."""
    limits = []
    for position in colour_bands(evidence.bands):
        summary = evidence.statistics["bands"][evidence.bands[position].name]
        low, high = (summary["p1"], summary["p99"]) if summary["count"] else (0, 1)
        limits.append((position, float(low), float(high)))
    return limits


def _chequered(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    row, col = np.indices(shape)
    # Grey, for snow is white and rock is dark; fine, for a gap may be three pixels wide.
    return np.where(((row // 2 + col // 2) % 2)[..., None] > 0, 190, 128).astype(np.uint8).repeat(3, axis=-1)
