"""Whatever the polygon, its edges in another CRS lie where they were."""

import itertools

import numpy as np
import pyproj
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.prepare.outlines.reproject import reproject

DEGREES = "EPSG:4326"
corners = st.lists(st.tuples(st.floats(-179, -110), st.floats(50, 80)), min_size=3, max_size=6)


def points_along(polygon, n):
    """Return places on each edge, axes (point, xy)."""
    rings = [np.array(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
    shares = np.linspace(0, 1, n)[:, None]
    return np.vstack([a + shares * (b - a) for ring in rings for a, b in itertools.pairwise(ring)])


@settings(max_examples=40, deadline=None)
@given(
    corners,
    st.lists(corners, max_size=2),
    st.sampled_from(["EPSG:3338", "EPSG:32606", "EPSG:3413", "EPSG:3395"]),
    st.sampled_from([3.0, 300.0]),
)
def test_any_polygon_is_laid_within_the_tolerance(outer, holes, target, tolerance):
    polygon = shapely.Polygon(outer, holes)

    found = reproject(np.array([polygon], dtype=object), DEGREES, target, tolerance, "file")[0]

    placed = pyproj.Transformer.from_crs(DEGREES, target, always_xy=True).transform
    dense = np.column_stack(placed(*points_along(polygon, 97).T))
    assert shapely.distance(shapely.points(dense), shapely.boundary(found)).max() <= tolerance
    given_corners = np.column_stack(placed(*shapely.get_coordinates(polygon).T))
    assert {*map(tuple, given_corners)} <= {*map(tuple, shapely.get_coordinates(found))}
