"""The same pixels in the shapes in which people have them give the same chips."""

import json
import shutil

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.windows import Window

import gcn_luigi
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.read.validate import validate
from tests.integration.builds import build_inline, dataset

YEARS = (2004, 2008)
OPTICAL = ("ndsi", "rmse")
WHOLE_DEM = {"dem": {"path": "shaped/dem.tif"}}


@pytest.fixture(scope="module")
def layers(tiny_output):
    """Return each band's pixels on the lattice, by band and year, and the profile of such a raster."""
    paths = gcn_luigi.open_dataset(tiny_output / "tiny").paths
    found = {}
    for path in sorted(paths.root.glob("mosaics/*_20*.vrt")):
        _, band, year = path.stem.split("_")
        with rasterio.open(path) as source:
            found[band, int(year)], profile = source.read(1), source.profile
    with rasterio.open(paths.root / "mosaics/topo_dem_source.vrt") as source:
        found["dem", None] = source.read(1)
    kept = {key: profile[key] for key in ("crs", "transform", "height", "width", "nodata")}
    return found, kept


class Shaped:
    """A copy of the tiny region whose rasters are written in another shape."""

    def __init__(self, root, tiny, layers):
        self.root, self.layers, self.profile = root, *layers
        shutil.copytree(tiny.sources, root / "input")
        shutil.copytree(tiny.config, root / "config")
        for tree in ("optical", "topo"):
            shutil.rmtree(root / "input" / tree)

    def write(self, path, planes, part=None, **profile):
        """Write `planes`, by description, into one file, or only a part of their rows and columns."""
        target = self.root / "input/shaped" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        first = next(iter(planes.values()))
        part = part or Window(0, 0, first.shape[1], first.shape[0])
        transform = rasterio.windows.transform(part, self.profile["transform"])
        size = {"height": part.height, "width": part.width, "transform": transform}
        profile = {**self.profile, **size, "driver": "GTiff", "dtype": first.dtype, "count": len(planes), **profile}
        with rasterio.open(target, "w", **profile) as out:
            for number, (name, plane) in enumerate(planes.items(), 1):
                out.write(plane[part.toslices()], number)
                out.set_band_description(number, name)

    def dem(self):
        self.write("dem.tif", {"": self.layers["dem", None]}, nodata=None)

    def build(self, **bands):
        config = self.root / "config/tiny.toml"
        head, *tables = config.read_text().split("[[bands]]")
        for name, keys in bands.items():
            (position,) = [n for n, table in enumerate(tables) if f'name = "{name}"' in table]
            lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            tables[position] = f"\n{lines}{tables[position].lstrip()}"
        config.write_text("[[bands]]".join([head, *tables]))
        build_inline(dataset("tiny", self.root / "out", self.root / "input", self.root / "config"))
        assert list(validate(self.root / "out/tiny", deep=True)) == []
        return gcn_luigi.open_dataset(self.root / "out/tiny")


@pytest.fixture
def shaped(tiny, layers, tmp_path):
    return Shaped(tmp_path, tiny, layers)


def _is_the_same(made, tiny_output):
    first = gcn_luigi.open_dataset(tiny_output / "tiny")
    assert made.chip_table["chip_id"].tolist() == first.chip_table["chip_id"].tolist()
    for split in ("train", "dev"):
        for ours, theirs in zip(made.chips(split), first.chips(split), strict=True):
            for name in ("image", "label", "flags"):
                np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.long
def test_one_file_of_several_bands_for_each_year(shaped, tiny_output):
    for year in YEARS:
        planes = {band: shaped.layers[band, year] for band in reversed(OPTICAL)}
        shaped.write(f"{year}/composite.tif", planes)
    shaped.dem()

    made = shaped.build(
        ndsi={"path": "shaped/{year}/composite.tif"},
        rmse={"path": "shaped/{year}/composite.tif", "band": 1},
        **WHOLE_DEM,
    )

    _is_the_same(made, tiny_output)


