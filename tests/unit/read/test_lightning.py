"""A Trainer of Lightning sees the batches of a dataset, and goes on where it stopped."""

from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.read.normalise import normalise
from gcn_luigi.read.transforms import dihedral, orientations

torch = pytest.importorskip("torch", reason="torch is not installed")
pl = pytest.importorskip("lightning.pytorch", reason="lightning is not installed: pip install -e '.[lightning]'")

from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint  # noqa: E402

from gcn_luigi.read.torch.lightning import GcnDataModule  # noqa: E402


class InterruptionError(RuntimeError):
    """What ends a training in the middle of an epoch."""


class Seen(pl.LightningModule):
    """A model that learns one number and notes what it sees; it is interrupted in its step number `stop`."""

    def __init__(self, stop=None):
        super().__init__()
        self.automatic_optimization = True
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.train_batches, self.dev_batches, self.test_batches, self._stop = [], [], [], stop

    def training_step(self, batch, number):  # noqa: ARG002  Lightning passes it
        if len(self.train_batches) == self._stop:
            raise InterruptionError
        self.train_batches.append(batch)
        return self.scale * batch["image"].mean()

    def validation_step(self, batch, number):  # noqa: ARG002
        self.dev_batches.append(batch)

    def test_step(self, batch, number):  # noqa: ARG002
        self.test_batches.append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.fixture(scope="module")
def dataset(small_output):
    return gcn_luigi.open_dataset(small_output)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Tensors are small here, and threads that wait for each other take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _quiet(recwarn):
    """Lightning warns about its own surroundings: a slow loader, a missing logger, batches per log line."""


@pytest.fixture
def trainer(tmp_path):
    def make(**settings):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        plain = {"enable_checkpointing": "callbacks" in settings, "num_sanity_val_steps": 0, "max_epochs": 3}
        return pl.Trainer(default_root_dir=tmp_path, **{**quiet, **plain, **settings})

    return make


def positions(batches):
    return [batch["position"].tolist() for batch in batches]


def joined(lists):
    return list(chain.from_iterable(lists))


def equal(ours, theirs):
    return len(ours) == len(theirs) and all(
        torch.equal(one["image"], other["image"]) and torch.equal(one["label"], other["label"])
        for one, other in zip(ours, theirs, strict=True)
    )


@pytest.fixture(params=[False, True], ids=["stream", "device"])
def module(dataset, request):
    return lambda **more: GcnDataModule(
        dataset, **{"batch_size": 16, "seed": 5, "turn": True, "on_device": request.param, **more}
    )


