"""Glacier outlines made fit for use: valid, flat, one row an outline."""

from collections.abc import Iterable
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from shapely.errors import ShapelyError

from gcn_luigi.errors import InputError
from gcn_luigi.prepare.grid_import import few

_POLYGON, _COLLECTION = (3, 6), 7
# Smaller than any pixel in use: what is left of a line that was written as a polygon.
_SLIVER_M2 = 1.0


def mend_polygons(
    shapes: npt.NDArray[Any], names: Iterable[str], on_invalid: Literal["repair", "error"], where: str
) -> tuple[npt.NDArray[Any], list[str]]:
    """Return flat, valid polygons; None where nothing polygonal is left.

    Parameters
    ----------
    shapes : ndarray
        Axes (record,), shapely geometries or None; not modified.
    names : iterable of str
        What to call each record in messages.
    on_invalid : str
        ``"repair"``: rings that cross or touch themselves are rebuilt and only polygons kept; ``"error"``: stop.
    where : str
        The file, for messages.

    Returns
    -------
    ndarray, list of str
        Axes (record,); and a note on what was repaired.

    Raises
    ------
    InputError
        A polygon is broken and `on_invalid` is ``"error"``.
    """
    flat = shapely.force_2d(shapes)
    labels = np.array(list(names), dtype=object)
    is_broken = ~shapely.is_valid(flat) & ~shapely.is_missing(flat)
    notes = []
    if is_broken.any():
        why = shapely.is_valid_reason(flat[is_broken])
        told = few(f"{name} ({reason})" for name, reason in zip(labels[is_broken], why, strict=True))
        if on_invalid == "error":
            raise InputError(
                f"{int(is_broken.sum())} broken polygons: {told}",
                where=where,
                fix='mend them, or set outlines.on_invalid = "repair"',
            )
        try:
            flat[is_broken] = shapely.make_valid(flat[is_broken], method="structure", keep_collapsed=False)
        except ShapelyError as error:
            raise InputError(
                f"{int(is_broken.sum())} broken polygons, and not all can be repaired ({error}): {told}",
                where=where,
                fix="mend them, or leave them out of the file",
            ) from error
        notes = [f"{int(is_broken.sum())} broken polygons repaired: {told}"]
    return np.array([_polygonal(shape) for shape in flat], dtype=object), notes


def _polygonal(shape: Any) -> Any:
    """Return the polygons of a geometry, or None."""
    kind = shapely.get_type_id(shape)
    if kind == _COLLECTION:
        parts = shapely.get_parts(shape)
        shape = shapely.union_all(parts[np.isin(shapely.get_type_id(parts), _POLYGON)])
        kind = shapely.get_type_id(shape)
    return shape if kind in _POLYGON and not shapely.is_empty(shape) else None


def drop_unusable(table: gpd.GeoDataFrame, where: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Leave out records without a polygon and those without area.

    Parameters
    ----------
    table : GeoDataFrame
        outline and geometry, in a projected CRS in metres.
    where : str
        The file, for messages.

    Returns
    -------
    GeoDataFrame, list of str
        What is left, with area_m2 (float64); and a note for each kind left out.

    Raises
    ------
    InputError
        Nothing is left, or a polygon cannot be placed in the CRS.
    """
    shapes = table.geometry.to_numpy()
    is_missing = shapely.is_missing(shapes)
    lost = ~is_missing & ~np.isfinite(shapely.bounds(shapes).reshape(-1, 4)).all(axis=1)
    if lost.any():
        raise InputError(
            f"{int(lost.sum())} outlines lie beyond what the region's CRS can show: {few(table.loc[lost, 'outline'])}",
            where=where,
            fix="check the file's CRS, or leave these outlines out",
        )
    area = np.where(is_missing, 0.0, shapely.area(shapes))
    is_sliver = ~is_missing & (area < _SLIVER_M2)
    kinds = ((is_missing, "records without a polygon"), (is_sliver, "records without area"))
    notes = [
        f"{int(found.sum())} {kind} skipped: {few(table.loc[found, 'outline'])}" for found, kind in kinds if found.any()
    ]
    keep = ~is_missing & ~is_sliver
    if not keep.any():
        raise InputError("no outline with an area", where=where, fix="give a file of polygons")
    return table.assign(area_m2=area)[keep].reset_index(drop=True), notes
