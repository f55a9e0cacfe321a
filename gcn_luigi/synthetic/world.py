"""A complete invented region in memory: every array and outline that the pipeline reads."""

from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.terrain import curvature, northness, southness
from gcn_luigi.synthetic.glaciers import (
    Ice,
    Ids,
    cover_with_debris,
    equilibrium_line,
    glacier_ids,
    make_ice,
    trace_moraines,
)
from gcn_luigi.synthetic.imagery import NODATA, Season, clouds_and_edges, make_landscape, make_votes, observe
from gcn_luigi.synthetic.noise import Field, enlarge, fractal, generator
from gcn_luigi.synthetic.outlines import draw_outlines, survey_dates
from gcn_luigi.synthetic.terrain import NODE, NOMINAL_PIXEL, Mask, Terrain, make_terrain

# The votes extend this many pixels beyond the tiles: top, left, bottom, right.
STEM_MARGINS = (5, 7, 9, 3)
TOPO_NODATA = -9999.0
_SMALLEST = 192
# Share of the land above the equilibrium line in the first year, and the rise of this line in metres per year.
_ACCUMULATION_SHARE, _RISE = 0.25, 5.5
# Metres. Where ice thicker than this retreats, it leaves a lake.
_LAKE_DEPTH = 45
_DEBRIS_FIRST, _DEBRIS_LAST = 0.11, 0.17


