"""However chips are stored, they are the same chips: those of the plain reference."""

import json
import pickle
import shutil
from dataclasses import replace
from types import SimpleNamespace

import geopandas as gpd
import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.windows import Window as RasterWindow

import gcn_luigi
from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError, GcnLuigiError, ShardError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.lattice import Window
from gcn_luigi.read.dataset import ChipReader
from gcn_luigi.read.validate import validate
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.stages.layers.mosaics import read_inventory
from gcn_luigi.stages.shards.shard import ShardRequest, build_shard
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny
from tests.reference import chips as reference_chips
from tests.reference import nodata as reference_nodata

LAYOUTS = ("chips", "windows")
PLANES = ("image", "label", "flags")


@pytest.fixture(scope="module")
def paths(tiny, tiny_output):
    return DatasetPaths(tiny_output / tiny.region)


@pytest.fixture(scope="module")
def region(tiny):
    return load_region(tiny.config / f"{tiny.region}.toml")


def changed(region, edge="clamp", step=16, **shards):
    """Return a region that keeps every chip, stored as asked for."""
    settings = region.settings
    chips = {"edge": edge, "step": step, "min_valid_label_share": 0.0, "min_valid_topo_share": 0.0}
    update = {
        "chips": settings.chips.model_copy(update=chips),
        "shards": settings.shards.model_copy(update=shards),
    }
    return replace(region, settings=settings.model_copy(update=update))


@pytest.fixture(scope="module")
def partitions(paths, region):
    """Return image, label and flags of every used partition by GDAL and the plain nodata rule alone."""
    catalog = gpd.read_parquet(paths.catalog)
    tiles = read_inventory(paths).windows
    found = {}
    for row in catalog[catalog["used"]].itertuples():
        with rasterio.open(paths.stack(row.year)) as stack:
            shape = stack.height, stack.width
            values = stack.read(
                window=RasterWindow(row.col, row.row, row.width, row.height), boundless=True, fill_value=-32768
            )
        y, x = np.mgrid[row.row : row.row + row.height, row.col : row.col + row.width]
        inside = Window(-min(row.row, 0), -min(row.col, 0), row.height, row.width)
        inside = inside.intersection(Window(0, 0, shape[0] - row.row, shape[1] - row.col))
        image, label, flags, _ = reference_nodata.strict_nodata(values, region.settings.schema_bands, inside)
        seen = np.zeros(y.shape, bool)
        for tile in tiles:
            seen |= (y >= tile.row) & (y < tile.row + tile.height) & (x >= tile.col) & (x < tile.col + tile.width)
        image[:, ~seen], label[~seen] = 0, 255
        flags[~seen] = 8 | 1 | 2 | 4 | (16 if region.settings.distance.enabled else 0)
        found[row.partition] = {"image": image, "label": label[None], "flags": flags[None]}
    return found


def expected(partitions, columns, position, size, edge, beyond):
    """Return one chip cut by the plain reference."""
    planes = partitions[columns["partition"][position]]
    fills = {"image": 0, "label": 255, "flags": beyond}
    return {
        name: reference_chips.cut_chip(
            planes[name], columns["row"][position], columns["col"][position], size, edge, fills[name]
        )
        for name in PLANES
    }


def built(region, paths, out, split="train", threads=1):
    build_shard(ShardRequest(region, paths, split, 0, 1, threads), out, lambda *_: None)
    with ShardReader(out) as shard:
        shard.check()
        return {name: shard.column(name) for name in ("chip_id", "partition", "row", "col")}


def reader_of(path, columns, **options):
    index = pd.DataFrame({"chip_id": columns["chip_id"]})
    return ChipReader(path.parent, index.assign(shard=path.name, shard_row=range(len(index))), **options)


@pytest.mark.parametrize("storage", LAYOUTS)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_chip_of_a_built_shard_is_that_of_the_reference(
    tmp_path, region, paths, partitions, storage, codec, threads
):
    path = tmp_path / "train.h5"
    columns = built(changed(region, layout=storage, codec=codec), paths, path, threads=threads)

    reader = reader_of(path, columns, threads=threads)
    batch = reader.batch(range(len(reader)))
    assert len(reader) > 50
    beyond = 8 | 1 | 2 | 4 | 16
    for position in range(len(reader)):
        wanted = expected(partitions, columns, position, 32, "clamp", beyond)
        np.testing.assert_array_equal(batch["image"][position], wanted["image"])
        np.testing.assert_array_equal(batch["label"][position], wanted["label"][0])
        np.testing.assert_array_equal(batch["flags"][position], wanted["flags"][0])
    reader.close()


