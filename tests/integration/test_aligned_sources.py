"""Sources in another CRS, of another pixel size or between the pixels: what reaches the chips, and what is refused."""

import json
import os
import shutil

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

import gcn_luigi
from gcn_luigi.errors import GcnLuigiError
from gcn_luigi.io.inputs.inventory import Inventory
from gcn_luigi.read.validate import validate
from gcn_luigi.stages.layers import aligned_band
from gcn_luigi.tasks.graph import upstream
from tests.integration.builds import build_inline, dataset

YEARS = (2004, 2008)
BOUNDS = (336000.0, 1288320.0, 345600.0, 1296000.0)
SHAPE = (256, 320)
ON_LATTICE = {"crs": "EPSG:3338", "transform": from_origin(BOUNDS[0], BOUNDS[3], 30, 30)}
ALIGN = '[align]\nresampling = "bilinear"\n'
MISSING = -32768
# GDAL transforms a few points of each row and interpolates between them. By hand the rows are longer: values differ by
# what a twentieth of a pixel makes, and of some pixels at the edge of a hole the centre is on the other side.
CLOSE, FEW = 2, 0.002


def field(x, y, year):
    """Return smooth values from 10 to 890 anywhere on the map, x and y in EPSG:3338, about 4 apart per pixel."""
    return 450 + 220 * np.sin(x / 1700 + year) + 220 * np.cos(y / 1300)


def hole(x, y, year):
    """Return where pixels are missing: many small discs, elsewhere each year."""
    return np.hypot((x + 90 * year) % 1500 - 750, y % 1500 - 750) < 100


class Warped:
    """A copy of the tiny region whose rasters are made anew on other grids, from one formula."""

    def __init__(self, root, tiny):
        self.root = root
        shutil.copytree(tiny.sources, root / "input")
        shutil.copytree(tiny.config, root / "config")
        self.made = {}

    def write(
        self, path, crs, size, *, band, years=YEARS, offset=0.0, part=(0, 1), dtype="int16", nodata=MISSING, kind=1
    ):
        """Write a raster of pixels of `size` (units of the CRS) that covers `part` of the region's width, and more."""
        left, bottom, right, top = BOUNDS
        width = right - left
        wanted = (left + part[0] * width - 600, bottom - 600, left + part[1] * width + 600, top + 600)
        west, south, east, north = transform_bounds("EPSG:3338", crs, *wanted)
        if crs == "EPSG:3338":
            west, north = (round(edge / size) * size for edge in (west, north))
        profile = {
            "driver": "GTiff",
            "crs": crs,
            "transform": from_origin(west + offset * size, north - offset * size, size, size),
            "width": 2 * round((east - west) / size / 2),
            "height": 2 * round((north - south) / size / 2),
            "count": len(years),
            "dtype": dtype,
            "nodata": nodata,
            "compress": "deflate",
        }
        cols, rows = np.meshgrid(np.arange(profile["width"]) + 0.5, np.arange(profile["height"]) + 0.5)
        place = pyproj.Transformer.from_crs(crs, "EPSG:3338", always_xy=True)
        a, _, c, _, e, f, *_ = profile["transform"]
        x, y = place.transform(a * cols + c, e * rows + f)
        target = self.root / "input" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(target, "w", **profile) as out:
            for number, year in enumerate(years, 1):
                values = field(x, y, year) * kind
                values[hole(x, y, year)] = np.nan if nodata is None else nodata
                out.write(values.astype(dtype) if dtype.startswith("f") else np.rint(values).astype(dtype), number)
        self.made.setdefault(band, []).append(target)
        return target

    def remove(self, *places):
        for place in places:
            shutil.rmtree(self.root / "input" / place)

    def config(self, head=ALIGN, *, lattice=True, changes=(), **bands):
        """Add sections, and keys of bands, to the TOML file, after texts in it are changed."""
        path = self.root / "config/tiny.toml"
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        start, *tables = text.split("[[bands]]")
        if lattice:
            start = start.replace("pixel_size = 30.0", f"pixel_size = 30.0\nbounds = {list(BOUNDS)}")
        for name, keys in bands.items():
            (position,) = [n for n, table in enumerate(tables) if f'name = "{name}"' in table]
            lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            tables[position] = f"\n{lines}{tables[position].lstrip()}"
        path.write_text("[[bands]]".join([start.replace("[tiles]", f"{head}\n[tiles]"), *tables]))

    @property
    def task(self):
        return dataset("tiny", self.root / "out", self.root / "input", self.root / "config")

    def build(self):
        ran = build_inline(self.task)
        assert list(validate(self.root / "out/tiny", deep=True)) == []
        return ran

    @property
    def lattice(self):
        return Inventory.from_json((self.root / "out/tiny/inventory.json").read_text()).lattice

    @property
    def dataset(self):
        return gcn_luigi.open_dataset(self.root / "out/tiny")


