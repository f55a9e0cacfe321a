"""The eight rotations and reflections of a square chip, reproducible and equal for all its arrays."""

import hashlib
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.read.reader import Chip

N_DIHEDRAL = 8
_N_TURNS = 4
# The last two are optional.
_TURNED = ("image", "label", "flags", "confidence", "weight")

_Pixel = TypeVar("_Pixel", bound=np.generic)


def dihedral(chip: Chip, k: int) -> Chip:
    """Return a chip in one of the eight orientations of a square: four quarter turns, with and without reflection.

    Pixels are moved and never computed: labels stay classes, 255 stays 255, and each pixel keeps its flags.

    Values do not change. So a band with a direction on the map (northness and southness here; aspect or the sun's
    azimuth elsewhere) still gives the direction of the slope on the ground, not in the turned chip. This is right for a
    band that represents sunlight, and wrong for a model that should relate the band to neighbouring pixels. If this
    matters, leave such bands out or do not turn chips.

    Parameters
    ----------
    chip : Chip
        ``image`` (..., y, x) of any dtype, ``label`` and ``flags`` (y, x), as from `ChipReader`, or with a normalised
        image; ``confidence`` and ``weight`` (y, x), if it has them. Not modified.
    k : int
        0 to 7: ``k % 4`` quarter turns counter-clockwise. From 4, the chip is first mirrored left to right.
        0 changes nothing; 2 and 4 to 7 are their own inverse; 1 and 3 are inverse to each other.

    Returns
    -------
    Chip
        New C-contiguous arrays of the same shapes and dtypes, and the same ``chip_id``. The box in the index is still
        right, but the order of the pixels differs.

    Raises
    ------
    ConfigError
        There is no such `k`.
    InputError
        The arrays are not square, or have different sizes.
    """
    if k not in range(N_DIHEDRAL):
        raise ConfigError(f"a square has no orientation {k!r}", where="dihedral, k", fix="use 0 to 7")
    edge = chip["label"].shape[-1]
    planes: dict[str, NDArray[Any]] = {name: cast("Any", chip)[name] for name in _TURNED if name in chip}
    if any(array.shape[-2:] != (edge, edge) or array.ndim < 2 for array in planes.values()):
        shapes = ", ".join(f"{name} of {array.shape}" for name, array in planes.items())
        raise InputError(
            f"the chip has {shapes}, so it is not square",
            where=f"chip {chip['chip_id']}",
            fix="give image (band, y, x), label (y, x) and flags (y, x) with y = x",
        )
    turned: dict[str, Any] = {name: _laid(array, k) for name, array in planes.items()}
    return cast("Chip", {**turned, "chip_id": chip["chip_id"]})


def dihedral_of(chip_id: str, epoch: int, seed: int) -> int:
    """Return the orientation of a chip in an epoch, 0 to 7: all equally likely, and the same on every machine.

    The choice depends only on a hash of the three values. So neither the order of the chips nor the number of worker
    processes changes it, and a training run can be repeated.

    Parameters
    ----------
    chip_id : str
        Id of the chip.
    epoch : int
        Number of the pass over the split. Each pass draws new orientations.
    seed : int
        Another seed gives another series of choices.

    Returns
    -------
    int
        `k` for `dihedral`.

    Examples
    --------
    >>> [dihedral_of("demo_train_0012_2010_r0_c32", epoch, seed=8) for epoch in range(6)]
    [3, 4, 5, 2, 5, 4]
    """
    text = f"dihedral {seed:d} {epoch:d} {chip_id}"
    # The 256 values of a byte are eight times 32, so all orientations are equally likely.
    return hashlib.sha256(text.encode()).digest()[0] % N_DIHEDRAL


def orientations(n_chips: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the orientation of every chip of a reader in an epoch: `k` for `dihedral`, (chip,), 0 to 7.

    They depend only on the arguments, which must not be negative, and are the same on every machine. `DeviceChips` and
    the data module of Lightning turn chips by them.
    """
    # The upper three bits of raw random numbers: numpy guarantees these numbers for every version.
    raw = np.random.PCG64([seed, epoch, N_DIHEDRAL]).random_raw(n_chips) >> np.uint64(61)
    return np.asarray(raw, np.uint64).astype(np.int64)


def _laid(array: NDArray[_Pixel], k: int) -> NDArray[_Pixel]:
    mirrored = array[..., ::-1] if k >= _N_TURNS else array
    # A copy is made, because torch does not accept negative strides, and k = 0 must not return the original memory.
    return np.array(np.rot90(mirrored, k % _N_TURNS, axes=(-2, -1)), order="C")
