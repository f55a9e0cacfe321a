"""Distances to training and the area of applicability, from a dataset that the graph built."""

import builtins
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from scipy.spatial.distance import cdist

import gcn_luigi
from gcn_luigi.errors import ConfigError, InputError, ShardError
from gcn_luigi.prepare.evaluation.dissimilarity import FROM_FOLDS, TrainingSpace
from gcn_luigi.prepare.evaluation.features import feature_names, is_complete
from gcn_luigi.read.applicability import (
    INSIDE,
    MISSING,
    OUTSIDE,
    applicability,
    training_space,
    write_applicability,
)
from tests.contracts.fences import blocks
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def tiny_dataset(tiny, tiny_output):
    return gcn_luigi.open_dataset(tiny_output / tiny.region)


@pytest.fixture(scope="module")
def names(tiny_dataset):
    return feature_names([band.name for band in tiny_dataset.bands])


@pytest.fixture(scope="module")
def stack(tiny_dataset):
    """Return the stack of the last year as a file, and its pixels and band names."""
    path = max(tiny_dataset.paths.root.glob("stacks/*.vrt"))
    with rasterio.open(path) as file:
        return path, file.read(), list(file.descriptions)


def test_features_are_those_of_the_chips(tiny_dataset, names):
    table = tiny_dataset.chip_features.set_index("chip_id")
    assert sorted(table.index) == sorted(tiny_dataset.chip_table["chip_id"])
    assert table["split"].to_dict() == tiny_dataset.chip_table.set_index("chip_id")["split"].to_dict()
    for split in ("train", "dev"):
        chips = tiny_dataset.chips(split)
        batch = chips.batch(np.arange(len(chips)))
        bits = np.array(
            [1 if band.role == "optical" else 2 if band.role == "topo" else 16 for band in tiny_dataset.bands]
        )
        valid = (batch["flags"][:, np.newaxis] & (bits[:, np.newaxis, np.newaxis] | 8)) == 0
        pixels = np.ma.masked_array(batch["image"].astype(float), ~valid)
        wanted = np.ma.concatenate([pixels.mean(axis=(2, 3)), pixels.std(axis=(2, 3))], axis=1).filled(np.nan)
        found = table.loc[[str(name) for name in chips.ids(np.arange(len(chips)))], list(names)].to_numpy()
        has = is_complete(found)
        assert has.mean() > 0.5
        np.testing.assert_allclose(found[has], wanted[has], rtol=1e-5, atol=1e-3)


def test_distances_in_metres_are_those_of_the_index(tiny_dataset):
    table, cells = tiny_dataset.chip_table, tiny_dataset.partition_table
    centres = np.column_stack([(table["left"] + table["right"]) / 2, (table["bottom"] + table["top"]) / 2])
    train, dev = (centres[(table["split"] == split).to_numpy()] for split in ("train", "dev"))
    area = np.column_stack([(cells["left"] + cells["right"]) / 2, (cells["bottom"] + cells["top"]) / 2])
    area = area[(cells["outside_share"] <= 0.5).to_numpy()]
    curves = tiny_dataset.distances["space"]["curves"]

    for kind, points in (("dev", dev), ("area", area)):
        apart = cdist(points, train).min(axis=1)
        assert curves[kind]["places"] == len(points)
        assert curves[kind]["mean"] == pytest.approx(apart.mean(), rel=1e-6)
        assert curves[kind]["curve"] == pytest.approx(np.quantile(apart, np.linspace(0, 1, 101)), rel=1e-6)


def test_the_file_describes_the_space_that_the_table_gives(tiny_dataset, names):
    described, made = training_space(tiny_dataset), TrainingSpace.of(tiny_dataset.chip_features, names)

    assert described.threshold == pytest.approx(made.threshold, rel=1e-6)
    assert described.mean_distance == pytest.approx(made.mean_distance, rel=1e-6)
    np.testing.assert_allclose(described.points, made.points, atol=1e-4)
    assert described.source == made.source


def test_a_train_chip_is_like_itself(tiny_dataset):
    chips = tiny_dataset.chips("train")
    whole = next(chip for chip in (chips[at] for at in range(len(chips))) if not chip["flags"].any())
    size = whole["image"].shape[-1]
    found = applicability(whole["image"], tiny_dataset, step=size)

    assert found.dissimilarity.max() < 1e-4
    assert (found.inside == INSIDE).all()
    assert found.share == 1.0