@pytest.mark.parametrize("storage", LAYOUTS)
@pytest.mark.parametrize(("edge", "step"), [("pad", 24), ("legacy", 24), ("drop", 24), ("clamp", 24)])
def test_the_edge_policy_is_kept_in_every_layout(tmp_path, region, paths, partitions, storage, edge, step):
    path = tmp_path / "train.h5"
    columns = built(changed(region, edge, step, layout=storage), paths, path)
    with h5py.File(path) as file:
        beyond = int(file.attrs["beyond_flags"])

    reader = reader_of(path, columns)
    whole = reader_of(path, columns).preload()
    for position in range(len(reader)):
        wanted = expected(partitions, columns, position, 32, edge, beyond)
        for chip in (reader[position], whole[position]):
            np.testing.assert_array_equal(chip["image"], wanted["image"])
            np.testing.assert_array_equal(chip["label"], wanted["label"][0])
            np.testing.assert_array_equal(chip["flags"], wanted["flags"][0])


@pytest.mark.parametrize("storage", LAYOUTS)
@pytest.mark.parametrize("edge", ["pad", "legacy", "drop", "clamp"])
def test_the_edge_policy_is_kept_on_a_device(tmp_path, region, paths, tiny, tiny_output, storage, edge):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from gcn_luigi.read.torch import DeviceChips  # noqa: PLC0415  it imports torch
    from gcn_luigi.read.torch.ground import grounds_of  # noqa: PLC0415
    from gcn_luigi.read.torch.pixels import ground_bytes  # noqa: PLC0415

    path = tmp_path / "train.h5"
    columns = built(changed(region, edge, 24, layout=storage), paths, path)
    index = pd.DataFrame(columns).assign(shard=path.name, shard_row=range(len(columns["row"])), year=2000)
    reader, whole = ChipReader(tmp_path, index), gcn_luigi.open_dataset(tiny_output / tiny.region)
    of_reader = SimpleNamespace(chips=lambda *_, **__: reader, statistics=whole.statistics, bands=whole.bands)
    grounds = list(grounds_of(reader))
    for room in (len(grounds) + 1, 4):
        memory_mb = room * ground_bytes(reader, grounds) / 1e6
        shown = []
        for batch in DeviceChips(of_reader, "train", device="cpu", memory_mb=memory_mb).batches(7, seed=2):
            plain = reader.batch(batch["position"].numpy())
            np.testing.assert_array_equal(batch["label"].numpy(), plain["label"])
            np.testing.assert_array_equal(batch["flags"].numpy(), plain["flags"])
            raw = {name: torch.from_numpy(plain[name]) for name in ("image", "flags")}
            assert torch.equal(batch["image"], DeviceChips(of_reader, "train", device="cpu").normalise(**raw))
            shown += batch["position"].tolist()
        assert sorted(shown) == list(range(len(reader)))


@pytest.mark.parametrize("storage", LAYOUTS)
@pytest.mark.parametrize("codec", CODECS)
def test_any_number_of_threads_gives_the_same_file(tmp_path, region, paths, storage, codec):
    wanted = changed(region, layout=storage, codec=codec)
    for threads in (1, 2, 4):
        built(wanted, paths, tmp_path / f"{threads}.h5", threads=threads)

    first = (tmp_path / "1.h5").read_bytes()
    assert (tmp_path / "2.h5").read_bytes() == first
    assert (tmp_path / "4.h5").read_bytes() == first


