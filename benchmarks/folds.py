"""Time the split and the folds of a made-up Alaska: `python -m benchmarks.folds [--partitions 5000] [--folds 5]`.

The catalog has glaciers of very different sizes, up to some dozen partitions across, in bands like mountain ranges. It
is split into train, dev and test, and into folds. Each pair of splits and each fold is measured. Nothing is written.
"""

import argparse
import time
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gcn_luigi.prepare.split.folds import FoldRequest, assign_folds, audit_folds
from gcn_luigi.prepare.split.leakage import audit_split
from gcn_luigi.prepare.split.split import assign_split
from gcn_luigi.settings import SplitSettings

_EDGE_PX, _PIXEL_M = 256, 30.0


def make_alaska(n_partitions: int, seed: int = 8) -> tuple[gpd.GeoDataFrame, pd.DataFrame]:
    """Return a catalog of partitions with glacier, and which outline lies in which of them."""
    rng = np.random.default_rng(seed)
    width = int(np.ceil(np.sqrt(n_partitions * 4)))
    y, x = (axis.ravel() for axis in np.mgrid[0:width, 0:width])
    # Ranges are bands: high where a wave is high; the least mountainous cells have no glacier.
    height = np.sin(x / width * 9.0 + 2.0 * np.sin(y / width * 4.0)) + 0.5 * np.sin(y / width * 11.0)
    height += rng.normal(0.0, 0.15, len(height))
    order = np.argsort(-height)[:n_partitions]
    rows, cols, share = y[order], x[order], np.clip((height[order] - height[order].min()) / 2.5, 0.02, 0.95)
    n = len(order)
    frame = pd.DataFrame({"partition": [f"r{r:04d}_c{c:04d}" for r, c in zip(rows, cols, strict=True)]})
    frame = frame.assign(row=rows * _EDGE_PX, col=cols * _EDGE_PX, height=_EDGE_PX, width=_EDGE_PX)
    frame["left"], frame["right"] = frame["col"] * _PIXEL_M, (frame["col"] + _EDGE_PX) * _PIXEL_M
    frame["top"], frame["bottom"] = -frame["row"] * _PIXEL_M, -(frame["row"] + _EDGE_PX) * _PIXEL_M
    frame["glacier_share"], frame["share_debris"] = share, share * rng.beta(1.0, 8.0, n)
    frame = frame.assign(split="", block="", used=True, reason="")
    boxes = shapely.box(*frame[["left", "bottom", "right", "top"]].to_numpy().T)
    catalog = gpd.GeoDataFrame(frame, geometry=boxes, crs="EPSG:3338")
    # Glaciers: discs whose areas follow a power law, four for each partition on average.
    at = rng.integers(0, n, 4 * n)
    radius = 0.15 * rng.pareto(1.6, len(at)).clip(0.05, 60.0)
    centres = shapely.points(cols[at] + rng.random(len(at)), rows[at] + rng.random(len(at)))
    cells = shapely.box(cols, rows, cols + 1, rows + 1)
    which, cell = shapely.STRtree(cells).query(shapely.buffer(centres, radius), predicate="intersects")
    joined = pd.DataFrame(
        {
            "cell": frame["partition"].to_numpy()[cell],
            "outline": [f"G{glacier:06d}" for glacier in which],
            "area_m2": np.minimum(np.pi * radius[which] ** 2, 1.0) * (_EDGE_PX * _PIXEL_M) ** 2,
        }
    )
    return catalog, joined


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Split, assign folds and measure; print what was found and return it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=5000)
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args(arguments)
    catalog, joined = make_alaska(given.partitions)
    splits = ("train", "dev", "test")
    settings = SplitSettings(dev_share=0.15, test_share=0.15, folds=given.folds)
    began = time.perf_counter()
    catalog, notes = assign_split(catalog, joined, settings, splits=splits)
    split_s = time.perf_counter() - began
    began = time.perf_counter()
    plan = assign_folds(catalog, joined, FoldRequest(given.folds, settings.buffer_partitions * _EDGE_PX))
    folds_s = time.perf_counter() - began
    began = time.perf_counter()
    audit = audit_split(catalog, joined, splits=splits)
    folds = audit_folds(catalog, joined, plan.table)
    print(f"{given.partitions:,} partitions, {joined['outline'].nunique():,} glaciers")
    print(
        f"split {split_s:.1f} s, {given.folds} folds {folds_s:.1f} s, measured in {time.perf_counter() - began:.1f} s"
    )
    print({key: audit[key] for key in ("n_train", "n_dev", "n_test", "n_unused", "glacier_share_mean")})
    for pair in audit["pairs"]:
        print({**pair, "shared_glaciers": len(pair["shared_glaciers"])})
    for fold in folds:
        print({**fold, "shared_glaciers": len(fold["shared_glaciers"])})
    print(*(note[:200] for note in (*notes, *plan.notes)), sep="\n")
    return {"split_s": split_s, "folds_s": folds_s, "audit": audit, "folds": folds}


if __name__ == "__main__":
    main()
