"""Batches on the device that trains: cut there from partitions, against what other loaders send there.

It runs on a GPU if there is one, else on the processor, and each row says on which.
"""

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

import gcn_luigi
from benchmarks import ours, peer_files
from benchmarks.peer_files import PeerFiles
from benchmarks.region import Ground
from benchmarks.rows import Claim, LeftOut, Row, evaluate, first_line
from benchmarks.timing import Contestant, Race, race

CORES = 2
BATCH = 256
_STEP_BATCH = 16
_SEED = 8
# Of what the memory of the device can copy; and a training step that waits for less than a hundredth of its time.
_COPY_TARGET, _STEP_TARGET = 0.6, 0.99
# Band statistics are no part of what is compared: any numbers do.
_MEAN, _STD = 500.0, 700.0
_CUT = "DeviceChips"
_LOADERS = {
    "stream": "ChipStream, normalised on the device",
    "memmap": "one array of all chips, mapped, as FFCV reads; normalised on the device",
    "hdf5": "h5py, chip by chip, bitshuffle-lz4; normalised on the device",
    "pt": ".pt files by two worker processes",
    "litdata": "LitData by two worker processes; normalised on the device",
}
_UNET = Path(__file__).resolve().parents[1] / "examples" / "unet.py"


def rows(ground: Ground) -> list[Row]:
    """Return the rows of this suite."""
    if not peer_files.has_torch():
        nothing = dict.fromkeys((_CUT, "chips", "copy", "step alone"), "torch is not installed")
        return evaluate(_claims(), Race({}), nothing, "")
    import torch  # noqa: PLC0415

    is_gpu = torch.cuda.is_available()
    torch.set_num_threads(CORES)
    field = _Field(ground, torch.device("cuda" if is_gpu else "cpu"))
    contestants, missing = list(field.ours()), {}
    for name in _LOADERS:
        try:
            contestants.append(field.loader(name))
        except (ImportError, LeftOut) as reason:
            missing[name] = first_line(reason)
    run = race(contestants, ground.plan.rounds)
    return evaluate(_claims(torch.cuda.get_device_name() if is_gpu else ""), run, missing, "")


def _claims(gpu: str = "") -> Iterator[Claim]:
    device = gpu or "the processor"
    # The targets are meant for the bandwidth of a GPU.
    least_copy, least_steps = (_COPY_TARGET, _STEP_TARGET) if gpu else (None, None)
    cut = f"{BATCH} chips a batch on {device}: cut, turned, normalised to float32"
    yield Claim("device-copy", cut, "copying as many bytes there", _CUT, "copy", least_copy, "bytes/s")
    for name, title in _LOADERS.items():
        yield Claim(f"device-{name}", f"{BATCH} chips a batch on {device}", title, "chips", name)
    step = f"training steps of a U-Net on {device}, {_STEP_BATCH} chips each, by DeviceChips"
    yield Claim("device-step", step, "the same steps on one batch", "steps", "step alone", least_steps, "steps/s")