@pytest.mark.parametrize("storage", LAYOUTS)
@pytest.mark.parametrize("codec", CODECS)
def test_a_shard_opens_in_h5py_and_in_xarray_as_documented(tmp_path, region, paths, storage, codec):
    path = tmp_path / "train.h5"
    columns = built(changed(region, layout=storage, codec=codec), paths, path)
    if codec in ("bitshuffle-lz4", "zstd"):
        pytest.importorskip("hdf5plugin")
    reader = reader_of(path, columns)

    with h5py.File(path) as file:
        for position in (0, 7, len(reader) - 1):
            if storage == "chips":
                image, label = file["image"][position], file["label"][position]
            else:
                row, top, left = (int(file[name][position]) for name in ("in_window", "row", "col"))
                part = (slice(top, top + 32), slice(left, left + 32))
                image, label = file["image"][row][:, *part], file["label"][row][part]
            np.testing.assert_array_equal(image, reader[position]["image"])
            np.testing.assert_array_equal(label, reader[position]["label"])
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        rows = "chip" if storage == "chips" else "window"
        assert opened["image"].dims == (rows, "band", "y", "x")
        assert opened["label"].dims == opened["flags"].dims == (rows, "y", "x")
        assert opened["chip_id"].dims == opened["year"].dims == ("chip",)
        assert opened.sizes["chip"] == len(reader)
        assert opened["image"].shape[2:] == ((32, 32) if storage == "chips" else (64, 64))
        if storage == "windows":
            assert opened["in_window"].dims == ("chip",)
            assert opened["window_height"].dims == ("window",)
            assert opened["window_transform"].dims == ("window", "affine")
        if storage == "chips":
            np.testing.assert_array_equal(opened["image"][7].to_numpy(), reader[7]["image"])


@pytest.mark.parametrize("codec", ["deflate", "none"])
def test_codecs_that_need_no_plugin_open_in_netcdf4(tmp_path, region, paths, codec):
    path = tmp_path / "train.h5"
    built(changed(region, layout="windows", codec=codec), paths, path)

    with xr.open_dataset(path, engine="netcdf4") as opened, h5py.File(path) as file:
        np.testing.assert_array_equal(opened["image"].to_numpy(), file["image"][...])


def test_partitions_of_different_size_are_stored_padded(tmp_path, region, paths, partitions):
    catalog = gpd.read_parquet(paths.catalog)
    # The last columns and rows of some cells are cut off, as an imported grid may have it.
    smaller = catalog["used"] & (np.arange(len(catalog)) % 2 == 0)
    catalog.loc[smaller, "width"] = 48
    catalog.loc[smaller, "height"] = 40
    other = DatasetPaths(tmp_path / "other")
    shutil.copytree(paths.root, other.root, ignore=shutil.ignore_patterns("shards"))
    catalog.to_parquet(other.catalog, write_covering_bbox=True, schema_version="1.1.0")
    path = tmp_path / "train.h5"
    columns = built(changed(region, "pad", 24, layout="windows"), other, path)
    sizes = catalog.set_index("partition")[["height", "width"]]

    with ShardReader(path) as shard:
        assert {(40, 48), (64, 64)} == set(map(tuple, shard.extents.tolist()))
        beyond = shard.fills["flags"]
    reader = reader_of(path, columns)
    for position in range(len(reader)):
        height, width = sizes.loc[columns["partition"][position]]
        cut = {
            columns["partition"][position]: {
                name: planes[:, :height, :width] for name, planes in partitions[columns["partition"][position]].items()
            }
        }
        wanted = expected(cut, columns, position, 32, "pad", beyond)
        chip = reader[position]
        np.testing.assert_array_equal(chip["image"], wanted["image"])
        np.testing.assert_array_equal(chip["label"], wanted["label"][0])
        np.testing.assert_array_equal(chip["flags"], wanted["flags"][0])


@pytest.fixture(
    scope="module", params=[("clamp", 16), pytest.param(("pad", 24), marks=pytest.mark.long), ("legacy", 24)], ids=str
)
def datasets(request, tmp_path_factory):
    """Return one dataset built in both layouts."""
    edge, step = request.param
    made = {}
    for storage in LAYOUTS:
        root = tmp_path_factory.mktemp(f"{edge}-{storage}")
        tiny = make_tiny(
            root,
            "tiny",
            ('codec = "deflate"', f'codec = "deflate"\nlayout = "{storage}"'),
            ('edge = "clamp"', f'edge = "{edge}"'),
            ("step = 16", f"step = {step}"),
        )
        build_inline(dataset(tiny.region, root / "out", tiny.sources, tiny.config))
        made[storage] = root / "out" / tiny.region
    return made


@pytest.fixture(scope="module")
def stored(region, paths, tmp_path_factory):
    path = tmp_path_factory.mktemp("windows") / "train.h5"
    return path, built(changed(region, layout="windows"), paths, path)