def test_each_square_has_the_index_of_the_window_around_it(tiny_dataset, stack):
    path, pixels, bands = stack
    size, step = tiny_dataset.description["configuration"]["chips"]["size"], 10
    space, found = training_space(tiny_dataset), applicability(path, tiny_dataset, step=step)
    order = [bands.index(band.name) for band in tiny_dataset.bands]
    height, width = found.dissimilarity.shape
    for row, col in ((0, 0), (height // 2, width // 2), (height - 1, width - 1), (3, width // 3)):
        first = [
            int(np.clip(at // step * step + step // 2 - size // 2, 0, length - size))
            for at, length in ((row, height), (col, width))
        ]
        window = pixels[order, first[0] : first[0] + size, first[1] : first[1] + size]
        wanted = applicability(window, tiny_dataset, step=size).dissimilarity[size // 2, size // 2]
        if not np.isnan(found.dissimilarity[row, col]):
            assert found.dissimilarity[row, col] == pytest.approx(wanted, rel=1e-4)
    known = ~np.isnan(found.dissimilarity)
    assert known.any()
    np.testing.assert_array_equal(found.inside == MISSING, ~known)
    np.testing.assert_array_equal((found.inside == INSIDE)[known], found.dissimilarity[known] <= space.threshold)


def test_a_file_an_array_and_a_data_array_give_the_same(tiny_dataset, stack, tmp_path, monkeypatch):
    path, pixels, bands = stack
    from_file = applicability(path, tiny_dataset)
    from_array = applicability(pixels, tiny_dataset, bands=bands)
    turned = xr.DataArray(pixels, dims=("band", "y", "x"), coords={"band": bands}).transpose("y", "x", "band")
    from_xarray = applicability(turned, tiny_dataset)
    # So few columns at a time that several blocks lie next to each other.
    monkeypatch.setattr("gcn_luigi.read.applicability._PIXELS", 3000)
    share = write_applicability(path, tiny_dataset, tmp_path / "aoa.tif")
    with rasterio.open(tmp_path / "aoa.tif") as file:
        written, descriptions, crs, transform = file.read(), file.descriptions, file.crs, file.transform
    with rasterio.open(path) as file:
        assert (crs, transform) == (file.crs, file.transform)

    assert 0 < from_file.share < 1
    assert share == from_file.share
    assert descriptions == ("dissimilarity", "inside")
    assert [entry.name for entry in tmp_path.iterdir()] == ["aoa.tif"]
    for other in (from_array.dissimilarity, from_xarray.dissimilarity):
        np.testing.assert_array_equal(other, from_file.dissimilarity)
    np.testing.assert_allclose(written[0], from_file.dissimilarity, rtol=1e-6)
    np.testing.assert_array_equal(np.nan_to_num(written[1], nan=MISSING), from_file.inside)


def test_missing_pixels_stay_missing_and_the_far_half_is_outside(tiny_dataset):
    chips = tiny_dataset.chips("train")
    whole = next(chip["image"] for chip in (chips[at] for at in range(len(chips))) if not chip["flags"].any())
    size = whole.shape[-1]
    higher = whole.copy()
    higher[[band.name for band in tiny_dataset.bands].index("dem")] += 5000
    wide = np.concatenate([whole, higher], axis=2)
    wide[0, :5, :7] = -32768
    found = applicability(wide, tiny_dataset, step=size)

    assert np.isnan(found.dissimilarity[:5, :7]).all()
    assert np.isnan(found.dissimilarity).sum() == 35
    assert (found.inside[:5, :7] == MISSING).all()
    assert (found.inside[5:, :size] == INSIDE).all()
    assert (found.inside[:, size:] == OUTSIDE).all()


def test_weights_change_the_index_and_its_threshold(tiny_dataset, names, stack):
    path, *_ = stack
    equal, one = applicability(path, tiny_dataset), applicability(path, tiny_dataset, weights={names[0]: 1.0})
    all_two = applicability(path, tiny_dataset, weights=dict.fromkeys(names, 2.0))

    assert one.threshold != equal.threshold
    # Equal weights of any size are no weights.
    assert all_two.threshold == pytest.approx(equal.threshold, rel=1e-5)
    np.testing.assert_allclose(all_two.dissimilarity, equal.dissimilarity, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": 0}, "a step of 0 pixels"),
        ({"step": 1000}, "a step of 1000 pixels"),
        ({"bands": ["a", "b"]}, "lacks the bands"),
        ({"weights": {"none_mean": 1.0}}, "there is no feature 'none_mean'"),
        ({"nodata": [0.0]}, "1 nodata values are given"),
    ],
)
def test_what_does_not_fit_is_refused(tiny_dataset, stack, change, said):
    _, pixels, bands = stack
    with pytest.raises(ConfigError, match=said):
        applicability(pixels, tiny_dataset, **{"bands": bands, **change})


def test_rasters_that_do_not_fit_are_refused(tiny_dataset, stack, tmp_path):
    path, pixels, bands = stack
    with rasterio.open(path) as file:
        profile = {**file.profile, "driver": "GTiff", "blockxsize": 256, "blockysize": 256}
    with rasterio.open(tmp_path / "coarse.tif", "w", **{**profile, "transform": rasterio.Affine.scale(60.0)}) as out:
        out.write(pixels)
    (tmp_path / "text.tif").write_text("no raster")

    with pytest.raises(ConfigError, match="its pixels are 60 x 60"):
        applicability(tmp_path / "coarse.tif", tiny_dataset)
    with pytest.raises(InputError, match="cannot be read as a raster"):
        applicability(tmp_path / "text.tif", tiny_dataset)
    with pytest.raises(InputError, match="is not a file"):
        applicability(tmp_path / "none.tif", tiny_dataset)
    with pytest.raises(ConfigError, match="fewer than a chip"):
        applicability(pixels[:, :8, :8], tiny_dataset, bands=bands)
    with pytest.raises(ConfigError, match="bands without names"):
        applicability(pixels[:2], tiny_dataset)
    with pytest.raises(ConfigError, match="is not \\(band, y, x\\)"):
        applicability(pixels[0], tiny_dataset)
    with pytest.raises(ConfigError, match="its dimensions are band, lat, lon"):
        applicability(xr.DataArray(pixels, dims=("band", "lat", "lon")), tiny_dataset)


def test_a_missing_library_is_named(tiny_dataset, stack, monkeypatch):
    path, pixels, bands = stack
    importing = builtins.__import__

    def without_scipy(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError(name)
        return importing(name, *args, **kwargs)

    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ConfigError, match="needs rasterio"):
        applicability(path, tiny_dataset)
    for name in [name for name in sys.modules if name.startswith("gcn_luigi.prepare.evaluation.di")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(ConfigError, match="needs scipy"):
        applicability(pixels, tiny_dataset, bands=bands)


def test_a_dataset_without_features_says_how_to_get_them(tiny, tiny_output, tmp_path):
    copied = tmp_path / tiny.region
    copied.mkdir()
    for name in ("dataset.json",):
        (copied / name).write_bytes((tiny_output / tiny.region / name).read_bytes())

    with pytest.raises(ShardError, match=r"distances\.json.*\n?.*"):
        training_space(gcn_luigi.open_dataset(copied))


@pytest.mark.long
def test_both_layouts_give_the_same_bytes(tiny, tiny_dataset, tmp_path):
    (tmp_path / "config").mkdir()
    text = (tiny.config / f"{tiny.region}.toml").read_text(encoding="utf-8")
    assert "[shards]" in text
    text = text.replace("[shards]", '[shards]\nlayout = "windows"')
    (tmp_path / "config" / f"{tiny.region}.toml").write_text(text, encoding="utf-8")
    output = tmp_path / "output"
    build_inline(dataset(tiny.region, output, tiny.sources, tmp_path / "config"))

    for path in (tiny_dataset.paths.distances, tiny_dataset.paths.features):
        assert (output / tiny.region / path.name).read_bytes() == path.read_bytes()


@pytest.mark.long
def test_folds_and_test_are_measured_as_the_reader_gives_them(tmp_path):
    smaller = (("block_partitions = 2", "block_partitions = 1"), ("dev_share = 0.2", "dev_share = 0.2\nfolds = 3"))
    tiny = make_tiny(tmp_path, "tiny", *smaller, ("seed = 8", "seed = 8\ntest_share = 0.2"))
    build_inline(dataset(tiny.region, tmp_path / "output", tiny.sources, tiny.config))
    made = gcn_luigi.open_dataset(tmp_path / "output" / tiny.region)
    table = made.chip_table.set_index("chip_id")
    centres = np.column_stack([(table["left"] + table["right"]) / 2, (table["bottom"] + table["top"]) / 2])

    def places(split, **fold):
        chips = made.chips(split, **fold)
        return centres[table.index.get_indexer([str(name) for name in chips.ids(np.arange(len(chips)))])]

    held = [cdist(places("dev", fold=fold), places("train", fold=fold)).min(axis=1) for fold in range(3)]
    curves = made.distances["space"]["curves"]
    assert curves["fold"]["mean"] == pytest.approx(np.concatenate(held).mean(), rel=1e-6)
    assert curves["test"]["mean"] == pytest.approx(cdist(places("test"), places("train")).min(axis=1).mean(), rel=1e-6)
    assert set(made.chip_features["split"]) == {"train", "dev", "test"}
    assert made.distances["features"]["space"]["threshold_from"] == FROM_FOLDS
    # With a buffer, some fold leaves something out.
    assert (made.chip_features["left_out"] != "").any()


def test_the_json_is_plain(tiny_dataset):
    text = tiny_dataset.paths.distances.read_text(encoding="utf-8")
    content = json.loads(text)

    assert "NaN" not in text
    assert content["chip_size_px"] == tiny_dataset.description["configuration"]["chips"]["size"]
    assert set(content["features"]["inside"]) == set(content["features"]["curves"])


@pytest.mark.parametrize("page", ["explanation/distances.md", "reading.md"])
def test_the_code_of_a_page_runs(page, tiny, tiny_output, tmp_path, monkeypatch):
    (tmp_path / "output").mkdir()
    (tmp_path / "output/demo").symlink_to(tiny_output / tiny.region)
    monkeypatch.chdir(tmp_path)
    shown = [block.text for block in blocks(DOCS / page) if block.kind == "python"]
    code = [text for text in shown if "applicability" in text or page.startswith("explanation")]
    assert code
    # The tiny region ends in another year.
    text = "import gcn_luigi\ndataset = gcn_luigi.open_dataset('output/demo')\n" + "\n".join(code)
    known = {}
    exec(compile(text.replace("2016", "2008"), page, "exec"), known)  # noqa: S102  our own page

    assert 0 < known["found"].share < 1
    if page.startswith("explanation"):
        assert (tmp_path / "applicable.tif").is_file()
        assert known["weighted"].threshold != known["found"].threshold