@pytest.mark.parametrize(("driver", "ending"), [("GTiff", "tif"), ("COG", "tiff"), ("VRT", "vrt")])
def test_one_file_for_each_band_and_year(shaped, tiny_output, driver, ending):
    for band in OPTICAL:
        for year in YEARS:
            shaped.write(f"plain/{band}_{year}.tif", {"": shaped.layers[band, year]})
            target = shaped.root / f"input/shaped/{band}_{year}.{ending}"
            copy(shaped.root / f"input/shaped/plain/{band}_{year}.tif", target, driver=driver)
    shaped.dem()

    made = shaped.build(**{band: {"path": f"shaped/{{name}}_{{year}}.{ending}"} for band in OPTICAL}, **WHOLE_DEM)

    _is_the_same(made, tiny_output)


@pytest.mark.parametrize(
    ("dtype", "scale", "offset", "nodata"),
    [
        ("float32", 1000, 0, np.nan),
        ("uint16", 1, -2000, 65535),
        pytest.param("float64", 1000, 0, None, marks=pytest.mark.long),
        pytest.param("int32", 0.1, 0, -99999, marks=pytest.mark.long),
    ],
)
def test_values_of_other_types_are_converted_on_request(shaped, tiny_output, dtype, scale, offset, nodata):
    for year in YEARS:
        stored = shaped.layers["ndsi", year]
        is_missing = stored == -32768
        values = (stored.astype(np.float64) - offset) / scale
        values[is_missing] = np.nan if nodata is None else nodata
        shaped.write(f"ndsi_{year}.tif", {"": values.astype(dtype)}, nodata=nodata)
        shaped.write(f"rmse_{year}.tif", {"": shaped.layers["rmse", year]})
    shaped.dem()
    keys = {"path": "shaped/{name}_{year}.tif", "convert": True, "scale": scale, "offset": offset}

    made = shaped.build(ndsi=keys, rmse={"path": "shaped/{name}_{year}.tif"}, **WHOLE_DEM)

    _is_the_same(made, tiny_output)
    with rasterio.open(made.paths.root / "mosaics/optical_ndsi_2004.tif") as mosaic:
        assert (mosaic.dtypes, mosaic.nodata) == (("int16",), -32768)


@pytest.mark.parametrize(
    ("change", "keys", "named"),
    [
        (None, {}, ("holds float32", "convert = true")),
        (50.0, {"convert": True, "scale": 1000}, ("do not fit int16", "ndsi_2004.tif")),
    ],
    ids=["not asked for", "too large"],
)
def test_a_value_is_never_cast_silently(shaped, change, keys, named):
    for year in YEARS:
        values = shaped.layers["ndsi", year].astype(np.float32) / 1000
        if change is not None:
            values[3, 4] = change
        shaped.write(f"ndsi_{year}.tif", {"": values}, nodata=None)
        shaped.write(f"rmse_{year}.tif", {"": shaped.layers["rmse", year]})
    shaped.dem()

    with pytest.raises(GcnLuigiError) as refused:
        shaped.build(
            ndsi={"path": "shaped/{name}_{year}.tif", **keys}, rmse={"path": "shaped/{name}_{year}.tif"}, **WHOLE_DEM
        )

    for text in named:
        assert text in str(refused.value)


@pytest.mark.long
def test_one_file_for_everything_with_descriptions(shaped, tiny_output):
    planes = {f"{band} {year}": shaped.layers[band, year] for year in reversed(YEARS) for band in OPTICAL}
    shaped.write("all.tif", planes, interleave="pixel")
    shaped.dem()

    made = shaped.build(**{band: {"path": "shaped/all.tif", "band": "{name} {year}"} for band in OPTICAL}, **WHOLE_DEM)

    _is_the_same(made, tiny_output)


def test_all_years_of_a_band_in_one_file_in_any_order(shaped, tiny_output):
    for band in OPTICAL:
        shaped.write(f"{band}.tif", {f"y{year}": shaped.layers[band, year] for year in reversed(YEARS)})
    shaped.dem()

    made = shaped.build(**{band: {"path": "shaped/{name}.tif", "band": "{year}"} for band in OPTICAL}, **WHOLE_DEM)

    _is_the_same(made, tiny_output)


