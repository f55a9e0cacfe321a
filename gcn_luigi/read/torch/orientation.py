"""Turn and mirror whole batches, each chip in its own orientation, on the device where they are."""

from collections.abc import Sequence
from typing import Any

import torch

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.read.transforms import N_DIHEDRAL

_N_TURNS = 4
# Axes of the smallest plane of a batch: chip, y, x.
_OF_PLANES = 3


def dihedral(batch: dict[str, Any], k: int | Sequence[int] | torch.Tensor) -> dict[str, Any]:
    """Return a batch with each chip in one of the eight orientations of a square.

    The chips are those that `gcn_luigi.read.transforms.dihedral` returns, one by one; its warning about bands with a
    direction on the map applies here as well. Pixels are moved and never computed: a missing label stays 255.

    Parameters
    ----------
    batch : dict
        Of tensors on any device, as a stream or `DeviceChips` yields it, or with a normalised image. Tensors
        (chip, ..., y, x) are turned. Everything with fewer than three axes, such as ``position``, stays as it is. Not
        modified.
    k : int, sequence of int, or tensor
        0 to 7 for all chips, or (chip,) for each of them: ``k % 4`` quarter turns counter-clockwise. From 4, the chip
        is first mirrored left to right. `gcn_luigi.read.transforms.orientations` draws them at random.

    Returns
    -------
    dict
        New tensors of the same shapes and dtypes, C-contiguous, on the same device.

    Raises
    ------
    ConfigError
        An orientation is not from 0 to 7, or there are not as many as chips.
    InputError
        The batch has no pixels, chips are not square, or tensors have different numbers of chips.
    """
    planes = {name: values for name, values in batch.items() if torch.is_tensor(values) and values.ndim >= _OF_PLANES}
    first = next(iter(planes.values()), None)
    if first is None or any(_frame(values) != (*first.shape[:1], *first.shape[-1:] * 2) for values in planes.values()):
        shapes = ", ".join(f"{name} of {tuple(values.shape)}" for name, values in planes.items())
        raise InputError(
            f"the batch has {shapes or 'no tensor of pixels'}",
            where="dihedral",
            fix="give tensors (chip, ..., y, x) with y = x and the same chips in all of them",
        )
    turns = _turns(k, len(first), first.device)
    turned = {name: values.clone(memory_format=torch.contiguous_format) for name, values in planes.items()}
    for each in range(1, N_DIHEDRAL):
        chosen = (turns == each).nonzero().squeeze(1)
        if not len(chosen):
            continue
        for name, values in planes.items():
            own = values[chosen]
            own = own.flip(-1) if each >= _N_TURNS else own
            turned[name][chosen] = torch.rot90(own, each % _N_TURNS, (-2, -1))
    return {**batch, **turned}


def _frame(values: torch.Tensor) -> tuple[int, ...]:
    """Return the number of chips, and their height and width."""
    return (*values.shape[:1], *values.shape[-2:])


def _turns(k: int | Sequence[int] | torch.Tensor, n_chips: int, device: torch.device) -> torch.Tensor:
    """Return the orientation of each chip, (chip,) int64."""
    turns = torch.as_tensor(k, device=device)
    # An empty list has no type of its own.
    turns = turns if len(turns.shape) == 0 or len(turns) else turns.long()
    is_whole = turns.dtype != torch.bool and not turns.is_floating_point() and not turns.is_complex()
    if turns.ndim == 0 and is_whole:
        turns = turns.expand(n_chips)
    if turns.shape != (n_chips,) or not is_whole or bool(((turns < 0) | (turns >= N_DIHEDRAL)).any()):
        raise ConfigError(
            f"{n_chips} chips have no orientations {turns.tolist()!s:.80}",
            where="dihedral, k",
            fix="use whole numbers from 0 to 7: one for all chips, or one for each",
        )
    return turns.long()
