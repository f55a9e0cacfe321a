"""The confidence of the label, from sources to tensors: compared with rasterio and scipy reading the originals."""

import json
import shutil
from types import SimpleNamespace

import geopandas as gpd
import h5py
import numpy as np
import pyogrio
import pytest
import rasterio
import xarray as xr
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy import ndimage

import gcn_luigi
from gcn_luigi import Flag
from gcn_luigi.errors import ConfigError, ShardError
from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.io.shard.equality import content_keys
from gcn_luigi.io.shard.format import write_footer
from gcn_luigi.prepare.partitions.query import Selection
from gcn_luigi.read.checks.shards import index_problems
from gcn_luigi.read.confidence import weights
from gcn_luigi.read.export.export import Request, export
from gcn_luigi.read.transforms import dihedral
from gcn_luigi.read.validate import validate
from gcn_luigi.settings import LabelSettings, RegionSettings
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.tasks import LabelConfidence
from tests.integration.builds import build_inline, dataset, once_per_run
from tests.integration.changes import write_config
from tests.integration.commands import make_tiny
from tests.integration.test_examples import _training
from tests.integration.test_outline_labels import write

EDGE_PX, LOST, LIMIT = 3, 4.0, 70
VOTES = {
    "label.max_votes": 7,
    "label.confidence": ["votes", "edge", "years"],
    "label.edge_px": EDGE_PX,
    "label.confidence_lost_per_year": LOST,
    "label.min_confidence": LIMIT,
}


