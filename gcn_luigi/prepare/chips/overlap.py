"""How many chips a cell of some size gives, and how much of it they see."""

from dataclasses import dataclass

from gcn_luigi.prepare.chips.chips import Edge, chip_origins, coverage


@dataclass(frozen=True)
class ChipLoad:
    """What one whole cell gives before any chip is judged.

    Attributes
    ----------
    n_chips : int
        Chips.
    overlap : float
        How many chips see a pixel that any sees, on average; 1 where none overlap, 0 where there is no chip.
    most : int
        How many chips see the pixel that most see.
    unseen : float
        Share of the cell, 0 to 1, that no chip sees.
    """

    n_chips: int
    overlap: float
    most: int
    unseen: float


def chip_load(cell: int, size: int, step: int, edge: Edge) -> ChipLoad:
    """Return how many chips a square cell gives.

    Parameters
    ----------
    cell : int
        Its edge, in pixels; cells smaller than a chip give none.
    size, step, edge
        As in `chip_offsets`.

    Returns
    -------
    ChipLoad
        Of one cell.

    Raises
    ------
    ConfigError
        A length is not positive.

    Examples
    --------
    >>> chip_load(256, 128, 128, "clamp")
    ChipLoad(n_chips=4, overlap=1.0, most=1, unseen=0.0)
    >>> chip_load(100, 128, 32, "clamp")
    ChipLoad(n_chips=0, overlap=0.0, most=0, unseen=1.0)
    """
    if 1 <= cell < size:
        return ChipLoad(0, 0.0, 0, 1.0)
    origins = chip_origins((cell, cell), size, step, edge)
    seen = coverage(origins, size, (cell, cell))
    n_seen = int((seen > 0).sum())
    return ChipLoad(len(origins), float(seen.sum(dtype="int64")) / n_seen, int(seen.max()), 1.0 - n_seen / seen.size)
