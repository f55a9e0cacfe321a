"""torchgeo's own loader, collation and base class take the chips."""

import pickle

import matplotlib.figure
import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.pictures import chequered
from gcn_luigi.read.normalise import normalise
from tests.torchgeo_apart import import_torchgeo

torch = pytest.importorskip("torch", reason="torch is not installed")
torchgeo = import_torchgeo()

from torch.utils.data import DataLoader  # noqa: E402

from gcn_luigi.read.torch.geo import TorchgeoChips  # noqa: E402


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


def test_it_is_a_dataset_of_torchgeo(dataset):
    chips = TorchgeoChips(dataset, "dev")

    assert isinstance(chips, torchgeo.NonGeoDataset)
    assert len(chips) == len(dataset.chips("dev"))
    assert f"size: {len(chips)}" in str(chips)


def test_a_sample_is_the_chip_with_the_keys_of_torchgeo(dataset):
    chips, reader = TorchgeoChips(dataset, "train"), dataset.chips("train")
    for position in (0, 5, len(reader) - 1):
        sample, chip, row = chips[position], reader[position], reader.table.iloc[position]

        wanted = normalise(chip["image"], chip["flags"], dataset.statistics, dataset.bands)
        np.testing.assert_array_equal(sample["image"].numpy(), wanted)
        np.testing.assert_array_equal(sample["mask"].numpy(), chip["label"])
        assert (sample["image"].dtype, sample["mask"].dtype) == (torch.float32, torch.int64)
        assert sample["crs"].to_epsg() == int(dataset.lattice.crs.removeprefix("EPSG:"))
        x, y = sample["bounds"]
        assert (x.start, x.stop, y.start, y.stop) == (row["left"], row["right"], row["bottom"], row["top"])
        assert (x.stop - x.start) / x.step == (y.stop - y.start) / y.step == chip["label"].shape[0]
        assert sample["chip_id"] == chip["chip_id"]
    with pytest.raises(IndexError):
        chips[len(chips)]


def test_a_missing_label_stays_255(dataset, monkeypatch):
    chips = TorchgeoChips(dataset, "train")
    chip = chips.reader[0]
    chip["label"][:3] = 255
    monkeypatch.setattr(type(chips.reader), "__getitem__", lambda *_: chip)
    mask = chips[0]["mask"]

    assert (mask[:3] == 255).all()
    logits = torch.zeros(1, 3, *mask.shape)
    loss = torch.nn.functional.cross_entropy(logits, mask[None], ignore_index=255)
    assert float(loss) == pytest.approx(np.log(3))


def test_values_as_stored_are_possible(dataset):
    sample = TorchgeoChips(dataset, "dev", normalised=False)[2]

    np.testing.assert_array_equal(sample["image"].numpy(), dataset.chips("dev")[2]["image"].astype(np.float32))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_stacks_samples(dataset, workers):
    chips = TorchgeoChips(dataset, "dev")
    loader = DataLoader(
        chips,
        batch_size=5,
        collate_fn=torchgeo.stack_samples,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )

    batches = list(loader)

    assert sum(len(batch["mask"]) for batch in batches) == len(chips)
    assert batches[0]["image"].shape[:2] == (5, len(dataset.bands))
    assert batches[0]["chip_id"] == dataset.chips("dev").ids(range(5))
    assert torch.equal(batches[0]["image"][3], chips[3]["image"])
    (one, *_) = torchgeo.unbind_samples(batches[0])
    assert torch.equal(one["mask"], chips[0]["mask"])


def test_transforms_get_the_sample(dataset):
    chips = TorchgeoChips(dataset, "dev", transforms=lambda sample: {**sample, "image": sample["image"] * 0})

    assert not chips[0]["image"].any()


def test_it_can_be_sent_to_a_process(dataset):
    chips = TorchgeoChips(dataset, "dev")
    copy = pickle.loads(pickle.dumps(chips))  # noqa: S301  our own

    assert torch.equal(copy[1]["image"], chips[1]["image"])


class TestPlot:
    def test_a_sample_is_drawn_as_the_dataset_draws_the_chip(self, dataset):
        chips = TorchgeoChips(dataset, "train")
        name = dataset.chips("train").where("valid_share == 1").ids([0])[0]
        position = dataset.chips("train").table["chip_id"].tolist().index(name)

        figure = chips.plot(chips[position], suptitle="one")

        assert isinstance(figure, matplotlib.figure.Figure)
        assert figure.get_suptitle() == "one"
        ours, theirs = (each.axes[0].images[0].get_array().astype(int) for each in (figure, dataset.plot(name)))
        assert np.abs(ours - theirs).max() <= 1
        np.testing.assert_array_equal(
            figure.axes[1].images[0].get_array(), dataset.plot(name).axes[1].images[0].get_array()
        )

    def test_a_prediction_is_a_panel_of_its_own(self, dataset):
        chips = TorchgeoChips(dataset, "dev", normalised=False)
        sample = chips[0]

        figure = chips.plot({**sample, "prediction": torch.ones_like(sample["mask"])}, show_titles=False)

        assert len(figure.axes) == 3
        assert len(np.unique(figure.axes[2].images[0].get_array().reshape(-1, 3), axis=0)) == 1
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["", "", ""]

    def test_missing_pixels_of_a_normalised_image_are_seen(self, dataset):
        chips = TorchgeoChips(dataset, "train")
        sample = chips[0]
        sample["image"][:, :4] = 0
        sample["mask"][:, 10:] = 255

        image, mask = (axes.images[0].get_array() for axes in chips.plot(sample).axes)
        pattern = chequered(image.shape[:2])

        np.testing.assert_array_equal(image[:4], pattern[:4])
        np.testing.assert_array_equal(mask[:, 10:], pattern[:, 10:])

    def test_a_batch_is_refused(self, dataset):
        chips = TorchgeoChips(dataset, "dev")
        batch = torchgeo.stack_samples([chips[0], chips[1]])

        with pytest.raises(ConfigError, match="not a batch"):
            chips.plot(batch)


@pytest.mark.parametrize(
    ("split", "chosen", "said"),
    [("test", {}, "no split 'test'"), ("train", {"fold": 1}, "without folds"), ("dev", {"where": "a > 1"}, "column a"),
     ("dev", {"where": "share_ice > 2"}, "fulfils where=")],
)  # fmt: skip
def test_chips_that_do_not_exist_are_plain_errors(dataset, split, chosen, said):
    with pytest.raises(ConfigError, match=said):
        TorchgeoChips(dataset, split, **chosen)
