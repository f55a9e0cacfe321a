"""Invented outlines: one smooth polygon per glacier, with the date of the image that it was drawn from."""

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from rasterio import features
from rasterio.transform import Affine
from scipy import ndimage

from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.layers.terrain import aspect, slope
from gcn_luigi.synthetic.glaciers import Ids
from gcn_luigi.synthetic.noise import Field, generator
from gcn_luigi.synthetic.terrain import Mask

_NAMES = ("Lantern", "Heron", "Quartz", "Threefork", "Marten", "Ptarmigan", "Slate", "Windfall", "Cinder", "Larkspur")
# Pixels; smaller remnants are snow, not glacier.
_SMALLEST = 40
_MARGIN = 4


def survey_dates(seed: int, count: int, years: tuple[int, ...]) -> tuple[str, ...]:
    """Return when each of `count` glaciers was outlined, YYYYMMDD: within a year of a composite.

    Some dates are only partly known: 99 or 9999 replaces the unknown part.
    """
    rng = generator(seed, "surveys")
    drawn = rng.choice(years[: max(len(years) - 1, 1)], count) + rng.integers(-1, 2, count)
    months, days = rng.integers(7, 10, count), rng.integers(1, 29, count)
    return tuple(
        f"{year}" + {1: f"{month:02d}99", 3: "9999"}.get(number % 5, f"{month:02d}{day:02d}")
        for number, (year, month, day) in enumerate(zip(drawn.tolist(), months, days, strict=True))
    )


def draw_outlines(
    ids: Ids, masks: tuple[Mask, ...], dates: tuple[str, ...], ground: Field, lattice: Lattice
) -> gpd.GeoDataFrame:
    """Draw each glacier at the time of its survey: one row per glacier, columns as in RGI 6.0, areas in km2.

    `masks` holds, for each glacier of `ids`, all ice of the composite nearest to its survey; `ground` is the surface in
    metres. Raises ConfigError if no glacier is large enough for an outline.
    """
    steepness, facing = slope(ground, lattice.pixel_size), aspect(ground, lattice.pixel_size)
    rows: list[dict[str, Any]] = []
    for number, found in enumerate(ndimage.find_objects(ids), start=1):
        window = tuple(slice(max(part.start - _MARGIN, 0), part.stop + _MARGIN) for part in found)
        own = (ids[window] == number) & masks[number - 1][window]
        origin = Window(window[0].start, window[1].start, *own.shape)
        outline = _outline(own, lattice.crop(origin))
        if outline.area < _SMALLEST * lattice.pixel_size**2:
            continue
        heights, tilt, faces = (layer[window][own] for layer in (ground, steepness, facing))
        row = _attributes(len(rows) + 1, dates[number - 1], heights)
        shore = ndimage.binary_dilation(own, iterations=_MARGIN)
        row |= {
            "TermType": int(ground[window][shore].min() < 0), "Area": round(outline.area / 1e6, 3),
            "Lmax": round(_length(outline)), "Slope": round(float(np.degrees(tilt.mean())), 1),
            "Aspect": _mean_direction(faces), "geometry": outline,
        }  # fmt: skip
        rows.append(row)
    if not rows:
        raise ConfigError(
            "the made-up world has no glacier", where="shape, seed", fix="make it larger or change the seed"
        )
    frame = gpd.GeoDataFrame(rows, geometry="geometry", crs=lattice.crs)
    centres = frame.geometry.representative_point().to_crs("EPSG:4326")
    frame["CenLon"], frame["CenLat"] = centres.x.round(4), centres.y.round(4)
    return frame


def as_rgi7(outlines: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the same glaciers with the column names and dates of RGI 7.0."""
    unknown = outlines["BgnDate"].str[4:]
    day = unknown.where(~unknown.str.endswith("99"), unknown.str[:2].replace("99", "07") + "01")
    return gpd.GeoDataFrame(
        {
            "rgi_id": [f"RGI2000-v7.0-G-01-9{number:04d}" for number in range(1, len(outlines) + 1)],
            "src_date": outlines["BgnDate"].str[:4] + "-" + day.str[:2] + "-" + day.str[2:] + "T00:00:00",
            "glac_name": outlines["Name"],
            "area_km2": outlines["Area"],
        },
        geometry=outlines.geometry,
        crs=outlines.crs,
    )


def _outline(mask: Mask, lattice: Lattice) -> shapely.Geometry:
    soft = ndimage.gaussian_filter(np.pad(mask, 2).astype(np.float32), 1.0, mode="constant") > 0.5
    transform = Affine(*lattice.crop(Window(-2, -2, *soft.shape)).transform)
    drawn = features.shapes(soft.astype(np.uint8), mask=soft, transform=transform)
    parts = [shapely.geometry.shape(part) for part, _ in drawn]
    if not parts:
        return shapely.Polygon()
    # Rocks and pieces of ice smaller than a few pixels are not drawn.
    least = _SMALLEST / 3 * lattice.pixel_size**2
    rounded = [_rounded(part.simplify(0.8 * lattice.pixel_size), least) for part in parts if part.area >= least]
    return shapely.make_valid(shapely.union_all(rounded))


def _rounded(polygon: shapely.Polygon, least: float) -> shapely.Polygon:
    holes = [_chaikin(ring) for ring in polygon.interiors if shapely.Polygon(ring).area >= least]
    return shapely.make_valid(shapely.Polygon(_chaikin(polygon.exterior), holes))


def _chaikin(ring: shapely.LinearRing, rounds: int = 2) -> npt.NDArray[np.float64]:
    """Cut the corners of a ring (Chaikin 1974, Computer Graphics and Image Processing 3, 346-349)."""
    points = shapely.get_coordinates(ring)[:-1]
    for _ in range(rounds):
        ahead = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * ahead, 0.25 * points + 0.75 * ahead], axis=1).reshape(-1, 2)
    # Centimetres; more digits would only make the files larger.
    rounded: npt.NDArray[np.float64] = np.round(points, 2)
    return rounded


def _attributes(number: int, date: str, heights: Field) -> dict[str, Any]:
    name = f"{_NAMES[(number - 1) % len(_NAMES)]} Glacier" if number <= len(_NAMES) else None
    lowest, highest, middle = (round(float(value)) for value in (heights.min(), heights.max(), np.median(heights)))
    return {
        "RGIId": f"RGI60-01.9{number:04d}", "GLIMSId": f"MADE-UP-{number:04d}", "BgnDate": date,
        "EndDate": "-9999999", "O1Region": "1", "O2Region": "4", "Zmin": lowest, "Zmax": highest, "Zmed": middle,
        "Status": 0, "Connect": 0, "Form": 0, "TermType": 0, "Surging": 9, "Linkages": 9, "Name": name,
    }  # fmt: skip


def _length(outline: shapely.Geometry) -> float:
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(outline))
    return float(np.hypot(*np.diff(corners, axis=0).T).max())


def _mean_direction(facing: Field) -> int:
    angles = facing[np.isfinite(facing)]
    mean = np.arctan2(np.sin(angles).sum(), np.cos(angles).sum())
    return round(float(np.degrees(mean))) % 360
