"""How the chips of a dataset look: which bands are shown as colours, with which stretch, and what is hidden."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.appearance import colour_bands, look
from gcn_luigi.prepare.pictures import Stretch, false_colour, hiding_flags, stretch_of
from gcn_luigi.read.store.ids import position_of

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Look:
    """How images of a dataset are shown.

    Attributes
    ----------
    stretch : sequence of tuple
        Position, darkest and brightest value of the bands that are shown as red, green and blue.
    hiding : int
        Bits of the flags that hide a pixel.
    title : str
        What is shown, such as ``false colour: tcb, nbr, ndsi``.
    """

    stretch: Stretch
    hiding: int
    title: str

    def picture(self, image: NDArray[Any], flags: NDArray[np.uint8]) -> Picture:
        """Return (y, x, 3) of an image (band, y, x); missing pixels are chequered."""
        return false_colour(image, flags, self.stretch, self.hiding)


def look_of(dataset: "Dataset") -> Look:
    """Return how the quality page shows the images of a dataset: the same bands, from the 1st to the 99th percentile.

    Raises
    ------
    ShardError
        The bands or the statistics cannot be read.
    """
    bands = dataset.bands
    report: Any = dataset.description.get("configuration", {}).get("report") or {}
    names = [band.name for band in bands]
    composite = [name for name in report.get("composite") or () if name in names]
    shown = colour_bands(bands, composite if len(composite) == 3 else ())
    title = f"{look(bands, shown)}: {', '.join(names[position] for position in shown)}"
    return Look(stretch_of(dataset.statistics["bands"], bands, shown), hiding_flags(bands, shown), title)


def row_of(dataset: "Dataset", chip_id: str) -> Any:
    """Return the row of the index for a chip; ConfigError names similar ids if there is none."""
    table = dataset.chip_table
    if not len(table):
        raise ConfigError("the dataset has no chips", where=dataset.place, fix="build it with more data")
    return table.iloc[position_of(chip_id, table["chip_id"].array)]
