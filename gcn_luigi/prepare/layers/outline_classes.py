"""The label from outlines alone: ice, or a class for each polygon, and debris on the ice."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.errors import InputError, few
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.layers.labels import rasterize_outlines

_OUTSIDE = -1
# The largest number of values listed in a message.
_MOST_SHOWN = 10


def classes_of_values(
    values: Sequence[str], classes: Mapping[str, str], table: ClassTable, column: str, where: str
) -> NDArray[np.int16]:
    """Return the stored class of each polygon, int16 (polygon,), from its value in the column of classes.

    `classes` is the map of the settings, from values as text to names of `table` or ``"ignore"``. If it is empty, the
    values are such names. Raise InputError if a value has no class; the message counts the polygons.
    """
    known = dict(classes) or {name: name for name in table.value_of}
    if unknown := {value: count for value, count in Counter(values).items() if value not in known}:
        listed = few((f"{value or 'nothing'} ({unknown[value]} polygons)" for value in sorted(unknown)), _MOST_SHOWN)
        pairs = ", ".join(f'"{value}" = "{classes.get(value, "...")}"' for value in sorted({*classes, *unknown}))
        raise InputError(
            f"the column {column!r} has values without a class: {listed}",
            where=where,
            fix=f"give each value a class ({', '.join(table.value_of)}): [label] classes = {{ {pairs} }}",
        )
    return np.array([table.value_of[known[value]] for value in values], np.int16)


class ClassPolygons:
    """Polygons with a class each, which may overlap: a pixel gets the class of the smallest polygon around its centre.

    A smaller polygon within a larger one says more about its ground: a lake on a glacier, a nunatak, a patch of debris.

    Parameters
    ----------
    shapes : ndarray
        Axis (polygon,): valid polygons in the CRS of the lattice.
    classes : ndarray
        Axis (polygon,), int16: the stored class of each.
    """

    def __init__(self, shapes: NDArray[Any], classes: NDArray[np.int16]) -> None:
        """Sort the polygons, the largest first; of two with equal areas, the one with the higher class comes later."""
        order = np.lexsort((classes, -shapely.area(shapes)))
        self._shapes, self._classes = shapes[order], classes[order]
        self._bounds = shapely.bounds(self._shapes).reshape(-1, 4)
        self.n_contested = 0

    def burn(self, lattice: Lattice) -> NDArray[np.int16]:
        """Return the class of each pixel, int16 (y, x); -1 outside every polygon.

        Pixels that polygons of several classes contain are added to `n_contested`.
        """
        left, bottom, right, top = lattice.bounds
        bounds = self._bounds
        near = (bounds[:, 0] < right) & (bounds[:, 2] > left) & (bounds[:, 1] < top) & (bounds[:, 3] > bottom)
        if not near.any():
            return np.full(lattice.shape, _OUTSIDE, np.int16)
        shapes, classes = self._shapes[near], self._classes[near]
        covers = np.zeros(lattice.shape, np.uint8)
        found = np.unique(classes)
        for value in found if len(found) > 1 else ():
            covers += rasterize_outlines(shapes[classes == value], lattice)
        self.n_contested += int(np.count_nonzero(covers > 1))
        burnt: NDArray[np.int16] = rasterize(
            zip(shapes, classes.tolist(), strict=True),
            out_shape=lattice.shape,
            transform=Affine(*lattice.transform),
            fill=_OUTSIDE,
            dtype="int16",
        )
        return burnt


def label_of_outlines(
    classes: NDArray[np.int16],
    debris: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    debris_outside: Literal["none", "ignore", "debris"],
    table: ClassTable = DEFAULT_CLASSES,
) -> NDArray[np.uint8]:
    """Return the class of each pixel from the polygons around it, and from a map of debris.

    Parameters
    ----------
    classes : ndarray
        Axes (y, x), int16: the class of the polygon around the centre of the pixel, -1 outside every polygon.
    debris : ndarray
        Axes (y, x), bool: True where there is debris.
    unknown : ndarray
        Axes (y, x), bool: True beyond the map of debris. There, ice may be debris, so it becomes 255.
    debris_outside : str
        Class of debris outside every polygon.
    table : ClassTable
        The classes of the label. There is a class none, and ice and debris if there is a map of debris.

    Returns
    -------
    ndarray
        Axes (y, x), uint8: debris replaces ice and no other class; none outside every polygon.
    """
    outside, value_of = classes == _OUTSIDE, table.value_of
    label = np.where(outside, value_of["none"], classes).astype(np.uint8)
    if not debris.any() and not unknown.any():
        return label
    is_ice = ~outside & (classes == value_of["ice"])
    label[is_ice & unknown] = value_of["ignore"]
    label[is_ice & debris] = value_of["debris"]
    label[outside & debris] = value_of[debris_outside]
    return label
