"""A whole map from a dataset and a model: what it holds, where it is, and what is refused before it is written."""

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

import gcn_luigi
from gcn_luigi.errors import ConfigError, InputError, PublishError, ResourceError, ShardError
from gcn_luigi.prepare.chips.blending import shares_of
from gcn_luigi.read.normalise import normalise
from gcn_luigi.read.prediction import Model, ModelCard, Windows, predict
from gcn_luigi.read.prediction.windows import Plan, _read
from gcn_luigi.read.rasters import opened

torch = pytest.importorskip("torch", reason="torch is not installed")

from gcn_luigi.read.torch.scoring import module_digest, on_device  # noqa: E402

ON_CPU = Windows(device="cpu")


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


@pytest.fixture(scope="module")
def year(dataset):
    return int(dataset.description["configuration"]["years"][0])


@pytest.fixture
def model(dataset):
    torch.manual_seed(3)
    return torch.nn.Conv2d(len(dataset.bands), len(dataset.classes), 1)


@pytest.fixture
def wide(dataset):
    """Return a model that looks at neighbours, so that a window matters."""
    torch.manual_seed(4)
    return torch.nn.Sequential(
        torch.nn.Conv2d(len(dataset.bands), 8, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 3, padding=1)
    )


def pixels(path):
    with warnings.catch_warnings():
        # The map of an array has no place.
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read()


def stack_of(dataset, year):
    with opened(dataset.paths.stack(year), dataset, None, None) as raster:
        return raster.read(slice(0, raster.height), slice(0, raster.width))


def scene(dataset, shape=(150, 170), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 500, (len(dataset.bands), *shape)).astype(np.int16)


def written(path, image, names, **more):
    profile = {"height": image.shape[1], "width": image.shape[2], "count": len(image), "dtype": image.dtype.name}
    place = {"crs": "EPSG:3338", "transform": from_origin(300_000, 1_200_000, 30, 30), **more}
    with rasterio.open(path, "w", driver="GTiff", **profile, **place) as file:
        file.write(image)
        if names:
            file.descriptions = tuple(names)
    return path


def test_the_map_of_a_year_is_that_of_each_pixel_by_itself(dataset, year, model, tmp_path):
    values, missing = stack_of(dataset, year)
    mean, std = ModelCard.of(dataset).scales
    images = np.where(missing, 0, (values - mean) / std).astype(np.float32)
    with torch.inference_mode():
        wanted = shares_of(model(torch.from_numpy(images)[None])[0].numpy())
    gone = missing.any(axis=0)
    said = []

    found = predict(model, dataset, tmp_path, year, windows=ON_CPU, say=lambda *one: said.append(one))

    assert (found.classes.name, found.probabilities.name) == (f"{year}_classes.tif", f"{year}_probabilities.tif")
    classes, shares = pixels(found.classes)[0], pixels(found.probabilities)
    np.testing.assert_array_equal(classes, np.where(gone, 255, dataset.classes.value_array[wanted.argmax(axis=0)]))
    np.testing.assert_allclose(shares, np.where(gone, np.nan, wanted), rtol=0, atol=1e-6)
    assert sum(found.counts.values()) == classes.size
    assert found.counts["missing"] == int(gone.sum()) > 0
    assert found.notes == ()
    assert [share for _, share in said] == sorted(share for _, share in said)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{year}_classes.qml", f"{year}_classes.tif", f"{year}_probabilities.tif"
    ]  # fmt: skip