class TestBatches:
    def test_each_epoch_shows_every_chip_once_in_an_order_of_its_own(self, dataset, module, trainer):
        model = Seen()
        trainer().fit(model, datamodule=module())

        reader = dataset.chips("train")
        n = len(model.train_batches) // 3
        epochs = [joined(positions(model.train_batches[n * at : n * (at + 1)])) for at in range(3)]
        assert epochs == [reader.order(seed=5, epoch=epoch).tolist() for epoch in range(3)]
        assert positions(model.dev_batches[: len(model.dev_batches) // 3]) == [
            list(range(first, min(first + 16, len(dataset.chips("dev")))))
            for first in range(0, len(dataset.chips("dev")), 16)
        ]

    def test_chips_are_normalised_and_turned(self, dataset, module, trainer):
        model = Seen()
        trainer(max_epochs=1).fit(model, datamodule=module())
        chips = dataset.chips("train")
        turns = orientations(len(chips), seed=5, epoch=0)

        for batch in model.train_batches[:2]:
            for number, position in enumerate(batch["position"].tolist()):
                chip = dihedral(chips[position], int(turns[position]))
                wanted = normalise(chip["image"], chip["flags"], dataset.statistics, dataset.bands)
                np.testing.assert_allclose(batch["image"][number].numpy(), wanted, rtol=1e-5, atol=1e-5)
                np.testing.assert_array_equal(batch["label"][number].numpy(), chip["label"])
        assert len(set(turns.tolist())) == 8
        np.testing.assert_array_equal(
            model.dev_batches[0]["label"].numpy(), dataset.chips("dev").batch(range(16))["label"]
        )

    def test_both_ways_give_equal_batches(self, dataset, trainer):
        seen = []
        for on_device in (False, True):
            model = Seen()
            trainer(max_epochs=2).fit(model, datamodule=GcnDataModule(dataset, turn=True, on_device=on_device))
            seen.append(model.train_batches)

        assert equal(*seen)
        assert set(seen[0][0]) == set(seen[1][0])

    def test_images_have_the_precision_of_the_model(self, module, trainer):
        model = Seen()
        trainer(max_epochs=1, limit_train_batches=1, precision="bf16-true").fit(model, datamodule=module())

        assert model.train_batches[0]["image"].dtype == model.dev_batches[0]["image"].dtype == torch.bfloat16
        assert model.train_batches[0]["label"].dtype == torch.uint8

    def test_chips_are_chosen_by_conditions(self, dataset, module, trainer):
        condition, model = "share_debris > 0.02", Seen()
        trainer(max_epochs=1, limit_val_batches=0).fit(model, datamodule=module(where=condition))

        count = sum(len(batch["position"]) for batch in model.train_batches)
        assert count == len(dataset.chips("train", where=condition)) > 0


class TestInterruptions:
    @pytest.mark.parametrize("stop", [1, 7])
    def test_a_training_that_failed_goes_on_with_the_batch_that_failed(self, module, trainer, tmp_path, stop):
        whole, first, rest = Seen(), Seen(stop), Seen()
        trainer().fit(whole, datamodule=module())
        saving = OnExceptionCheckpoint(tmp_path, "failed")
        with pytest.raises(InterruptionError):
            trainer(callbacks=[saving]).fit(first, datamodule=module())
        trainer().fit(rest, datamodule=module(), ckpt_path=tmp_path / "failed.ckpt")

        assert len(first.train_batches) == stop
        assert equal(first.train_batches + rest.train_batches, whole.train_batches)

    @pytest.mark.parametrize("every", [3, 5])
    def test_a_training_goes_on_after_a_saved_step(self, module, trainer, tmp_path, every):
        whole, first, rest = Seen(), Seen(every), Seen()
        trainer().fit(whole, datamodule=module())
        saving = ModelCheckpoint(tmp_path, "step", every_n_train_steps=every, save_top_k=1)
        with pytest.raises(InterruptionError):
            trainer(callbacks=[saving]).fit(first, datamodule=module())
        trainer().fit(rest, datamodule=module(), ckpt_path=tmp_path / "step.ckpt")

        assert equal(first.train_batches + rest.train_batches, whole.train_batches)

    @pytest.mark.parametrize("limit", [2])
    def test_epochs_that_end_early_are_counted_as_whole(self, module, trainer, tmp_path, limit):
        whole, first, rest = Seen(), Seen(), Seen()
        trainer(limit_train_batches=limit).fit(whole, datamodule=module())
        saving = ModelCheckpoint(tmp_path, "epoch", save_on_train_epoch_end=True)
        trainer(max_epochs=1, limit_train_batches=limit, callbacks=[saving]).fit(first, datamodule=module())
        trainer(limit_train_batches=limit).fit(rest, datamodule=module(), ckpt_path=tmp_path / "epoch.ckpt")

        assert len(first.train_batches) == limit
        assert equal(first.train_batches + rest.train_batches, whole.train_batches)

    def test_the_rest_of_an_epoch_of_other_batches_is_refused(self, module, trainer, tmp_path):
        saving = ModelCheckpoint(tmp_path, "step", every_n_train_steps=2, save_top_k=1)
        with pytest.raises(InterruptionError):
            trainer(callbacks=[saving]).fit(Seen(3), datamodule=module())

        with pytest.raises(ConfigError, match="begun with seed 5, turn True"):
            trainer().fit(Seen(), datamodule=module(seed=6, turn=False), ckpt_path=tmp_path / "step.ckpt")

    def test_after_a_whole_epoch_batches_may_be_others(self, dataset, module, trainer, tmp_path):
        saving = ModelCheckpoint(tmp_path, "epoch", save_on_train_epoch_end=True)
        trainer(max_epochs=1, callbacks=[saving]).fit(Seen(), datamodule=module())
        rest = Seen()
        trainer(max_epochs=2).fit(rest, datamodule=module(batch_size=10), ckpt_path=tmp_path / "epoch.ckpt")

        assert joined(positions(rest.train_batches)) == dataset.chips("train").order(seed=5, epoch=1).tolist()

    def test_more_epochs_are_later_ones(self, module, trainer):
        whole, parts, data = Seen(), Seen(), module()
        trainer().fit(whole, datamodule=module())
        first = trainer(max_epochs=1)
        first.fit(parts, datamodule=data)
        first.fit_loop.max_epochs = 3
        first.fit(parts, datamodule=data)

        assert positions(parts.train_batches) == positions(whole.train_batches)

    def test_loaders_that_are_made_again_in_each_epoch_go_on(self, module, trainer):
        whole, again = Seen(), Seen()
        trainer().fit(whole, datamodule=module())
        trainer(reload_dataloaders_every_n_epochs=1).fit(again, datamodule=module())

        assert equal(again.train_batches, whole.train_batches)

    def test_a_checkpoint_of_a_validation_within_an_epoch_goes_on_too(self, module, trainer, tmp_path):
        every = {"val_check_interval": 2}
        whole, first, rest = Seen(), Seen(8), Seen()
        trainer(**every).fit(whole, datamodule=module())
        saving = ModelCheckpoint(tmp_path, "dev", save_on_train_epoch_end=False)
        with pytest.raises(InterruptionError):
            trainer(callbacks=[saving], **every).fit(first, datamodule=module())
        # It was saved after the validation that followed the fourth batch of the second epoch, or the second one.
        done = torch.load(tmp_path / "dev.ckpt", weights_only=True)["global_step"]
        trainer(**every).fit(rest, datamodule=module(), ckpt_path=tmp_path / "dev.ckpt")

        assert 5 < done < 10
        assert equal(first.train_batches[:done] + rest.train_batches, whole.train_batches)


class TestTricksOfLightning:
    def test_overfitting_sees_the_same_batches_in_each_epoch(self, module, trainer):
        model = Seen()
        trainer(overfit_batches=2).fit(model, datamodule=module())

        assert len(model.train_batches) == 6
        assert equal(model.train_batches[:2], model.train_batches[2:4])
        assert equal(model.train_batches[:2], model.train_batches[4:])

    def test_the_check_before_a_training_changes_nothing(self, module, trainer):
        plain, checked = Seen(), Seen()
        trainer(max_epochs=1).fit(plain, datamodule=module())
        trainer(max_epochs=1, num_sanity_val_steps=2).fit(checked, datamodule=module())

        assert equal(checked.train_batches, plain.train_batches)
        assert len(checked.dev_batches) == len(plain.dev_batches) + min(2, len(plain.dev_batches))

    def test_a_trial_run_takes_one_batch(self, module, trainer):
        model = Seen()
        trainer(fast_dev_run=True).fit(model, datamodule=module())

        assert (len(model.train_batches), len(model.dev_batches)) == (1, 1)


class TestProcesses:
    def parts(self, dataset, rank, world, **more):
        data = GcnDataModule(dataset, batch_size=4, seed=2, **more)
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        data.trainer = SimpleNamespace(
            global_rank=rank, world_size=world, overfit_batches=0, current_epoch=1, strategy=strategy
        )
        return data

    @pytest.mark.parametrize("on_device", [False, True])
    def test_they_share_the_batches_of_an_epoch(self, dataset, on_device):
        loaders = [self.parts(dataset, rank, 3, on_device=on_device) for rank in range(3)]
        train = [joined(positions(loader.train_dataloader())) for loader in loaders]
        dev = [joined(positions(loader.val_dataloader())) for loader in loaders]

        # All processes of a training make the same number of steps.
        assert len({len(part) for part in train}) == 1
        n_left_out = len(dataset.chips("train")) % 12
        seen = sorted(joined(train))
        assert len(seen) == len(set(seen)) == len(dataset.chips("train")) - n_left_out
        assert sorted(joined(dev)) == list(range(len(dataset.chips("dev"))))
        # The second epoch, because that is where the trainer is.
        assert train[0][:4] == dataset.chips("train").order(seed=2, epoch=1)[:4].tolist()

    @pytest.mark.parametrize("part", [(3, 3), (-1, 2), (0, 0)])
    def test_a_rank_outside_the_world_is_refused(self, dataset, part):
        with pytest.raises(ConfigError, match="process"):
            self.parts(dataset, *part).train_dataloader()

    def test_too_many_processes_are_refused(self, dataset):
        with pytest.raises(ConfigError, match="too few chips for 500 processes"):
            self.parts(dataset, 0, 500).train_dataloader()


class TestRefused:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"batch_size": 0}, "batches of 0 chips"),
            ({"seed": -1}, "seed is -1"),
            ({"fold": 0}, "without folds"),
            ({"years": 1900}, "1900"),
            ({"where": "share_snow > 0"}, "share_snow"),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(self, dataset, wrong, said):
        with pytest.raises(ConfigError, match=said):
            GcnDataModule(dataset, **wrong)

    def test_a_split_that_does_not_exist_is_refused(self, module):
        with pytest.raises(ConfigError, match="no split 'test'"):
            module().test_dataloader()

    def test_conditions_that_no_chip_fulfils_are_refused(self, module):
        with pytest.raises(ConfigError, match="share_ice > 2"):
            module(where="share_ice > 2").train_dataloader()

    def test_a_state_of_something_else_is_refused(self, module):
        with pytest.raises(ConfigError, match="no state"):
            module().train_dataloader().load_state_dict({"epoch": 0, "batches": 999})

    def test_what_is_no_batch_of_chips_passes_unchanged(self, module):
        assert module().on_after_batch_transfer([1, 2], 0) == [1, 2]
