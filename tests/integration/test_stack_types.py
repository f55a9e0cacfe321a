"""Sources of every type, in stacks of both types: each chip is what rasterio reads from the originals."""

import json
import re
import shutil

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.enums import ColorInterp

import gcn_luigi
from gcn_luigi.cli import cli
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.read.validate import validate
from gcn_luigi.stages.dataset.warnings import dataset_warnings
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
# Narrow, wide and floats, each to one type of stack; all pairs take half a minute.
FEW = {("uint8", "float32"), ("int32", "int16"), ("float64", "int16")}


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
        # Role, scale and offset, and nodata value of each band; the number of each year; and pixels hidden by masks.
        self.bands, self.numbers, self.hidden = {}, {}, {}

    def write(self, name, *planes, mask=None, alpha=None, **profile):
        """Write a file of several bands; `mask` and `alpha` are False and 0 where a pixel is missing."""
        target = self.root / f"input/typed/{name}.tif"
        target.parent.mkdir(exist_ok=True)
        given = [*planes, *([] if alpha is None else [alpha])]
        kept = {**self.profile, "driver": "GTiff", "count": len(given), "dtype": given[0].dtype, **profile}
        with rasterio.open(target, "w", **kept) as out:
            out.colorinterp = [ColorInterp.undefined] * len(planes) + [ColorInterp.alpha] * (alpha is not None)
            out.write(np.stack(given))
            if mask is not None:
                out.write_mask(mask)
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

    def configure(self, tables, *sections):
        head = re.sub(r"(?ms)^\[\[bands\]\].*?(?=^\[|\Z)", "", self.config.read_text())
        lines = [
            "[[bands]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in one.items()) for one in tables
        ]
        self.config.write_text("\n".join([head, *sections, *lines]))

    def build(self, tables, *sections):
        self.configure(tables, *sections)
        build_inline(dataset("tiny", self.root / "out", self.root / "input", self.root / "config"))
        assert list(validate(self.root / "out/tiny", deep=True)) == []
        return gcn_luigi.open_dataset(self.root / "out/tiny")

    def original(self, band, year, box, size):
        """Return a chip read from the original file: scaled in double precision, and which pixels are missing."""
        role, scaling, nodata = self.bands[band]
        year = year if role == "optical" else None
        name = band if self.numbers else f"{band}_{year}"
        with rasterio.open(self.root / f"input/typed/{name}.tif") as file:
            window = rasterio.windows.from_bounds(*box, transform=file.transform)
            col, row = round(window.col_off), round(window.row_off)
            whole = file.read(self.numbers.get(year, 1))
        missing = (whole == nodata) | self.hidden.get((band, year), np.zeros(whole.shape, bool))
        whole = np.where(missing, np.nan, whole.astype(np.float64))
        values = np.full((size, size), np.nan)
        kept = whole[max(row, 0) : row + size, max(col, 0) : col + size]
        values[max(-row, 0) :, max(-col, 0) :][: kept.shape[0], : kept.shape[1]] = kept
        exact = values
        for scale, offset in zip(scaling[::2], scaling[1::2], strict=True):
            exact = exact * scale + offset
        return exact, ~np.isfinite(values)


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


@pytest.mark.parametrize(
    ("dtype", "stack"),
    [
        pytest.param(dtype, stack, marks=() if (dtype, stack) in FEW else pytest.mark.long)
        for dtype in SOURCES
        for stack in ("int16", "float32")
    ],
)
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


def _hidden(shape, seed):
    """Return a hole, and single pixels, that a mask hides."""
    hidden = np.random.default_rng(seed).random(shape) < 0.05
    hidden[40:90, 100:170] = True
    return hidden


