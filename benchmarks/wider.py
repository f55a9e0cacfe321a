"""A region of many partitions: copies of the made-up world side by side, since to make one so large takes minutes."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from gcn_luigi.synthetic import World, WorldSettings
from gcn_luigi.synthetic.world import STEM_MARGINS


def wider_settings(settings: WorldSettings, times: int) -> WorldSettings:
    """Return the settings that a world has which is `times` as wide and as high; its tiles keep their size."""
    shape, tiles = ((times * rows, times * cols) for rows, cols in (settings.shape, settings.tiles))
    return replace(settings, shape=shape, tiles=tiles)


def wider(world: World, times: int) -> World:
    """Return `times` x `times` copies of a world side by side.

    Parameters
    ----------
    world : World
        What is copied.
    times : int
        Copies in each direction.

    Returns
    -------
    World
        Pixels are repeated, and every outline has an id of its own. What only tests need, the truth, is left out.
    """
    settings = wider_settings(world.settings, times)
    top, left, bottom, right = STEM_MARGINS
    rows, cols = world.settings.shape
    inner = np.tile(world.votes[top : top + rows, left : left + cols], (times, times))
    size, (height, width) = settings.pixel_size, world.settings.shape
    outlines = pd.concat(
        [
            world.outlines.set_geometry(world.outlines.translate(across * width * size, -down * height * size))
            for down in range(times)
            for across in range(times)
        ],
        ignore_index=True,
    )
    for name, form in (("RGIId", "RGI60-01.{:05d}"), ("GLIMSId", "MADE-UP-{:05d}")):
        outlines[name] = [form.format(number) for number in range(1, len(outlines) + 1)]
    return World(
        settings,
        {name: _repeated(stack, times) for name, stack in world.optical.items()},
        {name: _repeated(layer, times) for name, layer in world.topo.items()},
        np.pad(inner, ((top, bottom), (left, right)), mode="edge"),
        outlines,
        ice={},
        debris={},
    )


def _repeated(pixels: npt.NDArray[np.generic], times: int) -> npt.NDArray[np.generic]:
    return np.tile(pixels, (*[1] * (pixels.ndim - 2), times, times))
