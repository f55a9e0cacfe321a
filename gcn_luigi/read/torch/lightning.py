"""The loaders of a dataset as a data module of Lightning, which goes on in the middle of an epoch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.read.reader import ChipReader
from gcn_luigi.read.torch.device import DeviceBatches, DeviceChips
from gcn_luigi.read.torch.loaders import ChipStream, check_part
from gcn_luigi.read.torch.orientation import dihedral
from gcn_luigi.read.torch.scaling import DeviceScaling
from gcn_luigi.read.transforms import orientations

try:
    from lightning.pytorch import LightningDataModule
except ImportError:
    # The same classes under their older name. A trainer takes only data modules of its own package.
    from pytorch_lightning import LightningDataModule

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

_TURN = "turn"


class GcnDataModule(LightningDataModule):
    """Train, dev and test batches of a dataset for a Trainer of Lightning.

    Batches are dicts of tensors on the device of the trainer: ``image`` (chip, band, y, x) float32, normalised with the
    statistics of the dataset, where missing pixels are 0; ``label`` and ``flags`` (chip, y, x) uint8; ``position``
    (chip,) int64; with a confidence of the label also ``confidence`` uint8 and ``weight`` float32 (chip, y, x). They
    are the same, up to rounding, whether the pixels are on the device or read from the shards. Each epoch of train has
    an order of its own, which depends only on `seed` and the number of the epoch. Dev and test keep the order of the
    index and are not turned.

    If a Trainer starts again from a checkpoint, also one from the middle of an epoch, it sees the batches that it would
    have seen without the interruption, each once. `overfit_batches` shows the same batches in every epoch. Processes of
    a distributed training divide the batches of each epoch among themselves. For train, all of them get the same number
    of batches, all of full size; the few batches that are left over come in other epochs.

    Parameters
    ----------
    dataset : Dataset or path-like
        The dataset, or its directory or address.
    batch_size : int
        Chips per batch and process.
    seed : int
        Seed of the orders and orientations.
    turn : bool
        Give each chip of train one of the eight orientations, drawn again in each epoch.
    on_device : bool
        Keep the pixels of each split on the device (`DeviceChips`). Otherwise they are read from the shards in a thread
        (`ChipStream`), and normalised and turned on the device.
    memory_mb : float, optional
        Megabytes of the device that the pixels of each split may take, as for `DeviceChips`.
    **chosen
        Passed on to `Dataset.chips` for each split: fold, years, where, threads, cache_mb.

    Raises
    ------
    ConfigError
        The size is below 1, the seed is negative, there is no such fold, or later: there is no such split, no chip
        fulfils the conditions, or the pixels do not fit on the device.
    ShardError
        There is no finished dataset, or a file is damaged.
    """

    def __init__(
        self,
        dataset: "Dataset | str | Path",
        *,
        batch_size: int = 32,
        seed: int = 0,
        turn: bool = False,
        on_device: bool = False,
        memory_mb: float | None = None,
        **chosen: Any,
    ) -> None:
        super().__init__()
        check_part(batch_size, (0, 1), where="GcnDataModule")
        if seed < 0:
            raise ConfigError(f"the seed is {seed}", where="GcnDataModule", fix="use a whole number from 0")
        self.dataset: Dataset = gcn_luigi.open_dataset(dataset) if isinstance(dataset, (str, Path)) else dataset
        self.batch_size, self.seed, self.turn, self.on_device = batch_size, seed, turn, on_device
        self._memory_mb, self._chosen = memory_mb, chosen
        self._scaling: DeviceScaling | None = None
        self._on_device: dict[str, DeviceChips] = {}
        self._train: TrainLoader | None = None
        self._resumed: Mapping[str, int] | None = None
        # A fold or a condition that does not exist is noticed before the training starts.
        self._chips("train")

    def train_dataloader(self) -> "TrainLoader":
        """Return the batches of train."""
        _, world = self._part()
        batches = self._batches("train", drop_last=world > 1)
        group = batches.group if isinstance(batches, DeviceBatches) else 0
        settings = {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "processes": world,
            "turn": self.turn,
            "group": group,
        }
        self._train = loader = TrainLoader(self.trainer, batches, {**settings, "group": group})
        if not len(loader):
            raise ConfigError(
                f"train has too few chips for {world} processes with batches of {self.batch_size}",
                where="GcnDataModule",
                fix="use smaller batches or fewer processes",
            )
        if self._resumed is not None:
            loader.load_state_dict(self._resumed)
            self._resumed = None
        return loader

    def val_dataloader(self) -> "EpochLoader":
        """Return the batches of dev."""
        return EpochLoader(self._batches("dev"))

    def test_dataloader(self) -> "EpochLoader":
        """Return the batches of test, the same for all folds; ConfigError if the dataset was built without."""
        return EpochLoader(self._batches("test"))

    def predict_dataloader(self) -> "EpochLoader":
        """Return the batches of dev, so that predictions can be compared with the label."""
        return self.val_dataloader()

    def setup(self, stage: str) -> None:  # noqa: ARG002  Lightning passes it
        """Begin a run of a Trainer, which loads the state of its checkpoint afterwards."""
        self._resumed = None

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and how many of its batches were trained on. Lightning saves it in each checkpoint."""
        return {} if self._train is None else self._train.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, int]) -> None:
        """Let the next pass over train go on after a checkpoint.

        A Trainer gives loaders their state back only if it starts again within an epoch, so the module saves it too.
        """
        self._resumed = dict(state_dict) or None

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:  # noqa: ARG002  Lightning passes it
        """Return a batch of the shards normalised and turned, on the device; every other batch as it is."""
        if not isinstance(batch, dict) or _TURN not in batch:
            return batch
        own = dict(batch)
        turns = own.pop(_TURN)
        image, flags = own["image"], own["flags"]
        if self._scaling is None or self._scaling.device != image.device:
            self._scaling = DeviceScaling(self.dataset, image.device)
        own["image"] = self._scaling(image, flags)
        own = own if turns is None else dihedral(own, turns)
        # Lightning converted the batch to the precision of the model before the image was made of whole numbers.
        return own if self.trainer is None else self.trainer.precision_plugin.convert_input(own)

    def _chips(self, split: str) -> ChipReader:
        return self.dataset.chips(split, **self._chosen_for(split))

    def _chosen_for(self, split: str) -> dict[str, Any]:
        # Test is the same for all folds.
        return {name: value for name, value in self._chosen.items() if name != "fold" or split != "test"}

    def _part(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else (int(trainer.global_rank), int(trainer.world_size))

    def _batches(self, split: str, *, drop_last: bool = False) -> ChipStream | DeviceBatches:
        is_train, part = split == "train", self._part()
        check_part(self.batch_size, part, where="GcnDataModule")
        seed = self.seed if is_train else None
        if not self.on_device:
            return ChipStream(self._chips(split), self.batch_size, seed=seed, drop_last=drop_last, part=part)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if split not in self._on_device or self._on_device[split].device != device:
            chosen = self._chosen_for(split)
            self._on_device[split] = DeviceChips(
                self.dataset, split, device=device, memory_mb=self._memory_mb, **chosen
            )
        turn = self.turn and is_train
        return self._on_device[split].batches(self.batch_size, seed=seed, turn=turn, drop_last=drop_last, part=part)


class EpochLoader:
    """The batches of one split for a Trainer. Each pass is the next epoch.

    Parameters
    ----------
    batches : ChipStream or DeviceBatches
        The batches.
    turn_seed : int or None
        Seed of the orientations of batches from a stream, which the data module applies on the device. None turns no
        chip. `DeviceBatches` turn for themselves.
    """

    def __init__(self, batches: ChipStream | DeviceBatches, turn_seed: int | None = None) -> None:
        self._batches, self._turn_seed = batches, turn_seed

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch."""
        return len(self._batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Begin the next epoch with the first batch that is asked for, and yield the batches of this process."""
        if not isinstance(self._batches, ChipStream):
            yield from self._batches
            return
        drawn: torch.Tensor | None = None
        for batch in self._batches:
            if drawn is None and self._turn_seed is not None:
                epoch = self._batches.state_dict()["epoch"]
                turns = orientations(self._batches.n_chips, seed=self._turn_seed, epoch=epoch)
                drawn = torch.from_numpy(turns)
            yield {**batch, _TURN: None if drawn is None else drawn[batch["position"]]}


class TrainLoader(EpochLoader):
    """The batches of train for a Trainer, and how far it is, for checkpoints.

    Parameters
    ----------
    trainer : Trainer or None
        Counts the batches that were trained on. Without it, those that were given count.
    batches : ChipStream or DeviceBatches
        The batches.
    settings : mapping
        Everything on which the batches of an epoch depend: seed, batch_size, processes, turn and group.
    """

    def __init__(self, trainer: Any, batches: ChipStream | DeviceBatches, settings: Mapping[str, int]) -> None:
        super().__init__(batches, settings["seed"] if settings["turn"] else None)
        self._trainer, self._settings, self._goes_on = trainer, settings, False
        if trainer is not None:
            # A Trainer asks for a new loader when it trains for more epochs.
            batches.load_state_dict({"epoch": trainer.current_epoch - 1, "batches": 0})

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Begin the next epoch, or the first one again if the Trainer is to see the same batches in every epoch."""
        if self._trainer is not None and self._trainer.overfit_batches > 0 and not self._goes_on:
            self._batches.load_state_dict({"epoch": -1, "batches": 0})
        self._goes_on = False
        yield from super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Return the last epoch that is complete, or one that is not and how many of its batches were trained on."""
        state = self._batches.state_dict()
        epoch, done, end = state["epoch"], state["batches"], len(self)
        if self._trainer is not None and done:
            # A step that failed leaves a batch that was given and not trained on. It comes again.
            done = min(done, self._trainer.fit_loop.epoch_loop.batch_progress.current.processed)
            epoch -= done == 0
            # With `limit_train_batches`, an epoch ends early.
            end = self._trainer.num_training_batches
        return {"epoch": epoch, "batches": done if done < end else 0, **self._settings}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next pass go on after a checkpoint.

        Raises
        ------
        ConfigError
            The state is not one of `state_dict`, or the epoch cannot be completed because the batches are others now.
        """
        found = {name: state.get(name, value) for name, value in self._settings.items()}
        if state.get("batches") and found != self._settings:
            changed = ", ".join(f"{name} {value}" for name, value in found.items() if value != self._settings[name])
            raise ConfigError(
                f"the epoch of the checkpoint was begun with {changed}, so the rest of it is not known",
                where="GcnDataModule, ckpt_path",
                fix="use the settings of the interrupted training, or a checkpoint from the end of an epoch",
            )
        self._batches.load_state_dict({name: state[name] for name in ("epoch", "batches", "group") if name in state})
        self._goes_on = True