@pytest.fixture
def warped(tiny, tmp_path):
    return Warped(tmp_path, tiny)


def by_hand(paths, number, method="bilinear", nodata=MISSING, **profile):
    """Return what rasterio warps from the originals: the first valid pixel, and missing where its centre's pixel is."""
    profile = {**ON_LATTICE, "height": SHAPE[0], "width": SHAPE[1], **profile}
    joined = np.full((profile["height"], profile["width"]), np.nan)
    for path in paths:
        with rasterio.open(path) as source:
            tag = source.nodata if source.nodata is not None else nodata
            keys = {**profile, "src_nodata": tag, "nodata": tag, "tolerance": 0.01, "UNIFIED_SRC_NODATA": "NO"}
            with WarpedVRT(source, resampling=Resampling[method], XSCALE=1, YSCALE=1, **keys) as seen:
                values = seen.read(number, masked=True)
            with WarpedVRT(source, resampling=Resampling.nearest, **keys) as seen:
                is_missing = seen.read(number, masked=True)
        found = np.ma.filled(values.astype(float), np.nan)
        found[np.ma.getmaskarray(is_missing)] = np.nan
        joined = np.where(np.isnan(joined), found, joined)
    return joined


def agrees(warped, band, wanted, tolerance=CLOSE, *, is_tif=False):
    """Compare a mosaic with `wanted`, and every chip; both by year (None for topography), NaN where missing."""
    role = "topo" if None in wanted else "optical"
    for year, want in wanted.items():
        ending = ".tif" if year is None else f"_{year}.{'tif' if is_tif else 'vrt'}"
        with rasterio.open(warped.root / f"out/tiny/mosaics/{role}_{band}{ending}") as mosaic:
            made = np.ma.filled(mosaic.read(1, masked=True).astype(float), np.nan)
        both = ~np.isnan(want) & ~np.isnan(made)
        assert both.sum() > 0.9 * want.size
        assert (np.isnan(want) != np.isnan(made)).sum() <= FEW * want.size
        assert np.abs(made - want)[both].max() <= tolerance
    dataset = warped.dataset
    index = [one.name for one in dataset.bands].index(band)
    lattice, n_missing = warped.lattice, 0
    for split in ("train", "dev"):
        table = dataset.chip_table[dataset.chip_table["split"] == split]
        for chip, (_, row) in zip(dataset.chips(split), table.iterrows(), strict=True):
            col = round((row["left"] - lattice.left) / lattice.pixel_size)
            line = round((lattice.top - row["top"]) / lattice.pixel_size)
            want = wanted[None if role == "topo" else row["year"]][line : line + 32, col : col + 32]
            is_valid, is_wanted = chip["flags"] == 0, ~np.isnan(want)
            assert np.abs(chip["image"][index] - want)[is_valid & is_wanted].max(initial=0) <= tolerance
            assert (is_valid & ~is_wanted).sum() <= 10
            n_missing += (~is_wanted).sum()
    assert n_missing > 100


def inodes(warped):
    return {path.name: path.stat().st_ino for path in (warped.root / "out/tiny/aligned").rglob("*.tif")}


def two_zones(warped):
    warped.remove("optical")
    for tile, crs, part in (("0123", "EPSG:32606", (0, 0.5)), ("0124", "EPSG:32607", (0.5, 1))):
        for band in ("ndsi", "rmse"):
            warped.write(f"optical/{tile}/{tile}_{band}.tif", crs, 30, band=band, part=part)


def test_two_zones_of_utm_become_one_region(warped):
    two_zones(warped)
    warped.config()

    warped.build()

    agrees(warped, "ndsi", {year: by_hand(warped.made["ndsi"], number) for number, year in enumerate(YEARS, 1)})


