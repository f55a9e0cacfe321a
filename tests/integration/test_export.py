"""`gcn export`: what is written equals what the reader gives, in every layout, and only where it may."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from pyproj import Transformer

import gcn_luigi
from gcn_luigi.errors import ConfigError, InputError, ShardError
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.partitions.query import Selection
from gcn_luigi.read.export.export import Request, export
from gcn_luigi.read.export.scene import Scene
from gcn_luigi.settings import BandSettings
from gcn_luigi.stages.dataset.convert import convert_dataset
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny

LAYERS = ("image", "label", "flags")


def _silent(_message, _share):
    pass


@pytest.fixture(scope="module", params=["chips", "windows", "zstd", "none"])
def made(small_output, request, tmp_path_factory):
    """Return a dataset in either layout and other codecs."""
    if request.param == "chips":
        return gcn_luigi.open_dataset(small_output)
    target = tmp_path_factory.mktemp("converted") / "tiny"
    layout, codec = {"windows": ("windows", None), "zstd": ("chips", "zstd"), "none": ("windows", "none")}[
        request.param
    ]
    convert_dataset(small_output, target, layout, codec, _silent)
    return gcn_luigi.open_dataset(target)


@pytest.fixture
def small(small_output):
    return gcn_luigi.open_dataset(small_output)


@pytest.fixture
def built(tmp_path):
    """Return a function that builds a region and opens its dataset; its quality page is left out."""

    def build(tiny):
        build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, tiny.config))
        return gcn_luigi.open_dataset(tmp_path / "out" / tiny.region)

    return build


def _read(directory, name):
    found = {}
    for layer in LAYERS:
        with rasterio.open(directory / f"{name}{'' if layer == 'image' else f'_{layer}'}.tif") as file:
            found[layer] = file.read() if layer == "image" else file.read(1)
    return found


def _pixel(made, left, top):
    return round((made.lattice.top - top) / 30), round((left - made.lattice.left) / 30)


def _all_chips(made):
    for split in ("train", "dev"):
        yield from zip(made.chip_table[made.chip_table["split"] == split].itertuples(), made.chips(split), strict=True)


def test_exported_chips_have_the_readers_pixels_place_and_names(made, tmp_path):
    export(made, tmp_path / "out", Request(Selection(sample=7, seed=3)), _silent)
    footprints = gpd.read_file(tmp_path / "out/footprints.gpkg")
    chips = {row.chip_id: (row, chip) for row, chip in _all_chips(made)}

    assert len(footprints) == 7
    for stated in footprints.itertuples():
        row, chip = chips[stated.chip_id]
        assert stated.file == f"{row.chip_id}.tif"
        found = _read(tmp_path / "out", row.chip_id)
        for layer in LAYERS:
            assert found[layer].dtype == chip[layer].dtype
            np.testing.assert_array_equal(found[layer], chip[layer])
        with rasterio.open(tmp_path / "out" / stated.file) as file:
            assert (file.bounds.left, file.bounds.top) == (row.left, row.top)
            assert (file.bounds.right, file.bounds.bottom) == (row.right, row.bottom)
            assert file.crs == made.chip_boxes.crs
            assert file.descriptions == tuple(band.name for band in made.bands)
            assert file.profile["compress"] == "deflate"
        assert stated.geometry.bounds == (row.left, row.bottom, row.right, row.top)
    assert {"chip_id", "split", "year", "share_ice", "valid_share", "file"} <= set(footprints.columns)


def test_an_exported_partition_holds_every_chip_where_it_was_cut(made, tmp_path):
    index = made.chip_table
    partitions = tuple(index["partition"].drop_duplicates().iloc[[0, 3, -1]])
    export(made, tmp_path / "out", Request(Selection(partitions=partitions), "partitions"), _silent)
    chips = {row.chip_id: (row, chip) for row, chip in _all_chips(made) if row.partition in partitions}
    files = gpd.read_file(tmp_path / "out/footprints.gpkg").set_index("partition")

    assert set(files.index) == set(partitions)
    covered = {}
    for row, chip in chips.values():
        found = _read(tmp_path / "out", files.loc[row.partition, "file"].removesuffix(".tif"))
        size = chip["label"].shape[0]
        cut = np.s_[..., row.row : row.row + size, row.col : row.col + size]
        for layer in LAYERS:
            np.testing.assert_array_equal(found[layer][cut], chip[layer])
        covered.setdefault(row.partition, (np.zeros(found["label"].shape, bool), found))[0][cut] = True
    for name, (cover, found) in covered.items():
        box = made.partition_table.set_index("partition").loc[name]
        with rasterio.open(tmp_path / "out" / files.loc[name, "file"]) as file:
            assert tuple(file.bounds) == (box["left"], box["bottom"], box["right"], box["top"])
        if made.chips("train").layout == "chips":
            assert (found["label"][~cover] == 255).all()
            assert (found["flags"][~cover] & 8 == 8).all()


def test_a_box_gives_one_mosaic_a_year_with_the_pixels_of_that_years_partitions(made, tmp_path, monkeypatch):
    # Every second partition as if it were of another year; the small region has one.
    index, other = made.chip_boxes.copy(), made.chip_table["partition"].unique()[::2]
    index.loc[index["partition"].isin(other), "year"] = 2008
    monkeypatch.setitem(vars(made), "chip_boxes", index)
    monkeypatch.setitem(vars(made), "chip_table", index.drop(columns="geometry"))
    left, bottom, right, top = made.chip_boxes.total_bounds
    inset = 0.2 * (right - left), 0.2 * (top - bottom)
    bounds = left + inset[0] + 11.0, bottom + inset[1], right - inset[0], top - inset[1] - 7.0
    said = export(made, tmp_path / "out", Request(Selection(bounds=bounds), "mosaic"), _silent)
    years = sorted(made.chip_table["year"].unique())
    expected = [f"tiny_{year}.tif" for year in years]

    assert len(years) > 1
    assert [name for name in said["files"] if name.endswith(".tif") and name.count("_") == 1] == expected
    for year, name in zip(years, expected, strict=True):
        found = _read(tmp_path / "out", name.removesuffix(".tif"))
        untouched = np.ones(found["label"].shape, bool)
        with rasterio.open(tmp_path / "out" / name) as file:
            # Snapped outward: the box is within, and no whole pixel more.
            assert file.bounds.left <= bounds[0] < file.bounds.left + 30
            assert file.bounds.top >= bounds[3] > file.bounds.top - 30
            origin = (
                round((made.lattice.top - file.bounds.top) / 30),
                round((file.bounds.left - made.lattice.left) / 30),
            )
        for row, chip in _all_chips(made):
            place = _pixel(made, row.left, row.top)
            size = chip["label"].shape[0]
            at = Window(place[0] - origin[0], place[1] - origin[1], size, size)
            common = at.intersection(Window(0, 0, *untouched.shape))
            if row.year != year or common.is_empty:
                continue
            here = np.s_[..., common.row : common.row + common.height, common.col : common.col + common.width]
            there = np.s_[
                ...,
                common.row - at.row : common.row - at.row + common.height,
                common.col - at.col : common.col - at.col + common.width,
            ]
            untouched[here] = False
            for layer in LAYERS:
                np.testing.assert_array_equal(found[layer][here], chip[layer][there])
        if made.chips("train").layout == "chips":
            assert (found["label"][untouched] == 255).all()


def test_a_box_in_degrees_is_brought_to_the_datasets_crs_with_its_bent_edges(gcn, small, tmp_path):
    left, bottom, right, top = small.chip_boxes.total_bounds
    back = Transformer.from_crs(small.lattice.crs, "EPSG:4326", always_xy=True)
    west, south, east, north = back.transform_bounds(left + 900, bottom + 900, right - 900, top - 900)

    code, out, err = gcn(
        "export", small.paths.root, tmp_path / "out", "--bbox", west, south, east, north, "--bbox-crs", "EPSG:4326",
        "--json",
    )  # fmt: skip

    assert code == 0, err
    said = json.loads(out)
    assert said == json.loads((tmp_path / "out/export.json").read_text())
    with rasterio.open(tmp_path / "out" / f"tiny_{small.chip_table['year'].min()}.tif") as file:
        assert file.bounds.left <= left + 900
        assert file.bounds.bottom <= bottom + 900
        assert file.bounds.right >= right - 900
        assert file.bounds.top >= top - 900


def test_plain_tools_of_rasterio_read_the_files(small, tmp_path):
    export(small, tmp_path / "out", Request(Selection(limit=1)), _silent)
    name = small.chip_table["chip_id"].iloc[0]
    rio = Path(sys.executable).parent / "rio"

    said = subprocess.run(
        [rio, "info", tmp_path / "out" / f"{name}.tif"], capture_output=True, text=True, check=True
    ).stdout

    assert json.loads(said)["descriptions"] == [band.name for band in small.bands]
    assert json.loads(said)["crs"] == small.lattice.crs


def test_the_mask_hides_exactly_what_lacks_a_band_where_no_number_can_mean_it(small, tmp_path):
    export(small, tmp_path / "out", Request(Selection(split="train", sample=5)), _silent)
    # The fill of this dataset is 0, and 0 is an elevation.
    for file in sorted((tmp_path / "out").glob("*_c????.tif")):
        with rasterio.open(file) as image, rasterio.open(file.with_name(f"{file.stem}_flags.tif")) as flags:
            assert image.nodata is None
            np.testing.assert_array_equal(image.dataset_mask() > 0, flags.read(1) & ~np.uint8(4) == 0)


def test_nodata_is_the_fill_where_no_band_can_hold_it(tmp_path, built):
    tiny = make_tiny(tmp_path, "tiny", ("fill = 0", "fill = -32768"))
    opened = built(tiny)

    export(opened, tmp_path / "export", Request(Selection(limit=1)), _silent)

    with rasterio.open(next((tmp_path / "export").glob("*_c????.tif"))) as file:
        assert file.nodata == -32768
        assert rasterio.enums.MaskFlags.per_dataset not in file.mask_flag_enums[0]


@pytest.mark.parametrize("edge", ["legacy", pytest.param("pad", marks=pytest.mark.long)])
def test_of_chips_that_hang_over_their_partition_only_what_lies_within_is_shown(tmp_path, edge, built):
    cut = ('size = 32\nstep = 16\nedge = "clamp"', f'size = 32\nstep = 20\nedge = "{edge}"')
    tiny = make_tiny(tmp_path, "tiny", cut, ('mode = "strict"', 'mode = "legacy"'))
    opened = built(tiny)
    partition = opened.chip_table["partition"].iloc[0]

    export(opened, tmp_path / "one", Request(Selection(partitions=(partition,)), "partitions"), _silent)
    export(opened, tmp_path / "chips", Request(Selection(partitions=(partition,))), _silent)

    (path,) = (tmp_path / "one").glob("*_????.tif")
    found = _read(tmp_path / "one", path.stem)
    assert found["label"].shape == (64, 64)
    expected = {layer: np.full(plane.shape, -1, int) for layer, plane in found.items()}
    n_over = 0
    for row, chip in _all_chips(opened):
        if row.partition != partition:
            continue
        written = _read(tmp_path / "chips", row.chip_id)
        for layer in LAYERS:
            np.testing.assert_array_equal(written[layer], chip[layer])
        is_over = max(row.row, row.col) + 32 > 64
        n_over += is_over
        if is_over and edge == "legacy":
            # Stretched: its pixels are those of no place.
            continue
        for layer in LAYERS:
            target = expected[layer][..., row.row : row.row + 32, row.col : row.col + 32]
            target[...] = chip[layer][..., : target.shape[-2], : target.shape[-1]]
    assert n_over > 0
    shown = expected["label"] >= 0
    np.testing.assert_array_equal(found["label"], np.where(shown, expected["label"], 255))
    for layer in ("image", "flags"):
        np.testing.assert_array_equal(found[layer][..., shown], expected[layer][..., shown])


def test_a_label_has_the_colours_of_its_classes_and_every_raster_a_style(small, tmp_path):
    said = export(small, tmp_path / "out", Request(Selection(limit=2)), _silent)
    rasters = [name for name in said["files"] if name.endswith(".tif")]

    assert len(rasters) == 6
    for name in (*rasters, "footprints.gpkg"):
        style = (tmp_path / "out" / name).with_suffix(".qml").read_text().split("\n", 1)[1]
        assert ET.fromstring(style).tag == "qgis"  # noqa: S314  our own
    with rasterio.open(tmp_path / "out" / next(name for name in rasters if "label" in name)) as file:
        table = file.colormap(1)
        assert [table[value][:3] for value in range(3)] == [(221, 216, 203), (128, 89, 58), (134, 197, 228)]
        assert file.nodata == 255


def test_units_and_descriptions_come_with_the_bands(small, tmp_path):
    export(small, tmp_path / "out", Request(Selection(limit=1), layers=("image",)), _silent)
    (path,) = (tmp_path / "out").glob("*.tif")
    described = {band.name: band for band in small.bands}

    with rasterio.open(path) as file:
        units = dict(zip(file.descriptions, file.units, strict=True))
        assert units["dem"] == described["dem"].unit == "m"
        assert file.tags(file.descriptions.index("dem") + 1)["description"] == "elevation"
        assert file.tags()["gcn_luigi_dataset"] == small.digest
    assert set(BandSettings.model_fields) >= {"unit", "description", "valid_min", "valid_max"}


def test_the_same_export_has_the_same_bytes(small, tmp_path):
    request = Request(Selection(sample=3, seed=8))
    first, again = (export(small, tmp_path / name, request, _silent) for name in ("one", "two"))

    assert first == again
    for name in first["files"]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_large_window_is_read_in_parts_that_fit_together(small):
    scene = Scene(small, small.chip_table[small.chip_table["year"] == small.chip_table["year"].iloc[0]])
    whole = scene.read(scene.hull)
    part = Window(scene.hull.row + 13, scene.hull.col + 29, 41, 37)

    piece = scene.read(part)

    cut = np.s_[..., 13:54, 29:66]
    for layer in LAYERS:
        np.testing.assert_array_equal(piece.planes[layer], whole.planes[layer][cut])


def test_nothing_is_overwritten_but_an_earlier_export_and_only_when_told(gcn, small, tmp_path):
    out = tmp_path / "out"
    first = gcn("export", small.paths.root, out, "--split", "train", "--sample", 3)
    (out / f"{json.loads((out / 'export.json').read_text())['files'][-1]}.aux.xml").write_text("by a GIS")

    refused = gcn("export", small.paths.root, out, "--split", "dev", "--limit", 1)
    replaced = gcn("export", small.paths.root, out, "--split", "dev", "--limit", 1, "--overwrite")

    assert first[0] == replaced[0] == 0, replaced[2]
    assert refused[0] == 1
    assert "use --overwrite" in refused[2]
    assert len(list(out.glob("*_c????.tif"))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("found", ["a note", "a link", "a file", "another directory"])
def test_a_directory_with_anything_else_in_it_is_left_alone(gcn, small, tmp_path, found):
    out = tmp_path / "out"
    if found == "a file":
        out.write_text("mine")
    elif found == "another directory":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    else:
        gcn("export", small.paths.root, tmp_path / "first", "--limit", 1)
        if found == "a link":
            out.symlink_to(tmp_path / "first")
        else:
            (tmp_path / "first").rename(out)
            (out / "notes.qgz").write_text("mine")
    before = sorted(path.name for path in out.iterdir()) if out.is_dir() else out.read_text()

    code, _, err = gcn("export", small.paths.root, out, "--limit", 1, "--overwrite")

    assert code == 1
    assert "fix:" in err
    assert (sorted(path.name for path in out.iterdir()) if out.is_dir() else out.read_text()) == before


def test_a_failure_leaves_nothing_and_the_earlier_export_whole(gcn, small_output, tmp_path):
    copy = shutil.copytree(small_output, tmp_path / "copy")
    out = tmp_path / "out"
    gcn("export", copy, out, "--split", "train", "--limit", 1)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shard = copy / "shards/train-00001-of-00002.h5"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)

    # Chips of the first shard are written, then one is found to be damaged.
    code, _, err = gcn("export", copy, out, "--split", "train", "--overwrite")

    assert code == 1
    assert err.startswith("error: chip tiny_train_")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "out"]


def test_the_dataset_itself_is_no_place_for_an_export(gcn, small):
    root = small.paths.root

    code, _, err = gcn("export", root, root / "chips", "--limit", 1)

    assert code == 1
    assert "is within the dataset" in err
    assert not (root / "chips").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "what to export"),
        (["--bbox-crs", "EPSG:4326"], "--bbox"),
        (["--bbox", "1", "2", "3"], "--bbox"),
        (["--bbox", "5", "2", "3", "4"], "is not a valid box"),
        (["--bbox", "0", "0", "1", "1"], "meets all criteria"),
        (["--bbox", "0", "0", "1", "1", "--bbox-crs", "EPSG:nonsense"], "cannot be reprojected"),
        (["--chip", "tiny_train_r0000_c0000_2004_r0000_c0001"], "did you mean"),
        (["--partition", "zzz"], "no partition zzz"),
        (["--year", "1901"], "years in the index: 200"),
        (["--partition", "PART", "--as", "mosaic", "--limit", "2"], "a mosaic shows the whole selection"),
    ],
)
def test_what_cannot_be_meant_is_told_and_nothing_is_written(gcn, small, tmp_path, options, said):
    options = [small.chip_table["partition"].iloc[0] if option == "PART" else option for option in options]

    code, out, err = gcn("export", small.paths.root, tmp_path / "out", *options)

    assert code in {1, 2}
    assert said in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_chips_of_one_partition_that_contradict_each_other_are_refused(small, monkeypatch):
    from gcn_luigi.read.store.pixels import PixelStore  # noqa: PLC0415

    read = PixelStore.row
    calls = []

    def other(store, shard, row, chip):
        calls.append(row)
        planes = dict(read(store, shard, row, chip))
        planes["label"] = planes["label"] ^ np.uint8(len(calls) == 2)
        return planes

    monkeypatch.setattr(PixelStore, "row", other)
    scene = Scene(small, small.chip_table[small.chip_table["partition"] == small.chip_table["partition"].iloc[0]])

    with pytest.raises(ShardError, match="pixels that differ between its chips"):
        scene.read(scene.hull)


def test_partitions_that_overlap_and_differ_are_never_mixed(small, monkeypatch):
    names = small.chip_table["partition"].unique()[:2]
    rows = small.chip_table[small.chip_table["partition"].isin(names)]
    catalog = small.partition_table.copy()
    # As if a grid of overlapping cells had been imported.
    first, second = (catalog.index[catalog["partition"] == name][0] for name in names)
    catalog.loc[second, ["row", "col"]] = catalog.loc[first, ["row", "col"]].to_numpy()
    monkeypatch.setitem(vars(small), "partition_table", catalog)
    scene = Scene(small, rows)

    with pytest.raises(InputError, match="from those of overlapping partitions"):
        scene.read(scene.hull)
    assert scene.read(scene.hull, names[0]).covered.any()


def test_a_selection_that_names_a_partition_of_no_chip_is_refused(small, tmp_path):
    with pytest.raises(ConfigError, match="no partition"):
        export(small, tmp_path / "x", Request(Selection(partitions=("none",)), "partitions"), _silent)