@pytest.mark.parametrize(
    ("stack", "how"),
    [
        ("int16", "inside"),
        ("float32", "alpha"),
        pytest.param("int16", "alpha", marks=pytest.mark.long),
        pytest.param("int16", "beside", marks=pytest.mark.long),
    ],
)
def test_pixels_that_an_alpha_band_or_a_mask_hides_are_missing(typed, stack, how):
    # What the file holds below its mask must not count, nor hide a nodata value that the mask shows.
    planes = {("ndsi", year): typed.layers["ndsi", year] for year in YEARS} | {("dem", None): typed.layers["dem", None]}
    for key, plane in planes.items():
        typed.hidden[key] = _hidden(plane.shape, 5)
    below = {key: np.where(typed.hidden[key], 0, plane).astype(np.int16) for key, plane in planes.items()}
    shown = ~typed.hidden["dem", None]
    alpha = np.where(shown, 255, 0).astype(np.int16)
    profile = {"alpha": alpha} if how == "alpha" else {"mask": shown}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=how == "inside"):
        typed.write("ndsi", *(below["ndsi", year] for year in YEARS), nodata=-32768, **profile)
        typed.write("dem", below["dem", None], nodata=-9999, **profile)
    typed.numbers = {2004: 1, 2008: 2}
    typed.bands = {"ndsi": ("optical", (1.0, 0.0), -32768), "dem": ("topo", (1.0, 0.0), -9999)}
    tables = [
        {"name": "ndsi", "role": "optical", "path": "typed/ndsi.tif"},
        {"name": "dem", "role": "topo", "path": "typed/dem.tif"},
    ]
    if stack == "int16":
        with pytest.raises(GcnLuigiError, match="hides pixels by a mask or an alpha band") as refused:
            typed.build(tables)
        assert "convert = true" in refused.value.fix
        tables[0]["convert"] = True

    made = typed.build(tables, f'[stack]\ndtype = "{stack}"')

    assert (typed.root / "input/typed/dem.tif.msk").exists() is (how == "beside")
    samples = _chips_are_the_originals(typed, made, stack)
    assert min(values.size for values in samples.values()) > 0
    quality = json.loads(made.paths.tile_quality("dem").read_text())["totals"]
    lost = typed.hidden["dem", None] | (planes["dem", None] == -9999)
    assert quality["missing"] == lost.sum()


@pytest.mark.parametrize("stack", ["int16", pytest.param("float32", marks=pytest.mark.long)])
def test_scale_and_offset_tags_are_applied_on_request(typed, stack):
    for key, plane in typed.layers.items():
        whole = np.where(plane < -9000, 65535, plane + 3000).astype(np.uint16)
        target = typed.write(f"{key[0]}_{key[1]}", whole, nodata=65535)
        with rasterio.open(target, "r+") as file:
            file.scales, file.offsets = (0.0001,), (-0.3,)
    typed.bands = {
        "ndsi": ("optical", (0.0001, -0.3, 10000.0, 0.5), 65535),
        "dem": ("topo", (0.0001, -0.3, 100.0, 0.0), 65535),
    }
    tables = [
        {"name": "ndsi", "role": "optical", "path": "typed/{name}_{year}.tif", "scale": 10000.0, "offset": 0.5},
        {"name": "dem", "role": "topo", "path": "typed/dem_None.tif", "scale": 100.0},
    ]

    with pytest.raises(GcnLuigiError, match="carries a scale or offset tag") as refused:
        typed.build(tables, f'[stack]\ndtype = "{stack}"')
    assert "use_tags = true" in refused.value.fix
    made = typed.build([table | {"use_tags": True} for table in tables])

    _chips_are_the_originals(typed, made, stack)


def test_files_with_unlike_tags_are_refused(typed):
    for number, (key, plane) in enumerate(typed.layers.items()):
        target = typed.write(f"{key[0]}_{key[1]}", plane.astype(np.int16), nodata=-9999)
        with rasterio.open(target, "r+") as file:
            file.scales = (0.5 + number,)
    keys = {"path": "typed/{name}_{year}.tif", "use_tags": True}

    with pytest.raises(GcnLuigiError, match="but most files of the band with") as refused:
        typed.build(
            [
                {"name": "ndsi", "role": "optical", **keys},
                {"name": "dem", "role": "topo", "path": "typed/dem_None.tif", "use_tags": True},
            ]
        )
    assert "ndsi_2008.tif" in str(refused.value)


