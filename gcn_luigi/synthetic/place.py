"""Where and how large a made-up world is."""

from dataclasses import dataclass

from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Lattice, Window

# Votes reach this many pixels beyond the tiles: top, left, bottom, right.
STEM_MARGINS = (5, 7, 9, 3)
_SMALLEST = 192


@dataclass(frozen=True)
class WorldSettings:
    """What decides a made-up world.

    Attributes
    ----------
    seed : int
        Decides all that is random.
    shape : tuple of int
        Rows and columns of pixels, at least 192 each.
    crs : str
        Authority code of a projected system in metres.
    pixel_size, left, top : float
        Metres; the default corner is an invented place in south-central Alaska.
    years : tuple of int
        Composite years, rising.
    tiles : tuple of int
        Rows and columns of tiles.
    overlap : int
        Pixels that a tile reaches into the next one to the south and east.
    """

    seed: int = 8
    shape: tuple[int, int] = (512, 640)
    crs: str = "EPSG:3338"
    pixel_size: float = 30.0
    left: float = 336_000.0
    top: float = 1_296_000.0
    years: tuple[int, ...] = (2000, 2004, 2008, 2012, 2016)
    tiles: tuple[int, int] = (2, 3)
    overlap: int = 3

    def __post_init__(self) -> None:
        """Refuse a world that cannot be made."""
        most = min(length // number for length, number in zip(self.shape, self.tiles, strict=True))
        if (
            min(self.shape) < _SMALLEST
            or not self.years
            or list(self.years) != sorted(set(self.years))
            or not 0 <= self.overlap < most
        ):
            raise ConfigError(
                f"no world of {self.shape} px, {self.tiles} tiles, {self.overlap} px overlap and years {self.years}",
                where="WorldSettings",
                fix=f"give at least {_SMALLEST} px each way, rising years and tiles larger than their overlap",
            )

    @property
    def lattice(self) -> Lattice:
        """The pixels of all tiles together."""
        return Lattice(self.crs, self.left, self.top, self.pixel_size, *self.shape)

    @property
    def stem_lattice(self) -> Lattice:
        """The pixels of the votes: a few more than the tiles on every side."""
        top, left, bottom, right = STEM_MARGINS
        rows, cols = self.shape
        return self.lattice.crop(Window(-top, -left, rows + top + bottom, cols + left + right))

    @property
    def stem_year(self) -> int:
        """The composite that the votes were cast on: the one in the middle."""
        return self.years[len(self.years) // 2]