class _Field:
    """The same chips for all contestants, and where they must go."""

    def __init__(self, ground: Ground, device: Any) -> None:
        from gcn_luigi.read.torch import DeviceChips  # noqa: PLC0415  optional

        place = ground.listed(ground.plan.read_partitions, f"read-windows-{ours.DEFAULT_CODEC}")
        if not place.dataset.is_file():
            ours.finish(place, ours.variant(ground.settings, "windows"))
        self._device, self._plan = device, ground.plan
        self._reader = ours.Reader(place).chips
        self._files = peer_files.make(ground, iter(("bitshuffle-lz4",)))
        self._count = max(1, ground.plan.fast_batches // 4)
        self._chips = DeviceChips(_Described(gcn_luigi.open_dataset(place.root)), "train", device=device)

    def ours(self) -> Iterator[Contestant]:
        """Yield ours, the copy, and the training steps."""
        import torch  # noqa: PLC0415

        n_batch = min(BATCH, len(self._reader))
        shape = (n_batch, *self._reader.batch([0])["image"].shape[1:])
        there = torch.ones(shape, device=self._device)
        here = torch.empty_like(there)
        batches = self._chips.batches(BATCH, seed=_SEED, turn=True)

        def copied() -> int:
            for _ in range(self._count):
                here.copy_(there)
            self._wait()
            return self._count * there.nbytes

        yield Contestant(_CUT, lambda: self._taken(batches, lambda batch: int(batch["image"].nbytes)))
        yield Contestant("chips", lambda: self._taken(batches, lambda batch: len(batch["image"])))
        yield Contestant("copy", copied)
        step = _step(shape[1], self._device)
        small = self._chips.batches(_STEP_BATCH, seed=_SEED, turn=True, drop_last=True)
        one = next(iter(small))
        yield Contestant("steps", lambda: self._taken(small, step))
        yield Contestant("step alone", lambda: self._taken(repeat(one), step))

    def loader(self, name: str) -> Contestant:
        """Return one of the other loaders; raise ImportError or LeftOut if it cannot run."""
        batches: dict[str, Callable[[], Iterable[Any]]] = {
            "stream": self._stream,
            "memmap": lambda: self._arrays(peer_files.read_memmap(self._files, self._size)),
            "hdf5": lambda: self._arrays(peer_files.read_hdf5(self._files, "bitshuffle-lz4", self._size)),
            "pt": lambda: _loader(_Tensors(self._files), self._size),
            "litdata": lambda: _litdata(self._files, self._size),
        }
        found = batches[name]()
        return Contestant(name, lambda: self._taken(found, lambda batch: len(self._arrived(batch))))

    @property
    def _size(self) -> int:
        return min(BATCH, self._files.file_count)

    def _stream(self) -> Iterable[Any]:
        from gcn_luigi.read.torch import ChipStream  # noqa: PLC0415  optional

        stream = ChipStream(self._reader.preload(), self._size, seed=_SEED)
        return _Again(lambda: (batch["image"] for batch in stream))

    def _arrays(self, read: peer_files.ReadBatch) -> Iterable[Any]:
        import torch  # noqa: PLC0415

        draw = np.random.default_rng(_SEED)

        def epoch() -> Iterator[Any]:
            order = draw.permutation(self._files.count)
            for first in range(0, len(order) - self._size + 1, self._size):
                chips: Any = read(order[first : first + self._size])
                yield torch.from_numpy(chips)[:, :-1]

        return _Again(epoch)

    def _arrived(self, image: Any) -> Any:
        return image.to(self._device, non_blocking=True).float().sub_(_MEAN).div_(_STD)

    def _taken(self, batches: Iterable[Any], use: Callable[[Any], float]) -> float:
        """Use as many batches as a sample has, epoch after epoch, and return the sum of what was done."""
        done = sum(use(batch) for batch in islice(chain.from_iterable(repeat(batches)), self._count))
        self._wait()
        return done

    def _wait(self) -> None:
        import torch  # noqa: PLC0415

        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class _Described:
    """A place of the benchmark has no statistics: any numbers do."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.statistics = {"bands": {band.name: {"mean": _MEAN, "std": _STD} for band in dataset.bands}}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)


class _Again:
    """What can be gone through again and again: an epoch each time."""

    def __init__(self, epoch: Callable[[], Iterator[Any]]) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        return self._epoch()


class _Tensors:
    """A map-style dataset of the published files: one float32 tensor a chip, the last band is the label."""

    def __init__(self, files: PeerFiles) -> None:
        self._files = files

    def __len__(self) -> int:
        return self._files.file_count

    def __getitem__(self, number: int) -> Any:
        import torch  # noqa: PLC0415

        return torch.load(self._files.tensor(number))[:-1]


def _loader(dataset: Any, size: int) -> Iterable[Any]:
    from torch.utils.data import DataLoader  # noqa: PLC0415

    return DataLoader(dataset, size, shuffle=True, num_workers=CORES, persistent_workers=True)


def _litdata(files: PeerFiles, size: int) -> Iterable[Any]:
    from litdata import StreamingDataLoader, StreamingDataset, optimize  # noqa: PLC0415  optional

    directory = files.directory / "litdata"
    if not (directory / "index.json").is_file():
        numbers = list(range(files.file_count))
        optimize(files.litdata_chip, numbers, str(directory), chunk_bytes="64MB", num_workers=1)
    return StreamingDataLoader(StreamingDataset(str(directory), shuffle=True), batch_size=size, num_workers=CORES)


def _step(n_bands: int, device: Any) -> Callable[[Any], float]:
    """Return a training step of the U-Net of the examples, which returns 1."""
    import torch  # noqa: PLC0415

    found: Any = importlib.util.spec_from_file_location("unet", _UNET)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    network = module.unet(n_bands, 3).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def step(batch: Any) -> float:
        scores = network(batch["image"])
        label = batch["label"].long()
        loss = torch.nn.functional.cross_entropy(scores, label.where(label < 3, 255), ignore_index=255)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return 1.0

    return step