@pytest.mark.parametrize("stack", ["float32", pytest.param("int16", marks=pytest.mark.long)])
@pytest.mark.long
def test_infinite_pixels_are_missing_and_counted(typed, stack):
    tables = typed.of_type("float32")
    for year, value in zip(YEARS, (np.inf, -np.inf), strict=True):
        with rasterio.open(typed.root / f"input/typed/ndsi_{year}.tif", "r+") as file:
            values = file.read(1)
            values[60:64, 70:80] = value
            file.write(values, 1)

    made = typed.build(tables, f'[stack]\ndtype = "{stack}"')

    _chips_are_the_originals(typed, made, stack)
    assert json.loads(made.paths.tile_quality("ndsi").read_text())["infinite"] == 80
    assert "infinite" not in json.loads(made.paths.tile_quality("dem").read_text())


@pytest.mark.parametrize(
    ("stack", "policy"),
    [("int16", "saturate"), ("float32", "nodata"), pytest.param("int16", "nodata", marks=pytest.mark.long)],
)
def test_values_that_do_not_fit_are_counted_and_told(typed, stack, policy):
    tables, (low, high) = typed.of_type("float64"), (-40000, 40000) if stack == "int16" else (-1e300, 1e300)
    for year in YEARS:
        with rasterio.open(typed.root / f"input/typed/ndsi_{year}.tif", "r+") as file:
            values = file.read(1)
            values[50:55, 20:300:2] = high
            values[60:65, 20:300:2] = low
            file.write(values, 1)
    lost = np.isin(values, (low, high)).sum()
    if policy == "nodata":
        for year in YEARS:
            typed.hidden["ndsi", year] = np.isin(values, (low, high))

    made = typed.build(tables, f'[stack]\ndtype = "{stack}"', f'[convert]\noverflow = "{policy}"')

    assert json.loads(made.paths.tile_quality("ndsi").read_text())["lost"] == 2 * lost
    assert "lost" not in json.loads(made.paths.tile_quality("dem").read_text())
    settings = dataset("tiny", typed.root / "out", typed.root / "input", typed.root / "config").configured.settings
    (told,) = [line for line in dataset_warnings(settings, made.paths) if "do not fit" in line]
    assert f"{2 * lost:,} pixels" in told
    if policy == "nodata":
        _chips_are_the_originals(typed, made, stack)
    else:
        assert made.statistics["bands"]["ndsi"]["max"] == 32767
        # The smallest int16 is the band's nodata value.
        assert made.statistics["bands"]["ndsi"]["min"] == -32767


def test_a_plan_advises_a_scale_from_the_values(typed):
    for key, plane in typed.layers.items():
        is_missing = plane == (-9999 if key[0] == "dem" else -32768)
        values = np.where(is_missing, np.nan, plane / 1000 if key[0] == "ndsi" else plane + 0.3)
        typed.write(f"{key[0]}_{key[1]}", values.astype(np.float32), nodata=np.nan)
    tables = [
        {"name": "ndsi", "role": "optical", "path": "typed/{name}_{year}.tif", "convert": True},
        {"name": "dem", "role": "topo", "path": "typed/dem_None.tif"},
    ]
    typed.configure(tables)
    command = ["plan", str(typed.config), "--data-root", str(typed.root / "input"), "--quick"]

    told = CliRunner().invoke(cli, [*command, "--output", str(typed.root / "out")])

    assert told.exit_code == 0, told.output
    (line,) = [line for line in told.output.splitlines() if "scale =" in line]
    assert line.startswith("advice: ndsi: values from -")
    assert 'set scale = 10000 for the band, or [stack] dtype = "float32"' in line