@dataclass(frozen=True)
class WorldSettings:
    """The settings that decide an invented world.

    Attributes
    ----------
    seed : int
        Decides everything that is random.
    shape : tuple of int
        Rows and columns of pixels, at least 192 each.
    crs : str
        Authority code of a projected system in metres.
    pixel_size, left, top : float
        Metres; the default corner is an invented place in south-central Alaska.
    years : tuple of int
        Composite years, in ascending order.
    tiles : tuple of int
        Rows and columns of tiles.
    overlap : int
        Pixels by which a tile extends into the next one to the south and east.
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
                f"cannot make a world of {self.shape} px, {self.tiles} tiles, {self.overlap} px overlap and years "
                f"{self.years}",
                where="WorldSettings",
                fix=f"give at least {_SMALLEST} rows and columns, years in ascending order, and tiles larger than "
                "their overlap",
            )

    @property
    def lattice(self) -> Lattice:
        """The pixels of all tiles together."""
        return Lattice(self.crs, self.left, self.top, self.pixel_size, *self.shape)

    @property
    def stem_lattice(self) -> Lattice:
        """The pixels of the votes, which extend a few pixels beyond the tiles on every side."""
        top, left, bottom, right = STEM_MARGINS
        rows, cols = self.shape
        return self.lattice.crop(Window(-top, -left, rows + top + bottom, cols + left + right))

    @property
    def stem_year(self) -> int:
        """The composite that the votes are made from: the middle one."""
        return self.years[len(self.years) // 2]


@dataclass(frozen=True)
class World:
    """All data of an invented world, ready to be written.

    Attributes
    ----------
    settings : WorldSettings
        The settings that it was made from.
    optical : dict of ndarray of int16, (year, row, col)
        By band name: nbr, ndsi, ndvi, tcb, tcw, rmse; nodata -32768.
    topo : dict of ndarray of float32, (row, col)
        By band name: north, south, curvature, dem; nodata -9999.
    votes : ndarray of int16, (row, col)
        0 to 7 on ``settings.stem_lattice``; nodata -32768.
    outlines : GeoDataFrame
        Columns of RGI 6.0.
    ice, debris : dict of ndarray, (row, col)
        The truth, by year: bool; float32 share of a pixel.
    """

    settings: WorldSettings
    optical: dict[str, npt.NDArray[np.int16]]
    topo: dict[str, Field]
    votes: npt.NDArray[np.int16]
    outlines: gpd.GeoDataFrame
    ice: dict[int, Mask] = field(repr=False)
    debris: dict[int, Field] = field(repr=False)


@dataclass(frozen=True)
class _History:
    """Land and ice of all years."""

    terrain: Terrain
    line: npt.NDArray[np.float64]
    covers: dict[int, Ice]
    ids: Ids
    ice: dict[int, Mask]
    surface: Field


def make_world(settings: WorldSettings) -> World:
    """Make a region from its settings alone; the same settings give the same bits.

    Parameters
    ----------
    settings : WorldSettings
        Seed, size and location.

    Returns
    -------
    World
        All arrays and outlines.

    Raises
    ------
    ConfigError
        The world has no glacier.
    """
    seed, years = settings.seed, settings.years
    history = _history(settings)
    tree_line = 0.33 * float(history.line.mean())
    landscape = make_landscape(history.terrain, history.surface, tree_line, seed)
    above = history.surface - enlarge(history.line, settings.shape, NODE, order=1)
    first = history.covers[years[0]]
    moraines = trace_moraines(Ice(history.ice[years[0]], first.surface, first.vigour), history.terrain.ground)
    optical: dict[str, npt.NDArray[np.int16]] = {}
    debris: dict[int, Field] = {}
    votes = np.empty(0, dtype=np.int16)
    for number, year in enumerate(years):
        season = _season(history, settings, (moraines, landscape.texture), above, year)
        noise = generator(seed, f"sensor {year}").standard_normal(settings.shape, dtype=np.float32)
        bands, white = observe(landscape, season, noise)
        if year == settings.stem_year:
            votes = make_votes(white, seed, STEM_MARGINS)
        gaps = clouds_and_edges(seed, year, settings.shape, scan_lines=number in {1, 2}, edge=number in {0, 3})
        for name, band in bands.items():
            stack = optical.setdefault(name, np.empty((len(years), *settings.shape), dtype=np.int16))
            stack[number] = band
            stack[number][gaps] = NODATA
        debris[year] = season.debris
    outlines = _outlined(history, settings)
    return World(settings, optical, _topography(history, settings), votes, outlines, history.ice, debris)


def _history(settings: WorldSettings) -> _History:
    terrain = make_terrain(settings.seed, settings.shape)
    line = equilibrium_line(terrain, settings.seed, _ACCUMULATION_SHARE)
    start = settings.years[0]
    covers = {year: make_ice(terrain, line + _RISE * (year - start), settings.shape) for year in settings.years}
    ids = glacier_ids(terrain, covers[start].mask)
    ice = {year: cover.mask & (ids > 0) for year, cover in covers.items()}
    mapped = settings.stem_year
    surface = np.where(ice[mapped], np.maximum(covers[mapped].surface, terrain.ground), terrain.ground)
    # Roughness of the ice: crevasses and melt channels.
    rough = fractal(generator(settings.seed, "ice surface"), settings.shape, 14, 1.7)
    surface += np.where(ice[mapped], 1.3 * rough, 0)
    # A resampled elevation model has no sharper edges than this; the shoreline stays where it is.
    smooth = np.where(terrain.ground > 0, np.maximum(ndimage.gaussian_filter(surface, 0.9), 0.5), surface)
    return _History(terrain, line, covers, ids, ice, smooth)


def _season(history: _History, settings: WorldSettings, rock: tuple[Field, Field], above: Field, year: int) -> Season:
    start, end = settings.years[0], settings.years[-1]
    passed = (year - start) / max(end - start, 1)
    ice, cover = history.ice[year], history.covers[year]
    above_now = above - np.float32(_RISE * (year - start))
    share = _DEBRIS_FIRST + (_DEBRIS_LAST - _DEBRIS_FIRST) * passed
    covered = cover_with_debris(Ice(ice, cover.surface, cover.vigour), rock[0], above_now, rock[1], share)
    left = history.ice[start] & ~ice
    ground = history.terrain.ground
    lake = left & (history.covers[start].surface - ground > _LAKE_DEPTH) & (ground > 0)
    snow_line = float(generator(settings.seed, f"season {year}").uniform(-110, 130))
    bare = left & ~lake & (ground > 0)
    soft_ice, soft_bare, soft_lake = (ndimage.uniform_filter(part.astype(np.float32), 3) for part in (ice, bare, lake))
    return Season(soft_ice, covered, above_now, snow_line, soft_bare, soft_lake)


def _topography(history: _History, settings: WorldSettings) -> dict[str, Field]:
    """Return the four topographic bands; a slanted corner has no data."""
    dem = (history.surface * np.float32(settings.pixel_size / NOMINAL_PIXEL)).astype(np.float32)
    bands = {
        "north": northness(dem, settings.pixel_size),
        "south": southness(dem, settings.pixel_size),
        "curvature": curvature(dem, settings.pixel_size),
        "dem": dem,
    }
    row = np.linspace(0, 1, dem.shape[0])[:, np.newaxis]
    col = np.linspace(0, 1, dem.shape[1])[np.newaxis, :]
    outside = row + 0.5 * (1 - col) < 0.045
    # Values are rounded to these fractions of one: more digits have no meaning and compress badly.
    digits = {"dem": 16, "curvature": 1024}
    topo: dict[str, Field] = {}
    for name, band in bands.items():
        parts = np.float32(digits.get(name, 8192))
        rounded = np.round(band.astype(np.float32) * parts) / parts
        topo[name] = np.where(outside, TOPO_NODATA, rounded).astype(np.float32)
    return topo


def _outlined(history: _History, settings: WorldSettings) -> gpd.GeoDataFrame:
    dates = survey_dates(settings.seed, int(history.ids.max()), settings.years)
    nearest = (min(settings.years, key=lambda year: abs(year - int(date[:4]))) for date in dates)
    masks = tuple(history.ice[year] for year in nearest)
    heights = history.surface * np.float32(settings.pixel_size / NOMINAL_PIXEL)
    return draw_outlines(history.ids, masks, dates, heights, settings.lattice)
