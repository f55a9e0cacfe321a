"""The eight ways to lay a square chip: image, label and flags turned together, the same way every time."""

import hashlib
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.read.reader import Chip

N_DIHEDRAL = 8
_N_TURNS = 4

_Pixel = TypeVar("_Pixel", bound=np.generic)


def dihedral(chip: Chip, k: int) -> Chip:
    """Lay a chip in one of the eight ways that a square allows: four quarter turns, with and without a mirror.

    Pixels are moved, never computed: labels stay classes and 255 stays 255, and each pixel keeps its flags.

    Values are moved as they are. A band that holds a direction on the map (northness and southness here; aspect or
    the sun's azimuth elsewhere) still says where its slope faced on the ground, not where it faces in the turned
    chip. That is right for a band that stands for sunlight, and wrong for a model that is to relate it to the
    neighbouring pixels. Leave such bands out, or leave chips unturned, where that matters.

    Parameters
    ----------
    chip : Chip
        ``image`` (..., y, x) of any dtype, ``label`` and ``flags`` (y, x), as `ChipReader` gives it, or with
        a normalised image. Not modified.
    k : int
        0 to 7. ``k % 4`` quarter turns counter-clockwise; from 4 on, the chip is mirrored left to right first.
        0 changes nothing; 4 to 7 undo themselves, 1 and 3 undo each other.

    Returns
    -------
    Chip
        New C-contiguous arrays of the same shapes and dtypes, and the same ``chip_id``: its box in the index
        holds, the order of its pixels does not.

    Raises
    ------
    ConfigError
        There is no such `k`.
    InputError
        The arrays are not square, or not of one size.
    """
    if k not in range(N_DIHEDRAL):
        raise ConfigError(f"a square cannot be laid in way {k!r}", where="dihedral, k", fix="use 0 to 7")
    edge = chip["label"].shape[-1]
    shapes = {name: array.shape for name, array in (("image", chip["image"]), ("flags", chip["flags"]))}
    if chip["label"].shape != (edge, edge) or any(shape[-2:] != (edge, edge) for shape in shapes.values()):
        raise InputError(
            f"a chip with a label of {chip['label'].shape}, an image of {shapes['image']} and flags of "
            f"{shapes['flags']} is not square",
            where=f"chip {chip['chip_id']}",
            fix="give image (band, y, x), label (y, x) and flags (y, x) with y = x",
        )
    return Chip(
        image=_laid(chip["image"], k), label=_laid(chip["label"], k), flags=_laid(chip["flags"], k),
        chip_id=chip["chip_id"],
    )  # fmt: skip


def dihedral_of(chip_id: str, epoch: int, seed: int) -> int:
    """Return the way, 0 to 7, to lay a chip in an epoch: each equally likely, and the same on every machine.

    The choice rests on a hash of the three values alone, so neither the order of the chips nor the number of worker
    processes changes it, and a training run can be repeated.

    Parameters
    ----------
    chip_id : str
        Of the chip.
    epoch : int
        Pass over the split; each pass draws new ones.
    seed : int
        Another seed is another series of choices.

    Returns
    -------
    int
        For `dihedral`.

    Examples
    --------
    >>> [dihedral_of("demo_train_0012_2010_r0_c32", epoch, seed=8) for epoch in range(6)]
    [3, 4, 5, 2, 5, 4]
    """
    text = f"dihedral {seed:d} {epoch:d} {chip_id}"
    # 256 values of a byte are eight times 32: no way is favoured.
    return hashlib.sha256(text.encode()).digest()[0] % N_DIHEDRAL


def _laid(array: NDArray[_Pixel], k: int) -> NDArray[_Pixel]:
    mirrored = array[..., ::-1] if k >= _N_TURNS else array
    # A copy: torch takes no negative strides, and k = 0 must not hand out the original's memory.
    return np.array(np.rot90(mirrored, k % _N_TURNS, axes=(-2, -1)), order="C")