def test_the_files_say_what_they_are(dataset, year, model, tmp_path):
    found = predict(model, dataset, tmp_path, year, windows=ON_CPU)

    with rasterio.open(dataset.paths.stack(year)) as stack, rasterio.open(found.classes) as file:
        assert (file.crs, file.transform, file.shape) == (stack.crs, stack.transform, stack.shape)
        assert (file.dtypes, file.nodata, file.descriptions) == (("uint8",), 255, ("class",))
        assert file.tags()["classes"] == "0 none, 1 debris, 2 ice"
        assert file.tags()["gcn_luigi_dataset"] == dataset.digest
        assert file.tags()["gcn_luigi_training_data"] == dataset.data_digest
        assert file.tags()["gcn_luigi_model"] == module_digest(model)
        assert file.colormap(1)[2] == (0x86, 0xC5, 0xE4, 255)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.compression.name == "deflate"
    with rasterio.open(found.probabilities) as file:
        assert file.descriptions == dataset.class_names
        assert (file.dtypes, file.crs) == (("float32",) * 3, stack.crs)
        assert np.isnan(file.nodata)
    assert "2 debris-free ice" in found.classes.with_suffix(".qml").read_text(encoding="utf-8")


def test_windows_are_normalised_as_chips_are(dataset):
    rows = dataset.chip_table[dataset.chip_table["split"] == "train"].head(40)
    chips, card, compared = dataset.chips("train"), ModelCard.of(dataset), 0
    plan = Plan(card.size, 0, "hann", 1, "any")
    for position, row in enumerate(rows.itertuples()):
        chip = chips[position]
        wanted = normalise(chip["image"], chip["flags"], dataset.statistics, dataset.bands)
        top = round((dataset.lattice.top - row.top) / 30)
        left = round((row.left - dataset.lattice.left) / 30)
        with opened(dataset.paths.stack(int(row.year)), dataset, None, None) as raster:
            found, _ = _read(raster, card, plan, (top, left, left + plan.size))
        np.testing.assert_array_equal(found, wanted)
        compared += 1
    assert compared > 10


class CountedError(Exception):
    """The end of a run after some batches."""


