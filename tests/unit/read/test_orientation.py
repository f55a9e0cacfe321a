"""Whole batches are turned as single chips are."""

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.read import transforms

torch = pytest.importorskip("torch", reason="torch is not installed")

from gcn_luigi.read.torch import ChipStream, DeviceChips, dihedral  # noqa: E402


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


def assert_turned(found, batch, turns):
    for number, k in enumerate(turns):
        chip = {name: values[number].numpy() for name, values in batch.items() if values.ndim > 1}
        wanted = transforms.dihedral({"chip_id": "a", **chip}, k)
        for name in chip:
            np.testing.assert_array_equal(found[name][number].numpy(), wanted[name])


@pytest.mark.parametrize("turns", [list(range(8)), [5] * 8, [0, 0, 3, 7, 7, 1, 2, 0]])
def test_chip_by_chip_it_is_the_function_for_single_chips(dataset, turns):
    batch = next(iter(ChipStream(dataset.chips("train"), 8, seed=3)))

    found = dihedral(batch, torch.tensor(turns))

    assert_turned(found, batch, turns)
    assert found["position"].tolist() == batch["position"].tolist()
    assert {name: values.dtype for name, values in found.items()} == {
        name: values.dtype for name, values in batch.items()
    }
    assert all(values.is_contiguous() for values in found.values())


def test_one_orientation_is_for_all_chips_and_the_batch_does_not_change(dataset):
    batch = next(iter(DeviceChips(dataset, "train", device="cpu").batches(4, seed=1)))
    before = {name: values.clone() for name, values in batch.items()}

    found = dihedral(batch, 6)

    assert_turned(found, batch, [6] * 4)
    assert all(torch.equal(values, before[name]) for name, values in batch.items())
    assert all(torch.equal(values, before[name]) for name, values in dihedral(batch, 0).items())


def test_other_things_in_a_batch_stay():
    image = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).half()

    found = dihedral({"image": image, "name": ["a", "b"], "loss": torch.ones(2)}, [1, 2])

    assert found["name"] == ["a", "b"]
    assert found["loss"].tolist() == [1, 1]
    np.testing.assert_array_equal(found["image"][0].numpy(), np.rot90(image[0].numpy(), 1, (1, 2)))
    assert found["image"].dtype == torch.float16


def test_a_batch_of_no_chip_stays_one():
    assert dihedral({"label": torch.zeros(0, 4, 4)}, [])["label"].shape == (0, 4, 4)


@pytest.mark.parametrize("k", [8, -1, [0, 1], [0, 1, 9], [0.5, 1, 1], [True, False, True], torch.zeros(3, 1)])
def test_orientations_that_do_not_exist_are_refused(k):
    with pytest.raises(ConfigError, match="no orientations"):
        dihedral({"label": torch.zeros(3, 4, 4)}, k)


@pytest.mark.parametrize(
    "batch",
    [
        {},
        {"position": torch.zeros(3)},
        {"image": torch.zeros(3, 2, 4, 5)},
        {"image": torch.zeros(3, 2, 4, 4), "label": torch.zeros(2, 4, 4)},
        {"image": torch.zeros(3, 2, 4, 4), "label": torch.zeros(3, 5, 5)},
    ],
)
def test_what_is_no_batch_of_squares_is_refused(batch):
    with pytest.raises(InputError, match="the batch has"):
        dihedral(batch, 1)


def test_orientations_are_equally_likely_and_of_an_epoch():
    drawn = transforms.orientations(8000, seed=4, epoch=2)

    assert drawn.tolist() == transforms.orientations(8000, seed=4, epoch=2).tolist()
    assert np.bincount(drawn, minlength=9).tolist()[8] == 0
    assert np.bincount(drawn).min() > 900
    assert (drawn != transforms.orientations(8000, seed=4, epoch=3)).mean() > 0.8