class TestConversion:
    def test_built_in_either_layout_a_dataset_holds_the_same(self, datasets):
        chips, windows = (gcn_luigi.open_dataset(datasets[storage]) for storage in LAYOUTS)

        assert list(validate(datasets["windows"])) == []
        pd.testing.assert_frame_equal(pd.DataFrame(windows.chip_table), pd.DataFrame(chips.chip_table))
        assert windows.statistics == chips.statistics
        for split in ("train", "dev"):
            one, other = chips.chips(split), windows.chips(split)
            assert (one.layout, other.layout) == LAYOUTS
            for name in PLANES:
                everything = range(len(one))
                np.testing.assert_array_equal(other.batch(everything)[name], one.batch(everything)[name])

    @pytest.mark.parametrize("storage", LAYOUTS)
    def test_chips_cut_on_a_device_are_the_same(self, datasets, storage):
        torch_side = pytest.importorskip("gcn_luigi.read.torch", reason="torch is not installed", exc_type=ImportError)
        opened = gcn_luigi.open_dataset(datasets[storage])
        reader = opened.chips("train")

        found = torch_side.DeviceChips(opened, "train", device="cpu").batch(range(len(reader)))

        for name, values in reader.batch(range(len(reader))).items():
            np.testing.assert_array_equal(found[name].numpy(), values)

    def test_chips_made_of_windows_are_those_of_a_build_byte_for_byte(self, datasets, tmp_path):
        convert_dataset(datasets["windows"], tmp_path / "made", "chips", None, lambda *_: None)

        assert list(validate(tmp_path / "made")) == []
        for path in sorted((datasets["chips"] / "shards").iterdir()):
            assert (tmp_path / "made" / "shards" / path.name).read_bytes() == path.read_bytes()

    @pytest.mark.parametrize("codec", CODECS)
    def test_windows_made_of_chips_give_the_same_chips_and_the_way_back_the_same_bytes(self, datasets, tmp_path, codec):
        convert_dataset(datasets["chips"], tmp_path / "made", "windows", codec, lambda *_: None)
        convert_dataset(tmp_path / "made", tmp_path / "back", "chips", "deflate", lambda *_: None)

        assert list(validate(tmp_path / "made")) == []
        one, other = (gcn_luigi.open_dataset(path) for path in (datasets["chips"], tmp_path / "made"))
        assert (
            other.description["configuration"]["shards"] | {"layout": "windows", "codec": codec}
            == (other.description["configuration"]["shards"])
        )
        for name in PLANES:
            everything = range(len(one.chips("train")))
            np.testing.assert_array_equal(
                other.chips("train").batch(everything)[name], one.chips("train").batch(everything)[name]
            )
        for path in sorted((datasets["chips"] / "shards").iterdir()):
            assert (tmp_path / "back" / "shards" / path.name).read_bytes() == path.read_bytes()

    def test_all_that_stands_alone_comes_along_and_the_origin_is_stated(self, datasets, tmp_path):
        convert_dataset(datasets["chips"], tmp_path / "made", "windows", "zstd", lambda *_: None)

        there = {path.relative_to(tmp_path / "made").as_posix() for path in (tmp_path / "made").rglob("*.*")}
        description = json.loads((tmp_path / "made" / "dataset.json").read_text())
        assert {"index.parquet", "index.gpkg", "catalog.gpkg", "label.tif", "README.md", "CITATION.md"} <= there
        assert not any(name.endswith(".vrt") for name in there)
        assert {entry["path"] for entry in description["files"]} <= there
        assert len(description["fingerprints"]["dataset.json"]) == 64
        assert "zstandard" in description["versions"]
        assert "in_window" in (tmp_path / "made" / "README.md").read_text()
        assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


