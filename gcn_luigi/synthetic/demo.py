"""The made-up worlds that the demo and the tests use."""

from pathlib import Path
from typing import Literal

from gcn_luigi.synthetic.place import WorldSettings
from gcn_luigi.synthetic.world import make_world
from gcn_luigi.synthetic.write import is_written, refuse_foreign, write_world

Size = Literal["demo", "small"]

# 6 x 7 cells of 256 px, and 2 x 2 with half a cell to spare.
_SHAPES: dict[Size, tuple[tuple[int, int], tuple[int, int]]] = {
    "demo": ((1536, 1792), (3, 5)),
    "small": ((512, 640), (2, 3)),
}


def make_demo(root: Path, *, size: Size = "demo", seed: int = 8) -> bool:
    """Make a world and write it, unless it is there already.

    Parameters
    ----------
    root : Path
        Directory to make.
    size : {"demo", "small"}
        1536 x 1792 pixels, some seconds; or 512 x 640, one second.
    seed : int
        Decides the world.

    Returns
    -------
    bool
        True if it was written, False if the same world was there already.

    Raises
    ------
    PublishError
        `root` holds something else, or cannot be written.
    """
    shape, tiles = _SHAPES[size]
    settings = WorldSettings(seed=seed, shape=shape, tiles=tiles)
    if is_written(settings, root):
        return False
    # Before the work, not after it.
    refuse_foreign(root)
    return write_world(make_world(settings), root)