@pytest.mark.parametrize(
    ("crs", "size", "method"),
    [
        pytest.param("EPSG:4326", 0.0006, "cubic", id="degrees"),
        pytest.param("EPSG:3413", 40, "bilinear", id="polar stereographic", marks=pytest.mark.long),
        pytest.param("EPSG:3338", 30.5, "bilinear", id="another pixel size", marks=pytest.mark.long),
    ],
)
def test_a_dem_on_another_grid(warped, crs, size, method):
    warped.remove("topo")
    warped.write("dem.tif", crs, size, band="dem", years=(2004,), dtype="float32", nodata=-9999)
    warped.config(dem={"path": "dem.tif", "resampling": method})

    warped.build()

    agrees(warped, "dem", {None: by_hand(warped.made["dem"], 1, method)})


@pytest.mark.long
def test_tiles_between_the_pixels(warped):
    warped.remove("optical")
    for band in ("ndsi", "rmse"):
        warped.write(f"optical/0123/x_{band}.tif", "EPSG:3338", 30, band=band, offset=1 / 3)
    warped.config()

    warped.build()

    agrees(warped, "ndsi", {year: by_hand(warped.made["ndsi"], number) for number, year in enumerate(YEARS, 1)})


def test_of_smaller_pixels_the_mean_is_taken_and_a_hole_stays_where_half_is_missing(warped):
    warped.remove("optical")
    path = warped.write("optical/0123/x_ndsi.tif", "EPSG:3338", 10, band="ndsi")
    warped.write("optical/0123/x_rmse.tif", "EPSG:3338", 20, band="rmse")
    warped.config()

    warped.build()

    wanted = {}
    with rasterio.open(path) as source:
        for number, year in enumerate(YEARS, 1):
            window = rasterio.windows.from_bounds(*BOUNDS, transform=source.transform)
            fine = np.ma.filled(source.read(number, window=window, masked=True).astype(float), np.nan)
            blocks = fine.reshape(256, 3, 320, 3).swapaxes(1, 2).reshape(256, 320, 9)
            share = (~np.isnan(blocks)).mean(axis=2)
            sums = np.nansum(blocks, axis=2)
            wanted[year] = np.where(share >= 0.5, sums / np.maximum(share * 9, 1), np.nan)
    agrees(warped, "ndsi", wanted, tolerance=0.51)
    assert {file.resampling for file in _files(warped, "ndsi")} == {"average"}
    # Quality bands may hold flags.
    assert {file.resampling for file in _files(warped, "rmse")} == {"nearest"}


@pytest.mark.long
def test_bands_of_10_m_and_20_m_take_the_lattice_that_is_asked_for(warped):
    warped.remove("optical")
    for band, size in (("ndsi", 10), ("rmse", 20)):
        warped.write(f"optical/0123/x_{band}.tif", "EPSG:32606", size, band=band, dtype="uint16", nodata=0)
    to_optical = ('name = "rmse"\nrole = "quality"', 'name = "rmse"\nrole = "optical"\nconvert = true')
    of_files = (('crs = "EPSG:3338"\n', ""), ("pixel_size = 30.0", "pixel_size = 20.0"), to_optical)
    warped.config(lattice=False, changes=of_files, ndsi={"convert": True})

    warped.build()

    lattice = warped.lattice
    assert (lattice.crs, lattice.pixel_size) == ("EPSG:32606", 20)
    assert [file.resampling for file in (*_files(warped, "ndsi"), *_files(warped, "rmse"))] == ["average", ""]
    grid = {"crs": lattice.crs, "transform": Affine(*lattice.transform), "height": lattice.height}
    wanted = {}
    with rasterio.open(warped.made["ndsi"][0]) as source:
        for number, year in enumerate(YEARS, 1):
            keys = {**grid, "width": lattice.width, "src_nodata": 0, "nodata": 0, "UNIFIED_SRC_NODATA": "NO"}
            with WarpedVRT(source, resampling=Resampling.average, **keys) as seen:
                mean = seen.read(number, masked=True)
            with rasterio.MemoryFile() as memory:
                profile = {**source.profile, "dtype": "float32", "count": 1, "nodata": None}
                with memory.open(**profile) as share:
                    share.write((source.read(number) != 0).astype("float32"), 1)
                with (
                    memory.open() as share,
                    WarpedVRT(share, resampling=Resampling.average, **grid, width=lattice.width) as seen,
                ):
                    is_valid = seen.read(1) >= 0.5
            wanted[year] = np.where(is_valid & ~np.ma.getmaskarray(mean), mean.filled(0), np.nan)
    agrees(warped, "ndsi", wanted, tolerance=1, is_tif=True)


