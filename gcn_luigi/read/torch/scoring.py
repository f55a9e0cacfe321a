"""Let a module of torch score arrays on a device."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, ResourceError
from gcn_luigi.read.prediction.windows import Score
from gcn_luigi.read.torch.device import usable_device

# What torch says if the memory of the machine itself is too small.
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def on_device(module: torch.nn.Module, device: str) -> Iterator[tuple[Score, str]]:
    """Yield a function that scores images on a device, and the name of what computes.

    The module is in evaluation mode meanwhile. Afterwards it is as it was, and where it was.

    Parameters
    ----------
    module : torch.nn.Module
        Takes (chip, band, y, x) float32, and returns (chip, class, y, x).
    device : str
        A device of torch; ``auto`` is ``cuda`` if torch can use it, and ``cpu`` otherwise.

    Raises
    ------
    ConfigError
        torch cannot use the device. Later: the module does not take such images.
    ResourceError
        Later: a batch does not fit in the memory of the device.
    """
    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    place = usable_device(wanted, where="device")
    home = next((values.device for values in module.state_dict().values()), torch.device("cpu"))
    modes = {one: one.training for one in module.modules()}

    def score(images: NDArray[np.float32]) -> NDArray[Any]:
        try:
            with torch.inference_mode():
                # A copy, because the array is filled again while the device may still read it.
                found = module(torch.from_numpy(images).to(place, copy=True))
                return _array(found)
        except (torch.OutOfMemoryError, RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
            raise _explained(error, images, place) from error

    try:
        # Programs of torch.export are in evaluation mode for good and refuse to be set.
        for one in modes:
            one.training = False
        module.to(place)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield score, f"torch {torch.__version__} on {place.type}"
    finally:
        module.to(home)
        for one, mode in modes.items():
            one.training = mode


def module_digest(module: torch.nn.Module) -> str:
    """Return a SHA-256 of the structure of a module and of all its weights."""
    found = hashlib.sha256(repr(module).encode())
    for name, values in sorted(module.state_dict().items()):
        found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        found.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def _array(found: Any) -> NDArray[Any]:
    if not isinstance(found, torch.Tensor):
        raise ConfigError(
            f"the model returns a {type(found).__name__}, and not a tensor",
            where="the model",
            fix="wrap it in a module that returns the scores alone, (chip, class, y, x)",
        )
    # numpy has no bfloat16.
    array: NDArray[Any] = found.float().cpu().numpy()
    return array


def _explained(error: Exception, images: NDArray[np.float32], place: torch.device) -> Exception:
    if isinstance(error, ConfigError):
        return error
    what = str(error).strip().partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _NO_MEMORY):
        batch = len(images)
        return ResourceError(
            f"a batch of {batch} windows of {images.shape[-1]} px does not fit in the memory of {place}",
            where="the model",
            fix=f"use a batch of {batch // 2}" if batch > 1 else "use smaller windows, or another device",
        )
    return ConfigError(
        f"the model does not take images of {images.shape} (chip, band, y, x): {type(error).__name__}: {what}",
        where="the model",
        fix="compare the bands and the size of windows with those that it was trained with",
    )