class Counted(torch.nn.Module):
    """Counts the batches of a model, and fails after some."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls, self.most = inner, 0, 10**9

    def forward(self, images):
        self.calls += 1
        if self.calls > self.most:
            raise CountedError
        return self.inner(images)


def test_a_run_that_was_stopped_goes_on_and_gives_the_same_pixels(dataset, year, wide, tmp_path):
    whole = predict(Counted(wide), dataset, tmp_path / "whole", year, windows=ON_CPU)
    again = Counted(wide)
    predict(again, dataset, tmp_path / "other", year, windows=ON_CPU)
    all_calls = again.calls

    again.calls, again.most = 0, all_calls // 2
    with pytest.raises(CountedError):
        predict(again, dataset, tmp_path / "stopped", year, windows=ON_CPU)
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == [f".{year}.rows"]
    with (tmp_path / "stopped" / f".{year}.rows").open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) - 5)
    again.calls, again.most = 0, 10**9
    found = predict(again, dataset, tmp_path / "stopped", year, windows=ON_CPU)

    assert 0 < again.calls < all_calls
    assert found.classes.read_bytes() == whole.classes.read_bytes()
    assert found.probabilities.read_bytes() == whole.probabilities.read_bytes()
    assert not (tmp_path / "stopped" / f".{year}.rows").exists()


def test_rows_of_another_model_or_other_windows_are_not_used(dataset, year, wide, tmp_path):
    counted = Counted(wide)
    counted.most = 2
    for change in ("model", "windows"):
        counted.calls, counted.most = 0, 4
        with pytest.raises(CountedError):
            predict(counted, dataset, tmp_path, year, windows=ON_CPU)
        if change == "model":
            with torch.no_grad():
                wide[0].bias += 1
        how = ON_CPU if change == "model" else Windows(device="cpu", overlap=4)
        counted.calls, counted.most = 0, 10**9
        found = predict(counted, dataset, tmp_path / "a", year, windows=how)
        calls, counted.calls = counted.calls, 0
        other = predict(counted, dataset, tmp_path, year, windows=how)
        assert counted.calls == calls
        assert other.classes.read_bytes() == found.classes.read_bytes()


@pytest.mark.parametrize("change", [{"nodata": 7}, {"missing": "all"}, {"batch": 3}, {"blending": "linear"}])
def test_rows_of_a_run_with_other_choices_are_not_used(dataset, wide, tmp_path, change):
    source = written(tmp_path / "scene.tif", scene(dataset), [band.name for band in dataset.bands])
    counted = Counted(wide)
    predict(counted, dataset, tmp_path / "whole", source, windows=Windows(device="cpu", **change))
    calls, counted.calls, counted.most = counted.calls, 0, 9
    with pytest.raises(CountedError):
        predict(counted, dataset, tmp_path, source, windows=ON_CPU)
    counted.calls, counted.most = 0, 10**9
    predict(counted, dataset, tmp_path, source, windows=Windows(device="cpu", **change))
    assert counted.calls == calls


def test_a_source_that_has_changed_starts_from_the_beginning(dataset, wide, tmp_path):
    names, counted = [band.name for band in dataset.bands], Counted(wide)
    source = written(tmp_path / "scene.tif", scene(dataset), names)
    counted.most = 9
    with pytest.raises(CountedError):
        predict(counted, dataset, tmp_path, source, windows=ON_CPU)
    written(source, scene(dataset, seed=5), names)
    os.utime(source, ns=(1, 1))
    counted.calls, counted.most = 0, 10**9
    found = predict(counted, dataset, tmp_path, source, windows=ON_CPU)
    whole = predict(wide, dataset, tmp_path / "whole", source, windows=ON_CPU)
    np.testing.assert_array_equal(pixels(found.classes), pixels(whole.classes))


def test_without_rasterio_nothing_is_computed(dataset, model, tmp_path, monkeypatch):
    monkeypatch.setattr("gcn_luigi.read.prediction.maps.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="needs rasterio"):
        predict(model, dataset, tmp_path / "x", scene(dataset))
    assert not (tmp_path / "x").exists()


@pytest.mark.long
def test_a_killed_process_leaves_rows_from_which_the_next_goes_on(dataset, year, wide, small_output, tmp_path):
    weights = tmp_path / "model.pt2"
    from gcn_luigi.read.torch import load_model, save_model  # noqa: PLC0415

    save_model(wide, weights, dataset)
    code = (
        "import os, signal, sys; import gcn_luigi; from gcn_luigi.read.torch import load_model\n"
        "from gcn_luigi.read.prediction import Windows, predict\n"
        "def say(message, share):\n    if share > 0.4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "predict(load_model(sys.argv[1]), gcn_luigi.open_dataset(sys.argv[2]), sys.argv[3], int(sys.argv[4]),"
        " windows=Windows(device='cpu'), say=say)"
    )
    out = tmp_path / "out"
    ended = subprocess.run([sys.executable, "-c", code, weights, small_output, out, str(year)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name for path in out.iterdir()] == [f".{year}.rows"]

    shares = []
    found = predict(load_model(weights), dataset, out, year, windows=ON_CPU, say=lambda _, share: shares.append(share))
    whole = predict(load_model(weights), dataset, tmp_path / "whole", year, windows=ON_CPU)

    assert shares[0] > 0.4
    assert found.classes.read_bytes() == whole.classes.read_bytes()
    assert found.probabilities.read_bytes() == whole.probabilities.read_bytes()


def test_bands_are_found_by_name_in_files_and_data_arrays(dataset, model, tmp_path):
    image, names = scene(dataset), [band.name for band in dataset.bands]
    order = np.random.default_rng(1).permutation(len(names))
    mixed = image[order], [names[at] for at in order]
    wanted = predict(model, dataset, tmp_path / "a", image, windows=ON_CPU)

    file = written(tmp_path / "mixed.tif", *mixed)
    array = xr.DataArray(mixed[0], dims=("band", "y", "x"), coords={"band": mixed[1]})
    for source, name in ((file, "mixed"), (array, "map")):
        found = predict(model, dataset, tmp_path / "b", source, windows=ON_CPU)
        assert found.classes.name == f"{name}_classes.tif"
        np.testing.assert_array_equal(pixels(found.classes), pixels(wanted.classes))
        np.testing.assert_array_equal(pixels(found.probabilities), pixels(wanted.probabilities))


def test_a_year_may_be_a_number_of_a_table(dataset, year, model, tmp_path):
    years = dataset.chip_table["year"]
    found = predict(model, dataset, tmp_path, years[years == year].iloc[0], windows=ON_CPU)
    assert found.classes.name == f"{year}_classes.tif"


def test_a_raster_smaller_than_a_window_is_filled_up_with_missing_pixels(dataset, model, tmp_path):
    image = scene(dataset, (20, 90))
    found = predict(model, dataset, tmp_path, image, windows=ON_CPU)
    assert pixels(found.classes).shape == (1, 20, 90)
    assert found.counts["missing"] == 0


def test_a_model_without_torch_takes_and_returns_arrays(dataset, tmp_path):
    found = predict(lambda images: images[:, :3], dataset, tmp_path, scene(dataset))
    wanted = ModelCard.of(dataset).scales
    image = ((scene(dataset) - wanted[0]) / wanted[1]).astype(np.float32)[:3]
    np.testing.assert_array_equal(pixels(found.classes)[0], dataset.classes.value_array[image.argmax(axis=0)])


def test_the_model_is_in_evaluation_mode_only_meanwhile(dataset, tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(len(dataset.bands), 3, 1), torch.nn.Dropout(0.9))
    model.train()
    model[1].eval()
    one = predict(model, dataset, tmp_path / "a", scene(dataset), windows=ON_CPU)
    two = predict(model, dataset, tmp_path / "b", scene(dataset), windows=ON_CPU)
    assert one.probabilities.read_bytes() == two.probabilities.read_bytes()
    assert (model.training, model[0].training, model[1].training) == (True, True, False)


def test_bands_of_another_order_are_read_by_name(dataset, year, model, tmp_path):
    card = ModelCard.of(dataset)
    turned = dataclasses.replace(card, bands=card.bands[::-1])
    other = torch.nn.Conv2d(len(card.bands), 3, 1)
    other.load_state_dict({"weight": model.weight.detach().flip(1), "bias": model.bias.detach()})

    one = predict(model, dataset, tmp_path / "a", year, windows=ON_CPU)
    two = predict(Model(other, turned, "t" * 64), dataset, tmp_path / "b", year, windows=ON_CPU)

    np.testing.assert_allclose(pixels(one.probabilities), pixels(two.probabilities), atol=1e-6)
    with pytest.raises(ConfigError, match="another order"):
        predict(Model(other, turned, ""), dataset, tmp_path / "c", scene(dataset), windows=ON_CPU)
    names = [band.name for band in dataset.bands]
    three = predict(Model(other, turned, ""), dataset, tmp_path / "d", scene(dataset), windows=Windows(bands=names))
    four = predict(model, dataset, tmp_path / "e", scene(dataset), windows=ON_CPU)
    np.testing.assert_array_equal(pixels(three.classes), pixels(four.classes))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"name": "swir"}, "swir"), ({"role": "distance"}, "role"), ({"unit": "feet"}, "unit feet"),
        ({"scale": 0.01}, "scale 0.01"), ({"offset": 4.0}, "offset 4"),
    ],
)  # fmt: skip
def test_bands_that_are_stored_in_another_way_than_in_training_are_refused(dataset, model, tmp_path, change, what):
    card = ModelCard.of(dataset)
    other = dataclasses.replace(card, bands=(dataclasses.replace(card.bands[0], **change), *card.bands[1:]))
    with pytest.raises(ConfigError, match=what):
        predict(Model(model, other, ""), dataset, tmp_path / "x", scene(dataset))
    assert not (tmp_path / "x").exists()


def test_statistics_are_those_of_the_model_and_a_difference_is_said(dataset, tmp_path):
    card = ModelCard.of(dataset)
    first = dataclasses.replace(card.bands[0], mean=card.bands[0].mean + 100)
    other = dataclasses.replace(card, bands=(first, *card.bands[1:]), data_digest="e" * 64)
    seen = []

    def watching(images):
        seen.append(images.copy())
        return images[:, :3]

    source = written(tmp_path / "scene.tif", scene(dataset), card.names)
    found = predict(Model(watching, other, ""), dataset, tmp_path, source)

    with rasterio.open(found.classes) as file:
        assert file.tags()["gcn_luigi_training_data"] == "e" * 64
    assert len(found.notes) == 1
    assert f"mean and deviation of {first.name} are those of the training" in found.notes[0]
    image = scene(dataset)[:, : card.size, : card.size]
    np.testing.assert_allclose(seen[0][0, 0], (image[0] - first.mean) / first.std, rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0}, {"overlap": 32}, {"overlap": -1}, {"size": 16, "overlap": 16}, {"batch": 0},
        {"blending": "cosine"}, {"missing": "some"}, {"overlap": 1.5}, {"size": 32.0}, {"batch": "8"},
    ],
)  # fmt: skip
def test_windows_that_make_no_sense_are_refused(dataset, model, tmp_path, wrong):
    with pytest.raises(ConfigError, match="cannot be used"):
        predict(model, dataset, tmp_path / "x", scene(dataset), windows=Windows(**wrong))
    assert not (tmp_path / "x").exists()


def test_models_that_do_not_fit_are_refused(dataset, tmp_path):
    bands = len(dataset.bands)
    for wrong, what in (
        (torch.nn.Conv2d(bands + 1, 3, 1), "does not take images"),
        (torch.nn.Conv2d(bands, 4, 1), "returns"),
        (torch.nn.Conv2d(bands, 3, 3), "returns"),
        (torch.nn.Sequential(torch.nn.Conv2d(bands, 3, 1), torch.nn.Softmax(dim=1)), "softmax"),
        (torch.nn.LSTM(4, 4), "does not take images"),
    ):
        with pytest.raises(ConfigError, match=what):
            predict(wrong, dataset, tmp_path, scene(dataset), windows=ON_CPU)
    assert not list(tmp_path.glob("*.tif"))


def test_a_model_with_nan_is_refused(dataset, model, tmp_path):
    with torch.no_grad():
        model.bias[1] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        predict(model, dataset, tmp_path, scene(dataset), windows=ON_CPU)


def test_a_device_that_is_not_there_is_a_plain_error(dataset, model, tmp_path):
    for device in ("cuda:97", "no device"):
        with pytest.raises(ConfigError, match="cannot use the device") as refused:
            predict(model, dataset, tmp_path, scene(dataset), windows=Windows(device=device))
        assert refused.value.where == "device"


def test_too_little_memory_names_a_smaller_batch(dataset, tmp_path):
    class Hungry(torch.nn.Module):
        def forward(self, _images):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with pytest.raises(ResourceError, match="batch of 8 windows") as refused:
        predict(Hungry(), dataset, tmp_path, scene(dataset), windows=ON_CPU)
    assert "batch of 4" in refused.value.fix


def test_the_machines_memory_is_named_as_well():
    class Endless(torch.nn.Module):
        def forward(self, _images):
            return torch.empty(1 << 60)

    with on_device(Endless(), "cpu") as (score, _), pytest.raises(ResourceError, match="memory of cpu"):
        score(np.zeros((1, 2, 8, 8), np.float32))


def test_sources_that_do_not_fit_are_refused(dataset, model, tmp_path):
    image, names = scene(dataset), [band.name for band in dataset.bands]
    coarse = from_origin(300_000, 1_200_000, 60, 60)
    for source, what in (
        (written(tmp_path / "coarse.tif", image, names, transform=coarse), "pixels are 60 x 60"),
        (written(tmp_path / "few.tif", image[1:], names[1:]), f"lacks the bands {names[0]}"),
        (written(tmp_path / "plain.tif", image[1:], None), "bands without names"),
        (image[1:], "bands without names"),
        (image[0], "is not (band, y, x)".replace("(", r"\(").replace(")", r"\)")),
        (1066, "no stack of 1066"),
    ):
        with pytest.raises(ConfigError, match=what):
            predict(model, dataset, tmp_path / "x", source, windows=ON_CPU)
    with pytest.raises(InputError, match="not a file"):
        predict(model, dataset, tmp_path / "x", tmp_path / "missing.tif", windows=ON_CPU)
    assert not (tmp_path / "x").exists()


def test_a_source_in_another_crs_gives_a_map_in_that_crs(dataset, model, tmp_path):
    names = [band.name for band in dataset.bands]
    source = written(tmp_path / "utm.tif", scene(dataset), names, crs="EPSG:32606")
    found = predict(model, dataset, tmp_path, source, windows=ON_CPU)
    with rasterio.open(found.classes) as file:
        assert file.crs.to_epsg() == 32606


def test_places_that_cannot_be_written_are_plain_errors(dataset, model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PublishError):
        predict(model, dataset, tmp_path / "file" / "x", scene(dataset), windows=ON_CPU)
    for within in (dataset.paths.root, dataset.paths.root / "maps"):
        with pytest.raises(ConfigError, match="within the dataset"):
            predict(model, dataset, within, scene(dataset), windows=ON_CPU)


def test_after_a_full_disk_the_next_run_goes_on(dataset, year, wide, tmp_path):
    before, counted = resource.getrlimit(resource.RLIMIT_FSIZE), Counted(wide)
    whole = predict(counted, dataset, tmp_path / "whole", year, windows=ON_CPU)
    calls, counted.calls = counted.calls, 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole.probabilities.stat().st_size // 2, before[1]))
    try:
        with pytest.raises(PublishError, match="could not be written"):
            predict(counted, dataset, tmp_path / "full", year, windows=ON_CPU)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    counted.calls = 0
    found = predict(counted, dataset, tmp_path / "full", year, windows=ON_CPU)

    assert 0 < counted.calls < calls
    assert found.probabilities.read_bytes() == whole.probabilities.read_bytes()


def test_a_disk_that_is_full_at_the_end_leaves_the_rows(dataset, year, wide, tmp_path, monkeypatch):
    def full(*_):
        raise PublishError("could not be written", where="", fix="")

    monkeypatch.setattr("gcn_luigi.read.prediction.maps.write_probabilities", full)
    counted = Counted(wide)
    with pytest.raises(PublishError):
        predict(counted, dataset, tmp_path, year, windows=ON_CPU)
    monkeypatch.undo()
    counted.calls = 0
    predict(counted, dataset, tmp_path, year, windows=ON_CPU)
    assert counted.calls == 0


def test_statistics_that_lack_a_band_are_an_error(small_output, model, tmp_path):
    other = gcn_luigi.open_dataset(small_output)
    name = other.bands[0].name
    other.__dict__["statistics"] = {**other.statistics, "bands": {**other.statistics["bands"]}}
    del other.statistics["bands"][name]
    with pytest.raises(ShardError, match=f"{name} is missing"):
        predict(model, other, tmp_path, scene(other), windows=ON_CPU)


def test_a_digest_follows_weights_and_structure():
    torch.manual_seed(1)
    one = torch.nn.Conv2d(2, 3, 1)
    digest = module_digest(one)
    assert digest == module_digest(one)
    assert digest != module_digest(torch.nn.Sequential(one))
    with torch.no_grad():
        one.weight[0, 0] += 1e-6
    assert digest != module_digest(one)