def _files(warped, band):
    text = (warped.root / "out/tiny/inventory.json").read_text()
    return Inventory.from_json(text).of_band(band)


def test_files_that_are_on_the_lattice_are_used_as_they_are(warped, tiny_output):
    warped.config(lattice=False)

    warped.build()

    assert not (warped.root / "out/tiny/aligned").exists()
    for name in ("label.tif", "index.parquet", "shards/train-00000-of-00002.h5"):
        assert (warped.root / "out/tiny" / name).read_bytes() == (tiny_output / "tiny" / name).read_bytes()


def shifted(transform, cols, rows):
    """Return affine coefficients moved by pixels, with the operators that all versions of affine have."""
    a, b, c, d, e, f, *_ = transform
    return Affine(a, b, c + a * cols + b * rows, d, e, f + d * cols + e * rows)


@pytest.mark.parametrize("classes", ["nearest", pytest.param("mode", marks=pytest.mark.long)])
def test_votes_on_another_grid_take_no_value_between_two(warped, classes):
    votes = warped.root / "input/stem/stem_2008_debris_free_ice_votes.tif"
    with rasterio.open(votes) as source:
        values, transform, profile = source.read(1), source.transform, source.profile
    with rasterio.open(votes, "w", **{**profile, "transform": shifted(transform, 0.3, 0.4)}) as target:
        target.write(values, 1)
    warped.config(f'{ALIGN}classes = "{classes}"\n')

    warped.build()

    (made,) = (warped.root / "out/tiny/aligned/label").glob("*.tif")
    with rasterio.open(votes) as source, rasterio.open(made) as found:
        grid = {"crs": found.crs, "transform": found.transform, "height": found.height, "width": found.width}
        keys = {"nodata": found.nodata, "src_nodata": source.nodata}
        if source.nodata is None:
            keys = {"add_alpha": True}
        with WarpedVRT(source, resampling=Resampling[classes], **grid, **keys) as seen:
            wanted = seen.read(1, masked=True)
        ours = found.read(1, masked=True)
    same = (ours.filled(-1) == wanted.filled(-1)).mean()
    assert same > 0.995
    assert set(np.unique(ours.compressed())) <= set(np.unique(values))


@pytest.mark.long
def test_a_map_of_debris_on_another_grid_is_warped_for_a_label_from_outlines(warped):
    stem = warped.root / "input/stem/stem_2008_debris_free_ice_votes.tif"
    debris = stem.with_name("debris.tif")
    with rasterio.open(stem) as source:
        votes, transform, profile = source.read(1), source.transform, source.profile
    place = {"transform": shifted(transform, 0.3, 0.4), "nodata": None, "dtype": "uint8"}
    with rasterio.open(debris, "w", **{**profile, **place}) as target:
        target.write((votes < 3).astype(np.uint8), 1)
    voted = 'stem = "stem/stem_2008_debris_free_ice_votes.tif"\n'
    warped.config(changes=[(voted, 'source = "outlines"\ndebris_raster = "stem/debris.tif"\n')])

    warped.build()

    (made,) = (warped.root / "out/tiny/aligned/label").glob("*.tif")
    with rasterio.open(warped.root / "out/tiny/label.tif") as label, rasterio.open(made) as seen:
        classes = label.read(1)
        lattice = {"crs": label.crs, "transform": label.transform, "height": label.height, "width": label.width}
        with WarpedVRT(seen, **lattice) as there:
            is_debris, is_known = there.read(1) > 0, there.read_masks(1) > 0
    glacier = (classes == 1) | (classes == 2)
    assert glacier.any()
    np.testing.assert_array_equal(classes[glacier & is_known] == 1, is_debris[glacier & is_known])


