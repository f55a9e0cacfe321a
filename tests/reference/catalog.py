"""Made-up catalogs, and slow measurements of how far their splits are apart."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

PIXEL_M = 30.0


def make_catalog(windows, *, glacier=None, debris=None, split=None):
    windows = np.asarray(windows, dtype=np.int64).reshape(-1, 4)
    n = len(windows)
    row, col, height, width = windows.T
    frame = pd.DataFrame({"partition": [f"p{i:04d}" for i in range(n)]}).astype("str")
    frame = frame.assign(row=row, col=col, height=height, width=width)
    frame["left"], frame["right"] = col * PIXEL_M, (col + width) * PIXEL_M
    frame["top"], frame["bottom"] = -row * PIXEL_M, -(row + height) * PIXEL_M
    frame["glacier_share"] = np.full(n, 0.5) if glacier is None else glacier
    frame["share_debris"] = np.zeros(n) if debris is None else debris
    frame["split"] = pd.array([""] * n if split is None else list(split), dtype="str")
    frame["block"] = pd.array([""] * n, dtype="str")
    frame["used"] = True
    frame["reason"] = pd.array([""] * n, dtype="str")
    boxes = shapely.box(*frame[["left", "bottom", "right", "top"]].to_numpy().T)
    return gpd.GeoDataFrame(frame, geometry=boxes, crs="EPSG:3338")


def square(rows, cols, size=256):
    return [(r * size, c * size, size, size) for r in range(rows) for c in range(cols)]


def join(members):
    rows = [(cell, outline, 1e6) for outline, cells in members.items() for cell in cells]
    return pd.DataFrame(rows, columns=["cell", "outline", "area_m2"]).astype({"cell": "str", "outline": "str"})


def pixels(catalog, split):
    found = set()
    for part in catalog[catalog["split"] == split].itertuples():
        found.update(itertools.product(range(part.row, part.row + part.height), range(part.col, part.col + part.width)))
    return found


def least_gap(catalog, one="train", other="dev"):
    """Return the least number of pixels between two splits, along rows and columns alike; -1 where they overlap."""
    gaps = []
    train, dev = (catalog[catalog["split"] == name] for name in (one, other))
    for a, b in itertools.product(train.itertuples(), dev.itertuples()):
        down = max(a.row - b.row - b.height, b.row - a.row - a.height)
        across = max(a.col - b.col - b.width, b.col - a.col - a.width)
        gaps.append(max(down, across))
    return min(gaps, default=None)
