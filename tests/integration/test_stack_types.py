"""Sources of every type, in stacks of both types: each chip is what rasterio reads from the originals."""

import json
import re
import shutil

import numpy as np
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset

YEARS = (2004, 2008)
MISSING = {"optical": -32768, "topo": -9999}
# By type of the source: scale and offset of the optical band and of the topo band, and the nodata tag.
SOURCES = {
    "uint8": ((10.0, -1000.0), (20.0, 0.0), 255),
    "uint16": ((1.0, -2000.0), (0.5, 3.0), 65535),
    "int16": ((1.0, 0.0), (1.0, 0.0), -32768),
    "int32": ((0.01, 0.0), (0.01, 0.0), -99999),
    "float32": ((1000.0, 0.25), (1.0, 0.0), np.nan),
    "float64": ((1000.0, 0.0), (1.0, 0.125), None),
}


@pytest.fixture(scope="module")
def layers(tiny_output):
    """Return the tiny region's pixels by band and year, and the profile of a raster on its lattice."""
    root = gcn_luigi.open_dataset(tiny_output / "tiny").paths.root
    found = {}
    for name, key in {
        "optical_ndsi_2004": ("ndsi", 2004),
        "optical_ndsi_2008": ("ndsi", 2008),
        "topo_dem_source": ("dem", None),
    }.items():
        with rasterio.open(root / f"mosaics/{name}.vrt") as source:
            found[key], profile = source.read(1).astype(np.float64), source.profile
    return found, {key: profile[key] for key in ("crs", "transform", "height", "width")}


class Typed:
    """A copy of the tiny region whose optical and topo bands are single rasters of any type."""

    def __init__(self, root, tiny, layers):
        self.root, (self.layers, self.profile) = root, layers
        shutil.copytree(tiny.sources, root / "input", ignore=shutil.ignore_patterns("optical", "topo"))
        shutil.copytree(tiny.config, root / "config")
        self.config = root / "config/tiny.toml"
        # In order of the stack: role, file by year, scale, offset and nodata values of the source.
        self.bands = {}

    def write(self, name, plane, **profile):
        target = self.root / f"input/typed/{name}.tif"
        target.parent.mkdir(exist_ok=True)
        with rasterio.open(
            target, "w", **{**self.profile, "driver": "GTiff", "count": 1, "dtype": plane.dtype, **profile}
        ) as out:
            out.write(plane, 1)
        return target

    def of_type(self, dtype):
        """Write both bands in one type, with the values that their scale and offset turn into those of the region."""
        (optical, topo, nodata), random = SOURCES[dtype], np.random.default_rng(7)
        tables = []
        for band, (scale, offset), role in (("ndsi", optical, "optical"), ("dem", topo, "topo")):
            for year in YEARS if role == "optical" else (None,):
                plane = self.layers[band, year]
                values = (plane - offset) / scale
                if dtype.startswith("float"):
                    values += random.uniform(0, 1e-3, values.shape)
                else:
                    limits = np.iinfo(dtype)
                    values = np.clip(np.rint(values), max(limits.min + 1, -90000), limits.max - 1)
                is_missing = (plane == MISSING[role]) | (random.random(plane.shape) < 0.01)
                values[is_missing] = np.nan if nodata is None else nodata
                self.write(f"{band}_{year}", values.astype(dtype), nodata=nodata)
            path = "typed/{name}_{year}.tif" if role == "optical" else "typed/dem_None.tif"
            keys = {"name": band, "role": role, "path": path, "scale": scale, "offset": offset}
            tables.append(keys | ({"convert": True} if role == "optical" else {}))
        self.bands = {table["name"]: (table["role"], (table["scale"], table["offset"]), nodata) for table in tables}
        return tables

    def build(self, tables, *sections):
        head = re.sub(r"(?ms)^\[\[bands\]\].*?(?=^\[|\Z)", "", self.config.read_text())
        lines = [
            "[[bands]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in one.items()) for one in tables
        ]
        self.config.write_text("\n".join([head, *sections, *lines]))
        build_inline(dataset("tiny", self.root / "out", self.root / "input", self.root / "config"))
        assert list(validate(self.root / "out/tiny", deep=True)) == []
        return gcn_luigi.open_dataset(self.root / "out/tiny")

    def original(self, band, year, box, size):
        """Return a chip read from the original file: scaled in double precision, and which pixels are missing."""
        role, (scale, offset), nodata = self.bands[band]
        with rasterio.open(self.root / f"input/typed/{band}_{year if role == 'optical' else None}.tif") as file:
            window = rasterio.windows.from_bounds(*box, transform=file.transform)
            col, row = round(window.col_off), round(window.row_off)
            whole = file.read(1)
        values = np.full((size, size), np.nan)
        seen = whole[max(row, 0) : row + size, max(col, 0) : col + size]
        kept = np.where(seen == nodata, np.nan, seen.astype(np.float64))
        values[max(-row, 0) :, max(-col, 0) :][: seen.shape[0], : seen.shape[1]] = kept
        return values * scale + offset, ~np.isfinite(values)


@pytest.fixture
def typed(tiny, layers, tmp_path):
    return Typed(tmp_path, tiny, layers)


def _chips_are_the_originals(typed, made, dtype, fill=0):
    """Compare every chip with the originals, and return all valid pixels of train by band."""
    valid = {"ndsi": [], "dem": []}
    for split in ("train", "dev"):
        rows = made.chip_table[made.chip_table["split"] == split]
        for chip, row in zip(made.chips(split), rows.itertuples(), strict=True):
            assert chip["image"].dtype == dtype
            for number, (band, bit) in enumerate((("ndsi", 1), ("dem", 2))):
                box = row.left, row.bottom, row.right, row.top
                exact, missing = typed.original(band, row.year, box, chip["label"].shape[0])
                rounded = exact.astype(np.float32) if dtype == "float32" else np.rint(np.where(missing, 0, exact))
                np.testing.assert_array_equal((chip["flags"] & bit) > 0, missing)
                np.testing.assert_array_equal(chip["image"][number], np.where(missing, fill, rounded))
                if split == "train":
                    valid[band].append(rounded[~missing])
    return {band: np.concatenate(parts) for band, parts in valid.items()}


@pytest.mark.parametrize("stack", ["int16", "float32"])
@pytest.mark.parametrize("dtype", list(SOURCES))
def test_a_source_of_any_type_gives_its_own_pixels(typed, dtype, stack):
    made = typed.build(typed.of_type(dtype), f'[stack]\ndtype = "{stack}"')

    samples = _chips_are_the_originals(typed, made, stack)
    for band, values in samples.items():
        sampled = made.statistics["as_sampled"]["bands"][band]
        assert sampled["count"] == values.size
        assert sampled["mean"] == pytest.approx(values.mean(dtype=np.float64), rel=1e-12)
        assert sampled["std"] == pytest.approx(values.std(dtype=np.float64), rel=1e-9)
        assert (sampled["min"], sampled["max"]) == (values.min(), values.max())
        for name, percent in (("p1", 1), ("p99", 99)):
            assert sampled[name] == pytest.approx(np.percentile(values, percent, method="inverted_cdf"), rel=1 / 128)