@pytest.mark.long
def test_after_a_kill_only_what_lacks_is_made(warped, monkeypatch):
    two_zones(warped)
    warped.config()
    write, calls = aligned_band.write_aligned, []

    def dies(region, lattice, file, *rest, **keys):
        calls.append(file.path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(region, lattice, file, *rest, **keys)

    with monkeypatch.context() as patch:
        patch.setattr(aligned_band, "write_aligned", dies)
        with pytest.raises(KeyboardInterrupt):
            build_inline(warped.task)
    before = inodes(warped)

    warped.build()

    assert len(before) == 1
    assert before.items() < inodes(warped).items()
    assert len(inodes(warped)) == 4


@pytest.mark.long
def test_a_changed_source_remakes_its_own_file_alone(warped):
    two_zones(warped)
    warped.config()
    warped.build()
    before = inodes(warped)
    with rasterio.open(warped.made["ndsi"][0], "r+") as source:
        values = source.read()
        source.write(np.where(values == MISSING, MISSING, values + 1).astype("int16"))

    ran = {name.split("(")[0] for name in warped.build()}

    after = inodes(warped)
    assert [name.split("-")[0] for name in before if before[name] != after[name]] == ["0123_ndsi"]
    assert {"gcn.TileInventory", "gcn.TileQuality", "gcn.AlignedBand", "gcn.OpticalMosaic", "gcn.ChipShard"} <= ran
    assert not ran & {"gcn.TopoMosaic", "gcn.ClassLabel", "gcn.PartitionGrid"}
    agrees(warped, "ndsi", {year: by_hand(warped.made["ndsi"], number) for number, year in enumerate(YEARS, 1)})


@pytest.mark.long
def test_a_touched_source_is_warped_again_and_nothing_follows(warped):
    two_zones(warped)
    warped.config()
    warped.build()
    os.utime(warped.made["rmse"][1])

    ran = {name.split("(")[0] for name in warped.build()}

    assert ran == {"gcn.TileInventory", "gcn.AlignedBand", "gcn.QualityReport", "gcn.Dataset"}


OTHER_GRIDS = [("EPSG:32606", 30, 0), ("EPSG:3338", 20, 0), ("EPSG:3338", 30, 1 / 3), ("EPSG:4326", 0.0005, 0)]


@pytest.mark.parametrize(("crs", "size", "offset"), OTHER_GRIDS)
def test_without_the_section_the_refusal_offers_it(warped, crs, size, offset):
    warped.write("optical/0123/made_0123_ndsi.tif", crs, size, band="ndsi", offset=offset)
    warped.config(head="", lattice=False)

    with pytest.raises(GcnLuigiError) as refused:
        build_inline(warped.task)

    assert '[align] resampling = "bilinear"' in str(refused.value)
    assert "made_0123_ndsi.tif" in str(refused.value)


def test_without_the_section_the_refusal_of_votes_offers_it(warped):
    warped.write("stem/stem_2008_debris_free_ice_votes.tif", "EPSG:32606", 30, band="votes", years=(2004,))
    warped.config(head="", lattice=False)

    with pytest.raises(GcnLuigiError, match=r"is in EPSG:32606") as refused:
        build_inline(warped.task)

    assert '[align] resampling = "bilinear"' in str(refused.value)


@pytest.mark.parametrize(
    ("head", "bands", "said"),
    [
        (ALIGN, {"rmse": {"resampling": "bilinear"}}, "mean of two classes is not a class"),
        (f'{ALIGN}classes = "bilinear"\n', {}, "align.classes: give"),
        ('[align]\nresampling = "lanczos"\n', {}, "align.resampling: give"),
        ('[align]\nclasses = "mode"\n', {}, "give resampling"),
    ],
)
def test_a_resampling_that_cannot_be_right_is_refused(warped, head, bands, said):
    warped.config(head, **bands)

    with pytest.raises(GcnLuigiError, match=said):
        list(upstream(warped.task))


def test_a_damaged_source_is_named(warped):
    two_zones(warped)
    warped.config()
    path = warped.made["ndsi"][1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)

    with pytest.raises(GcnLuigiError, match="damaged") as refused:
        build_inline(warped.task)

    assert "0124_ndsi.tif" in str(refused.value)