def test_parts_of_an_export_are_tiles_of_one_image(shaped, tiny_output):
    for band in OPTICAL:
        stacked = {str(year): shaped.layers[band, year] for year in YEARS}
        height, width = shaped.layers[band, YEARS[0]].shape
        for row in range(0, height, 150):
            for col in range(0, width, 200):
                part = Window(col, row, min(200, width - col), min(150, height - row))
                shaped.write(f"{band}-{row:010d}-{col:010d}.tif", stacked, part)
    shaped.dem()

    made = shaped.build(**{band: {"path": "shaped/{name}-{tile}.tif"} for band in OPTICAL}, **WHOLE_DEM)

    _is_the_same(made, tiny_output)
    assert {file.tile for file in Inventory.from_json(made.paths.inventory.read_text()).of_band("ndsi")} > {
        "0000000000-0000000000"
    }


@pytest.mark.parametrize("policy", ["error", "gap"])
def test_a_part_that_is_missing_is_named_or_stays_missing(shaped, tiny_output, policy):
    for band in OPTICAL:
        stacked = {str(year): shaped.layers[band, year] for year in YEARS}
        height, width = shaped.layers[band, YEARS[0]].shape
        for col in (0, 200):
            if (band, col) != ("ndsi", 200):
                part = Window(col, 0, min(200, width - col), height)
                shaped.write(f"{band}-{col}.tif", stacked, part)
    shaped.dem()
    config = shaped.root / "config/tiny.toml"
    config.write_text(config.read_text().replace("[tiles]\n", f'[tiles]\non_missing = "{policy}"\n'))
    keys = {**{band: {"path": "shaped/{name}-{tile}.tif"} for band in OPTICAL}, **WHOLE_DEM}

    if policy == "error":
        with pytest.raises(GcnLuigiError, match="tile 200 band ndsi") as refused:
            shaped.build(**keys)
        assert "on_missing" in refused.value.fix
        return
    made = shaped.build(**keys)
    first = gcn_luigi.open_dataset(tiny_output / "tiny").statistics["bands"]["ndsi"]
    assert 0 < made.statistics["bands"]["ndsi"]["count"] < first["count"]
    missing = Inventory.from_json(made.paths.inventory.read_text()).missing
    assert [(note.tile, note.band) for note in missing] == [("200", "ndsi")]


@pytest.mark.long
def test_bands_of_both_kinds_stand_in_one_region(shaped, tiny, tiny_output):
    shutil.copytree(tiny.sources / "optical", shaped.root / "input/optical")
    shaped.dem()

    _is_the_same(shaped.build(**WHOLE_DEM), tiny_output)


@pytest.mark.parametrize(
    ("written", "keys", "named"),
    [
        ((), {"path": "shaped/{name}_{year}.tif"}, ("no file fits this path", "shaped/{name}_{year}.tif")),
        ((2004,), {"path": "shaped/{name}_{year}.tif"}, ("no file for 2008",)),
        ((2004, 2008), {"path": "shaped/*_{year}.tif"}, ("is the same band, tile and year", "on_duplicate")),
        ((2004, 2008), {"path": "shaped/{name}_{year}.tif", "band": "green"}, ("no bands described as green",)),
    ],
    ids=["nothing", "a year", "twice", "no such band"],
)
def test_files_that_do_not_fit_are_refused_with_what_to_mend(shaped, tmp_path, written, keys, named):
    for year in written:
        for band in OPTICAL:
            shaped.write(f"{band}_{year}.tif", {"": shaped.layers[band, year]})
    shaped.dem()

    with pytest.raises(GcnLuigiError) as refused:
        shaped.build(ndsi=keys, rmse={"path": "shaped/rmse_{year}.tif"}, **WHOLE_DEM)

    for text in named:
        assert text in str(refused.value)
    assert refused.value.fix
    assert not (tmp_path / "out/tiny/dataset.json").exists()


@pytest.mark.long
def test_a_new_file_that_fits_is_noticed(shaped):
    for band in OPTICAL:
        for year in YEARS:
            shaped.write(f"{band}_{year}.tif", {"": shaped.layers[band, year]})
    shaped.dem()
    shaped.build(**{band: {"path": "shaped/*{name}_{year}.tif"} for band in OPTICAL}, **WHOLE_DEM)
    again = dataset("tiny", shaped.root / "out", shaped.root / "input", shaped.root / "config")
    assert build_inline(again) == []

    shutil.copyfile(shaped.root / "input/shaped/ndsi_2004.tif", shaped.root / "input/shaped/second_ndsi_2004.tif")

    with pytest.raises(GcnLuigiError, match="is the same band, tile and year"):
        build_inline(again)