def world_with_gaps(root):
    """Return the tiny world; some of its votes are missing."""
    tiny = make_tiny(root)
    path = next((tiny.sources / "stem").glob("*.tif"))
    with rasterio.open(path, "r+") as stem:
        votes = stem.read(1)
        for row in range(20, votes.shape[0] - 10, 45):
            votes[row : row + 6, 15::50] = stem.nodata
        stem.write(votes, 1)
    return tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return world_with_gaps(tmp_path_factory.mktemp("confidence"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the directory of a dataset with votes, edge and years, its sources, and the same without confidence."""

    def make(root):
        tiny = world_with_gaps(root)
        for name, changes in (("with", VOTES), ("without", {})):
            config = write_config(root / f"config-{name}", tiny, changes)
            build_inline(dataset(tiny.region, root / name, tiny.sources, config))

    root = once_per_run(tmp_path_factory, "label-confidence", make)
    return SimpleNamespace(
        root=root / "with/tiny", sources=root / "input", config=root / "config-with", plain=root / "without/tiny"
    )


def burnt(shapes, label, margin):
    """Return where rasterio burns shapes, on the lattice of a raster with a margin around it."""
    with rasterio.open(label) as source:
        transform = source.transform * Affine.translation(-margin, -margin)
        shape = (source.height + 2 * margin, source.width + 2 * margin)
    return rasterize(list(shapes), out_shape=shape, transform=transform).astype(bool)


def edge_by_scipy(shapes, label, edge_px, holes=()):
    """Return the confidence of the edge, from distances on the whole lattice and far around it."""
    margin = 40
    inside = burnt(shapes, label, margin)
    if len(holes):
        inside &= ~burnt(holes, label, margin)
    edt = ndimage.distance_transform_edt
    distance = np.where(inside, edt(inside), edt(~inside))[margin:-margin, margin:-margin] - 0.5
    return np.rint(50 + 50 * np.minimum(distance / edge_px, 1)), inside[margin:-margin, margin:-margin]


def outlines_of(sources):
    return pyogrio.read_dataframe(sources / "rgi/outlines.gpkg").to_crs("EPSG:3338").geometry


def assert_planes(paths_root, spatial, *, lost=0.0, limit=None):
    """Compare the raster and the confidence, flag and weight of every chip with `spatial`, without the years."""
    opened = gcn_luigi.open_dataset(paths_root)
    with rasterio.open(paths_root / "label.tif") as source:
        label, transform = source.read(1), source.transform
    expected = np.where(label == 255, 255, spatial)
    with rasterio.open(paths_root / "confidence.tif") as source:
        assert (source.dtypes, source.nodata, source.descriptions) == (("uint8",), 255, ("confidence",))
        np.testing.assert_array_equal(source.read(1), expected)
    table, seen = opened.chip_table.set_index("chip_id"), set()
    for split in ("train", "dev"):
        for chip in opened.chips(split):
            row = table.loc[chip["chip_id"]]
            x, y = (round(value) for value in ~transform * (row["left"], row["top"]))
            size = chip["label"].shape[0]
            there = expected[y : y + size, x : x + size]
            left = 100 - lost * max(row["year_gap"], 0)
            wanted = np.where(chip["label"] == 255, 255, np.minimum(there, left))
            np.testing.assert_array_equal(chip["confidence"], wanted)
            np.testing.assert_allclose(chip["weight"], np.where(wanted == 255, 0, wanted / 100), rtol=1e-6)
            np.testing.assert_array_equal(chip["flags"] & Flag.UNCERTAIN > 0, wanted < (limit or 0))
            seen |= {*np.unique(wanted).tolist()}
    assert list(validate(paths_root, deep=True)) == []
    return opened, seen


class TestSources:
    def test_votes_edge_and_years_are_those_of_the_originals(self, built):
        edge, inside = edge_by_scipy(outlines_of(built.sources), built.root / "label.tif", EDGE_PX)
        with (
            rasterio.open(built.root / "label.tif") as lattice,
            rasterio.open(next((built.sources / "stem").glob("*.tif"))) as stem,
        ):
            window = stem.window(*lattice.bounds).round_offsets().round_lengths()
            votes = stem.read(1, window=window, boundless=True, fill_value=stem.nodata or 0).astype(float)
        clear = np.where(votes >= 4, (votes - 3.5) / 3.5, (3.5 - votes) / 3.5)
        clear = np.where(inside, np.rint(50 + 50 * clear), 100)

        opened, seen = assert_planes(built.root, np.minimum(clear, edge), lost=LOST, limit=LIMIT)

        # Each source decides somewhere: votes just above the threshold, pixels next to an outline, years elsewhere.
        assert {57, 58, 255} <= seen
        assert opened.chip_table["year_gap"].max() > 0

    @pytest.mark.long
    def test_a_finished_label_gets_the_edge_of_the_outlines(self, tiny, built, tmp_path):
        shutil.copy(built.root / "label.tif", tiny.sources / "finished.tif")
        label = {"raster": "finished.tif", "confidence": ["edge"], "edge_px": 2}
        config = write_config(tmp_path / "config", tiny, {"label": label})
        build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, config))

        edge, _ = edge_by_scipy(outlines_of(tiny.sources), built.root / "label.tif", 2)
        opened, _ = assert_planes(tmp_path / "out/tiny", edge)
        assert opened.statistics["confidence"]["train"]["ice"]["uncertain"] is None

    def test_a_label_from_outlines_knows_nunataks_by_their_class(self, tiny, tmp_path):
        shapes = outlines_of(tiny.sources)
        nunataks = shapes.representative_point().buffer(150.0)
        frame = gpd.GeoDataFrame(
            {"kind": ["ice"] * len(shapes) + ["none"] * len(nunataks), "BgnDate": "20080801"},
            geometry=[*shapes, *nunataks], crs="EPSG:3338",
        )  # fmt: skip
        path = write(tiny, "kinds.gpkg", frame.geometry, {"kind": frame["kind"], "BgnDate": frame["BgnDate"]})
        label = {
            "source": "outlines",
            "class_column": "kind",
            "confidence": ["edge", "years"],
            "allow_absent": ["debris"],
        }
        changes = {"outlines": {"path": path, "id_field": "row"}, "label": label}
        config = write_config(tmp_path / "config", tiny, changes)
        build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, config))

        edge, _ = edge_by_scipy(shapes, tmp_path / "out/tiny/label.tif", 2, holes=nunataks)
        assert_planes(tmp_path / "out/tiny", edge, lost=1.0)


@pytest.fixture(scope="module", params=["chips", "windows"])
def opened(request, built, tmp_path_factory):
    """Return the dataset in either layout."""
    if request.param == "chips":
        return gcn_luigi.open_dataset(built.root)
    target = tmp_path_factory.mktemp("windows") / "tiny"
    convert_dataset(built.root, target, "windows", None, lambda *_: None)
    return gcn_luigi.open_dataset(target)


class TestReading:
    @pytest.mark.parametrize("is_preloaded", [False, True])
    def test_batches_hold_it_however_they_are_read(self, built, opened, is_preloaded):
        plain = np.concatenate([
            h5py.File(path)["confidence"][...] for path in sorted((built.root / "shards").glob("train-*.h5"))
        ])  # fmt: skip
        chips = opened.chips("train", threads=2)
        chips = chips.preload() if is_preloaded else chips

        batch = chips.batch([3, 1, -1])
        again = chips.batch([0, 2, 5], out=batch)

        np.testing.assert_array_equal(again["confidence"], plain[[0, 2, 5]])
        np.testing.assert_array_equal(again["weight"], weights(plain[[0, 2, 5]]))
        assert again["weight"].dtype == np.float32
        read = [part["confidence"].copy() for part in chips.batches(7)]
        np.testing.assert_array_equal(np.concatenate(read), plain)

    def test_torch_gets_weights_that_are_0_where_the_label_is_missing(self, opened):
        torch = pytest.importorskip("torch")
        from gcn_luigi.read.torch import ChipDataset, ChipStream  # noqa: PLC0415

        n_missing = 0
        for batch in ChipStream(opened.chips("train"), 16, seed=1):
            assert batch["weight"].dtype == torch.float32
            assert batch["weight"].shape == batch["label"].shape
            missing = batch["label"] == 255
            assert not batch["weight"][missing].any()
            assert (batch["weight"][~missing] > 0).all()
            n_missing += int(missing.sum())
        assert n_missing
        assert set(ChipDataset(opened.chips("dev"))[0]) >= {"confidence", "weight"}

    @pytest.mark.parametrize("k", range(8))
    def test_it_turns_with_the_chip(self, opened, k):
        chip = opened.chips("train")[2]
        chip["label"] = chip["confidence"].copy()

        turned = dihedral(chip, k)

        np.testing.assert_array_equal(turned["confidence"], turned["label"])
        np.testing.assert_array_equal(turned["weight"], weights(turned["label"]))
        assert k == 0 or not np.array_equal(turned["confidence"], chip["confidence"])

    @pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
    def test_xarray_keeps_percents_whole(self, opened, engine):
        path = min(opened.paths.shards.glob("train-*.h5"))
        with xr.open_dataset(path, engine=engine) as shard:
            assert shard.confidence.dtype == np.uint8
            assert shard.confidence.attrs["units"] == "percent"
            assert shard.confidence.attrs["made_from"] == "votes edge years"
            assert shard.flags.flag_meanings.split()[-1] == "label_uncertain"
            assert shard.confidence.dims == shard.label.dims

    def test_xarray_of_chips_holds_it(self, opened):
        names = opened.chip_table["chip_id"][:3].tolist()

        made = opened.to_xarray(names)

        np.testing.assert_array_equal(made.confidence, opened.chips("train").batch([0, 1, 2])["confidence"])
        assert made.flags.attrs["flag_masks"].tolist() == [1, 2, 4, 8, 16, 32]


class TestStorage:
    @pytest.mark.parametrize("codec", CODECS)
    def test_conversion_keeps_it_with_every_codec(self, built, tmp_path, codec):
        if codec in ("bitshuffle-lz4", "zstd"):
            pytest.importorskip("hdf5plugin" if codec == "bitshuffle-lz4" else "zstandard")
        for layout in ("windows", "chips"):
            target = tmp_path / layout
            convert_dataset(built.root, target, layout, codec, lambda *_: None)
            there, here = gcn_luigi.open_dataset(target), gcn_luigi.open_dataset(built.root)
            for split in ("train", "dev"):
                for name in ("confidence", "flags"):
                    np.testing.assert_array_equal(
                        there.chips(split).batch(range(9))[name], here.chips(split).batch(range(9))[name]
                    )
            assert list(validate(target, deep=True)) == []

    def test_a_conversion_there_and_back_gives_the_same_bytes(self, built, tmp_path):
        convert_dataset(built.root, tmp_path / "windows", "windows", None, lambda *_: None)
        convert_dataset(tmp_path / "windows", tmp_path / "chips", "chips", None, lambda *_: None)

        for path in (built.root / "shards").iterdir():
            assert (tmp_path / "chips/shards" / path.name).read_bytes() == path.read_bytes()

    @pytest.mark.parametrize("layout", ["windows", pytest.param("chips", marks=pytest.mark.long)])
    def test_a_build_gives_what_a_conversion_gives(self, tiny, built, tmp_path, layout):
        config = write_config(tmp_path / "config", tiny, {**VOTES, "shards.layout": layout, "shards.codec": "none"})
        build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, config))
        made = gcn_luigi.open_dataset(tmp_path / "out/tiny")

        for name in ("confidence", "weight", "flags"):
            expected = gcn_luigi.open_dataset(built.root).chips("train").batch(range(20))[name]
            np.testing.assert_array_equal(made.chips("train").batch(range(20))[name], expected)

    def test_a_flipped_bit_is_noticed(self, built, tmp_path):
        copy = shutil.copytree(built.root, tmp_path / "tiny")
        path = min((copy / "shards").glob("train-*.h5"))
        with h5py.File(path) as file:
            chunk = file["confidence"].id.get_chunk_info(1)
        content = bytearray(path.read_bytes())
        content[chunk.byte_offset + chunk.size // 2] ^= 4
        path.write_bytes(content)

        with pytest.raises(ShardError, match="cannot be read"):
            gcn_luigi.open_dataset(copy).chips("train")[1]
        found = "\n".join(validate(copy, deep=True))
        assert "row 1" in found
        assert "confidence" in found

    @pytest.mark.parametrize(("value", "at"), [(120, "known"), (90, "missing")])
    def test_a_value_that_cannot_be_is_noticed_though_its_checksum_is_right(self, built, tmp_path, value, at):
        copy = shutil.copytree(built.root, tmp_path / "tiny")
        path = min((copy / "shards").glob("train-*.h5"))
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            is_missing = file["label"][...] == 255
            rows, ys, xs = np.nonzero(is_missing if at == "missing" else ~is_missing)
            file["confidence"][rows[0], ys[0], xs[0]] = value
        write_footer(path)

        found = "\n".join(validate(copy, deep=True))

        assert f"confidence: {value} is no percentage, or does not fit the label" in found

    def test_a_shard_without_it_does_not_fit_the_dataset(self, built, tmp_path):
        copy = shutil.copytree(built.root, tmp_path / "tiny")
        name = min((copy / "shards").glob("train-*.h5")).name
        shutil.copy(built.plain / "shards" / name, copy / "shards" / name)

        found = list(index_problems(gcn_luigi.open_dataset(copy), [name]))

        assert f"{name}: it has no confidence of the label, but the dataset has one" in found

    def test_statistics_count_what_the_chips_hold(self, tiny, tmp_path):
        # Chips side by side, so that no pixel is in two of them.
        config = write_config(tmp_path / "config", tiny, {**VOTES, "chips.step": 32})
        build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, config))
        opened = gcn_luigi.open_dataset(tmp_path / "out/tiny")

        for split in ("train", "dev"):
            chips = opened.chips(split)
            batch = chips.batch(range(len(chips)))
            for each in opened.classes:
                confidence = batch["confidence"][batch["label"] == each.value]
                found = opened.statistics["confidence"][split][each.name]
                assert found["pixels"] == confidence.size
                assert found["mean"] == pytest.approx(confidence.mean())
                assert found["uncertain"] == int((confidence < LIMIT).sum())
                assert found["by_tens"] == np.bincount(confidence // 10, minlength=11).tolist()

    def test_without_the_keys_nothing_differs(self, built):
        plain = gcn_luigi.open_dataset(built.plain)

        assert not plain.has_confidence
        assert set(plain.chips("train")[0]) == {"image", "label", "flags", "chip_id"}
        assert set(plain.chips("train").batch([0])) == {"image", "label", "flags", "position"}
        assert "confidence" not in plain.statistics
        assert not (built.plain / "confidence.tif").exists()
        text = json.dumps(plain.description["configuration"])
        assert "confidence" not in text
        assert "edge_px" not in text
        # What the label of a pixel is, and which chips are kept, does not depend on it.
        with_it = gcn_luigi.open_dataset(built.root)
        assert plain.chip_table.equals(with_it.chip_table)
        for path in ("label.tif", "catalog.parquet", "index.parquet"):
            assert (built.plain / path).read_bytes() == (built.root / path).read_bytes()


class TestExport:
    @pytest.mark.parametrize("form", ["chips", "partitions", "mosaic"])
    def test_a_geotiff_with_a_style_lies_beside_the_label(self, built, tmp_path, form):
        opened = gcn_luigi.open_dataset(built.root)

        export(opened, tmp_path / "out", Request(Selection(split="dev"), form), lambda *_: None)

        paths = sorted((tmp_path / "out").glob("*_confidence.tif"))
        assert paths
        with rasterio.open(built.root / "confidence.tif") as whole:
            for path in paths:
                assert path.with_suffix(".qml").is_file()
                with rasterio.open(path) as file, rasterio.open(str(path).replace("confidence", "label")) as label:
                    assert (file.nodata, file.units, file.dtypes) == (255, ("percent",), ("uint8",))
                    pixels = file.read(1)
                    np.testing.assert_array_equal(pixels == 255, label.read(1) == 255)
                    window = whole.window(*file.bounds).round_offsets().round_lengths()
                    there = whole.read(1, window=window)
                    assert (pixels <= np.where(pixels == 255, 255, there)).all()

    def test_a_dataset_without_it_exports_none_and_says_so(self, built, tmp_path):
        plain = gcn_luigi.open_dataset(built.plain)
        export(plain, tmp_path / "all", Request(Selection(limit=1)), lambda *_: None)

        assert not list((tmp_path / "all").glob("*confidence*"))
        with pytest.raises(ConfigError, match="the dataset has no confidence"):
            export(plain, tmp_path / "one", Request(Selection(limit=1), layers=("confidence",)), lambda *_: None)


class TestOtherSettings:
    @pytest.mark.parametrize(
        "changes",
        [
            {"nodata.mode": "legacy", "nodata.legacy.topo_band": -2, "nodata.fill": 1},
            pytest.param({"chips.edge": "pad", "chips.step": 24, "shards.layout": "windows"}, marks=pytest.mark.long),
            pytest.param({"chips.edge": "legacy", "chips.step": 24}, marks=pytest.mark.long),
            pytest.param({"label.ice_outside": "ignore"}, marks=pytest.mark.long),
            pytest.param({"label.ice_outside": "ice"}, marks=pytest.mark.long),
            {"stack.dtype": "float32"},
            pytest.param(
                {"lattice.bounds": [336010.0, 1288330.0, 345580.0, 1295980.0], "align.resampling": "bilinear"},
                marks=pytest.mark.long,
            ),
        ],
        ids=str,
    )
    def test_a_dataset_is_sound_to_the_bottom(self, tiny, tmp_path, changes):
        config = write_config(tmp_path / "config", tiny, VOTES, changes)
        build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, config))

        assert list(validate(tmp_path / "out/tiny", deep=True)) == []
        opened = gcn_luigi.open_dataset(tmp_path / "out/tiny")
        chips = opened.chips("train")
        batch = chips.batch(range(len(chips)))
        missing = batch["flags"] & Flag.LABEL > 0
        assert missing.any()
        assert (batch["confidence"][missing] == 255).all()
        assert not batch["weight"][missing].any()
        assert not (batch["flags"][missing] & Flag.UNCERTAIN).any()
        assert (batch["confidence"][~missing] <= 100).all()

    @pytest.mark.long
    def test_a_third_split_has_it_as_well(self, tiny, tmp_path):
        changes = {"split.test_share": 0.2, "split.block_partitions": 1, "split.buffer_partitions": 0}
        config = write_config(tmp_path / "config", tiny, VOTES, changes)
        build_inline(dataset(tiny.region, tmp_path / "out", tiny.sources, config))
        opened = gcn_luigi.open_dataset(tmp_path / "out/tiny")

        weight = opened.chips("test").batch([0, 1])["weight"]

        assert weight.any()
        assert set(opened.statistics["confidence"]) >= {"train", "dev", "test"}
        assert opened.statistics["confidence"]["test"]["none"]["pixels"] > 0

    def test_votes_count_outside_where_they_make_ice(self, tiny, tmp_path):
        found = {}
        for outside in ("none", "ice"):
            changes = {**VOTES, "label.confidence": ["votes"], "label.ice_outside": outside}
            del changes["label.edge_px"], changes["label.confidence_lost_per_year"]
            config = write_config(tmp_path / f"config-{outside}", tiny, changes)
            root = dataset(tiny.region, tmp_path / outside, tiny.sources, config)
            build_inline(root.clone(LabelConfidence))
            with rasterio.open(root.paths.confidence) as source:
                found[outside] = source.read(1)
            inside = burnt(outlines_of(tiny.sources), root.paths.label, 0)

        np.testing.assert_array_equal(found["none"][inside], found["ice"][inside])
        known = found["none"] != 255
        assert (found["none"][~inside & known] == 100).all()
        assert (found["ice"][~inside & known] < 100).any()

    def test_a_plan_counts_its_bytes(self, tiny, built, tmp_path):
        from gcn_luigi.operate.forecast import forecast, tasks_to_prepare  # noqa: PLC0415

        config = write_config(tmp_path / "config", tiny, VOTES)
        root = dataset(tiny.region, tmp_path / "out", tiny.sources, config)
        for task in tasks_to_prepare(root, is_exact=True):
            build_inline(task)
        (tmp_path / "scratch").mkdir()

        found = forecast(root, root, tmp_path / "scratch", lambda *_: None, workers=1, is_exact=True)

        chips = len(gcn_luigi.open_dataset(built.root).chip_table)
        n_bands = len(gcn_luigi.open_dataset(built.root).bands)
        assert found.plan.chips == chips
        assert found.plan.chips_bytes == chips * 32**2 * (2 * n_bands + 3)
        assert "gcn.LabelConfidence()" in [planned.task.name for planned in found.tasks]

    def test_equal_chips_are_equal_whatever_their_confidence(self, built, tmp_path):
        copy = shutil.copytree(built.root / "shards", tmp_path / "shards")
        name = min(copy.glob("train-*.h5")).name
        with h5py.File(copy / name, "r+", libver=("v110", "v110")) as file:
            for plane in ("image", "label", "flags"):
                # Both are written by HDF5, whose zlib compresses otherwise than a build does.
                file[plane][:2] = np.stack([file[plane][0]] * 2)
            file["confidence"][1] = 100 - file["confidence"][0] % 7
        write_footer(copy / name)

        first, second, third = content_keys(copy, [(name, 0), (name, 1), (name, 2)])

        assert first == second != third


@pytest.mark.long
def test_a_loss_counts_pixels_by_their_weight():
    torch = pytest.importorskip("torch")
    loss_of, same = _training().loss_of, torch.testing.assert_close
    found, of_class = torch.randn(2, 3, 5, 5), torch.tensor([1.0, 3.0, 2.0])
    place = torch.randint(0, 3, (2, 5, 5))
    place[0, 0] = 255
    sure = (place != 255).float()

    same(loss_of(found, place, of_class, sure), loss_of(found, place, of_class))
    # Half the weight everywhere is the same mean.
    same(loss_of(found, place, of_class, sure / 2), loss_of(found, place, of_class))
    # A pixel without weight does not count, whatever the network says of it.
    sure[1, 2] = 0
    before = loss_of(found, place, of_class, sure)
    found[1, :, 2] += 50 * torch.randn(3, 5)
    same(loss_of(found, place, of_class, sure), before)
    assert loss_of(found, place, of_class, torch.zeros_like(sure)) == 0


class TestSettings:
    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"source": "outlines", "confidence": ["votes"]}, "needs stem"),
            ({"raster": "a.tif", "confidence": ["votes", "edge"]}, "needs stem"),
            ({"stem": "a.tif", "confidence": ["votes"]}, "needs max_votes"),
            ({"stem": "a.tif", "confidence": ["votes"], "max_votes": 3}, "a min_votes from 1 to max_votes"),
            ({"stem": "a.tif", "edge_px": 2}, r'edge_px needs confidence = \["edge"\]'),
            ({"stem": "a.tif", "confidence": ["edge"], "edge_px": -1}, "greater than or equal to 1"),
            ({"stem": "a.tif", "confidence": ["edge"], "edge_px": 101}, "less than or equal to 100"),
            ({"stem": "a.tif", "confidence_lost_per_year": 2}, r'needs confidence = \["years"\]'),
            ({"stem": "a.tif", "confidence": ["years"], "confidence_lost_per_year": -2}, "greater than 0"),
            ({"stem": "a.tif", "min_confidence": 70}, "min_confidence needs confidence"),
            ({"stem": "a.tif", "confidence": ["edge"], "min_confidence": 101}, "less than or equal to 100"),
            ({"stem": "a.tif", "confidence": ["edge", "edge"]}, "names a source twice"),
            ({"stem": "a.tif", "confidence": ["distance"]}, "'votes', 'edge' or 'years'"),
        ],
        ids=str,
    )
    def test_keys_that_do_not_fit_are_refused(self, keys, message):
        with pytest.raises(ValueError, match=message):
            LabelSettings(**keys)

    def test_years_need_dated_outlines(self, tiny, tmp_path):
        from gcn_luigi.config import load_region  # noqa: PLC0415

        changes = {"label.confidence": ["years"], "outlines.date_field": "none"}
        config = write_config(tmp_path, tiny, changes)

        with pytest.raises(ConfigError, match="needs dates"):
            load_region(config / "tiny.toml")

    def test_a_finished_label_needs_outlines_for_its_edge(self, tiny, tmp_path):
        from gcn_luigi.config import load_region  # noqa: PLC0415

        config = write_config(tmp_path, tiny, {"label": {"raster": "a.tif", "confidence": ["edge"]}, "outlines": None})

        with pytest.raises(ConfigError, match="outlines"):
            load_region(config / "tiny.toml")

    def test_a_label_without_confidence_says_nothing_of_it(self):
        said = LabelSettings(stem="a.tif").model_dump(mode="json")

        assert not {"confidence", "edge_px", "confidence_lost_per_year", "min_confidence"} & set(said)
        assert "label" in RegionSettings.model_fields
