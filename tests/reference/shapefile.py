"""Shapefiles written byte by byte, with rings in any order and winding: no library would write these."""

import struct
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import shapely

Ring = Sequence[tuple[float, float]]
_POLYGON = 5


def square_ring(x: float, y: float, size: float, *, clockwise: bool = True) -> Ring:
    """Return a closed ring; in a shapefile, glaciers wind clockwise and holes do not."""
    ring = [(x, y), (x, y + size), (x + size, y + size), (x + size, y), (x, y)]
    return ring if clockwise else ring[::-1]


def write_shapefile(path: Path, records: Sequence[Sequence[Ring]], crs: str, **columns: Sequence[object]) -> Path:
    """Write one record for each list of rings, as given; geopandas writes table and CRS."""
    stand_in = gpd.GeoDataFrame(columns, geometry=[shapely.box(0, 0, 1, 1)] * len(records), crs=crs)
    stand_in.to_file(path, engine="pyogrio")
    bodies = [_record(rings) for rings in records]
    content, index = b"", b""
    for number, body in enumerate(bodies, 1):
        length = len(body) // 2
        index += struct.pack(">2i", (100 + len(content)) // 2, length)
        content += struct.pack(">2i", number, length) + body
    bounds = _bounds([ring for rings in records for ring in rings])
    path.write_bytes(_header(len(content), bounds) + content)
    path.with_suffix(".shx").write_bytes(_header(len(index), bounds) + index)
    return path


def _record(rings: Sequence[Ring]) -> bytes:
    points = [point for ring in rings for point in ring]
    starts = [sum(len(ring) for ring in rings[:number]) for number in range(len(rings))]
    head = struct.pack("<i4d2i", _POLYGON, *_bounds(rings), len(rings), len(points))
    return head + struct.pack(f"<{len(rings)}i", *starts) + b"".join(struct.pack("<2d", *point) for point in points)


def _bounds(rings: Sequence[Ring]) -> tuple[float, float, float, float]:
    x, y = zip(*(point for ring in rings for point in ring), strict=True)
    return min(x), min(y), max(x), max(y)


def _header(size: int, bounds: tuple[float, float, float, float]) -> bytes:
    return struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + size) // 2) + struct.pack(
        "<2i8d", 1000, _POLYGON, *bounds, 0, 0, 0, 0
    )