class TestConversionRefused:
    def test_a_directory_that_is_there_is_left_alone(self, small_output, tmp_path):
        (tmp_path / "there").mkdir()

        with pytest.raises(ConfigError, match="something already exists"):
            convert_dataset(small_output, tmp_path / "there", "windows", None, lambda *_: None)

        assert list((tmp_path / "there").iterdir()) == []

    @pytest.mark.parametrize(
        "content", [None, "{}", "[]", "x", '{"files": [], "configuration": {}, "fingerprints": {}}']
    )
    def test_what_is_no_dataset_is_refused(self, tmp_path, content):
        (tmp_path / "source").mkdir()
        if content is not None:
            (tmp_path / "source" / "dataset.json").write_text(content)

        with pytest.raises(ShardError) as caught:
            convert_dataset(tmp_path / "source", tmp_path / "made", "windows", None, lambda *_: None)

        assert "dataset.json" in caught.value.where
        assert not (tmp_path / "made").exists()

    @pytest.mark.fault
    @pytest.mark.parametrize("victim", ["shards/train-00000-of-00002.h5", "index.parquet", "catalog.gpkg"])
    @pytest.mark.parametrize("damage", ["lost", "flipped"])
    def test_a_damaged_source_is_named_and_nothing_is_left(self, small_output, tmp_path, victim, damage):
        shutil.copytree(small_output, tmp_path / "source")
        path = tmp_path / "source" / victim
        content = bytearray(path.read_bytes())
        path.unlink()
        if damage == "flipped":
            content[len(content) // 2] ^= 4
            path.write_bytes(content)

        with pytest.raises(GcnLuigiError) as caught:
            convert_dataset(tmp_path / "source", tmp_path / "made", "windows", None, lambda *_: None)

        assert path.name in caught.value.where
        assert [entry.name for entry in tmp_path.iterdir()] == ["source"]

    @pytest.mark.fault
    def test_a_sound_shard_that_is_not_the_one_of_the_manifest_is_named(self, small_output, tmp_path):
        shutil.copytree(small_output, tmp_path / "source")
        shards = tmp_path / "source" / "shards"
        shutil.copyfile(shards / "train-00001-of-00002.h5", shards / "train-00000-of-00002.h5")

        with pytest.raises(ShardError, match="SHA-256 differs") as caught:
            convert_dataset(tmp_path / "source", tmp_path / "made", "windows", None, lambda *_: None)

        assert "train-00000-of-00002.h5" in caught.value.where
        assert not (tmp_path / "made").exists()


class TestWindowsReader:
    def test_a_cache_too_small_for_a_batch_gives_the_same_chips(self, stored):
        path, columns = stored
        big, small = reader_of(path, columns), reader_of(path, columns, cache_mb=0)
        order = np.random.default_rng(1).permutation(len(big))

        for name in PLANES:
            np.testing.assert_array_equal(small.batch(order)[name], big.batch(order)[name])
        assert len(small._store._cache.extents) == 1

    def test_a_preloaded_reader_gives_the_same_and_needs_no_file(self, stored, tmp_path):
        path, columns = stored
        shutil.copyfile(path, tmp_path / path.name)
        reader = reader_of(tmp_path / path.name, columns).preload()
        (tmp_path / path.name).unlink()

        batch = reader.batch(range(len(columns["row"])))

        np.testing.assert_array_equal(batch["image"], reader_of(path, columns).batch(batch["position"])["image"])
        assert reader.nbytes == sum(plane.nbytes for plane in reader._store._cache.planes.values())

    def test_a_pickled_reader_leaves_its_memory_behind(self, stored):
        path, columns = stored
        reader = reader_of(path, columns).preload()

        sent = pickle.dumps(reader)

        assert len(sent) < 200_000
        np.testing.assert_array_equal(pickle.loads(sent)[3]["image"], reader[3]["image"])  # noqa: S301

    def test_a_group_of_partitions_is_decoded_once(self, stored, monkeypatch):
        path, columns = stored
        reader = reader_of(path, columns, cache_mb=0)
        n_windows = len(set(columns["partition"]))
        reads = []
        read_row = ShardReader.read_row
        monkeypatch.setattr(
            ShardReader,
            "read_row",
            lambda self, name, row, out: reads.append((name, row)) or read_row(self, name, row, out),
        )
        order = reader.order(seed=8, group=1)

        for _ in reader.batches(16, order):
            pass

        # One partition at a time; a batch that ends in the middle of one does not read it again.
        assert len(reads) == 3 * n_windows
        assert sorted(order) == list(range(len(reader)))

    @pytest.mark.fault
    @pytest.mark.parametrize("whole", [False, True])
    def test_a_damaged_partition_is_noticed_and_a_chip_of_it_named(self, stored, tmp_path, whole):
        path, columns = stored
        with ShardReader(path) as shard:
            offset, row = int(shard.arrays["image"].offsets[2]), 2
            victims = {columns["chip_id"][n] for n, place in enumerate(shard.places) if place[0] == row}
        content = bytearray(path.read_bytes())
        content[offset + 100] ^= 1
        (tmp_path / path.name).write_bytes(content)
        # One place in memory: it must be free again after the damage.
        reader = reader_of(tmp_path / path.name, columns, cache_mb=0)
        first = next(n for n, name in enumerate(columns["chip_id"]) if name in victims)

        with pytest.raises(ShardError) as caught:
            reader.preload() if whole else reader[first]

        assert any(name in caught.value.what for name in victims)
        assert path.name in caught.value.where
        assert reader[0]["image"].shape == (len(reader[0]["image"]), 32, 32)
