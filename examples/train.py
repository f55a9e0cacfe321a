"""Train a small network on a dataset: ``python examples/train.py output/demo --steps 60 --save model.pt2``.

It shows what any training on these chips has to do: normalise by the numbers of train, let the loss pass over missing
labels, weigh the classes, count uncertain labels for less if the dataset says which these are, and measure on dev. The
network is small on purpose; ``--network examples/unet.py:unet`` puts another in its place. ``gcn predict`` makes a map
with the model that is saved.
"""
# ruff: noqa: INP001, T201  a script that tells how far it is

import argparse
import time
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

import gcn_luigi
from gcn_luigi import Dataset, Flag
from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.read.torch import ChipStream, make_model, save_model

Tensors = dict[str, torch.Tensor]


class Normalised(nn.Module):
    """Turn int16 images into float32 ones of mean 0 and deviation 1, on the device; missing pixels become 0.

    `places` gives the output of the network for each value of a label: classes count from 0, whatever their values.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        known = [dataset.statistics["bands"][band.name] for band in dataset.bands]
        flags = [int(Flag[band.role.name]) for band in dataset.bands]
        for name, values, dtype in (
            ("mean", [one["mean"] for one in known], torch.float32),
            ("std", [one["std"] for one in known], torch.float32),
            ("bits", flags, torch.uint8),
        ):
            self.register_buffer(name, torch.tensor(values, dtype=dtype)[:, None, None])
        places = torch.full((256,), LABEL_IGNORE)
        places[list(dataset.classes.values)] = torch.arange(len(dataset.classes))
        self.register_buffer("places", places)

    def forward(self, image: torch.Tensor, flags: torch.Tensor) -> torch.Tensor:
        """Return (chip, band, y, x) float32."""
        scaled = (image.float() - self.mean) / self.std
        return scaled.masked_fill((flags.unsqueeze(1) & self.bits) != 0, 0.0)


def network(bands: int, classes: int, width: int = 24) -> nn.Module:
    """Return a network that sees 15 pixels around each pixel."""
    layers: list[nn.Module] = []
    for dilation, channels in ((1, bands), (2, width), (4, width)):
        layers += [nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, classes, 1))


def loss_of(
    found: torch.Tensor, place: torch.Tensor, weight: torch.Tensor, sure: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean cross entropy over the pixels that have a label, each with the weight of its class.

    `sure` (chip, y, x) float32, 0 to 1, is the batch's ``weight``, which is 0 where the label is missing: a pixel
    whose label is half as certain counts half as much. Without it, all labels count in full.
    """
    if sure is None:
        return functional.cross_entropy(found, place, weight, ignore_index=LABEL_IGNORE)
    each = functional.cross_entropy(found, place, weight, ignore_index=LABEL_IGNORE, reduction="none")
    share = weight[place.clamp(max=len(weight) - 1)] * sure
    return (each * sure).sum() / share.sum().clamp(min=1e-6)


def endless(stream: ChipStream, device: torch.device) -> Iterator[Tensors]:
    """Yield batches on the device, epoch after epoch, each in an order of its own."""
    while True:
        for batch in stream:
            # int16 over the bus: half the bytes of float32.
            yield {name: values.to(device, non_blocking=True) for name, values in batch.items()}


@torch.no_grad()
def intersection_over_union(model: nn.Module, scale: nn.Module, dataset: Dataset, device: torch.device) -> list[float]:
    """Return it for each class over all pixels of dev that have a label."""
    model.eval()
    n_classes = len(dataset.classes)
    hits = torch.zeros(n_classes, n_classes, dtype=torch.int64)
    for batch in ChipStream(dataset.chips("dev"), 32):
        image, label, flags = (batch[name].to(device) for name in ("image", "label", "flags"))
        found = model(scale(image, flags)).argmax(1)
        place = scale.places[label.long()]
        valid = place != LABEL_IGNORE
        pairs = place[valid] * n_classes + found[valid]
        hits += torch.bincount(pairs, minlength=hits.numel()).reshape(hits.shape).cpu()
    model.train()
    union = hits.sum(0) + hits.sum(1) - hits.diagonal()
    return [float(value) for value in hits.diagonal() / union.clamp(min=1)]


def train(
    dataset: Dataset, *, steps: int, size: int = 16, seed: int = 8, threads: int = 1, model: nn.Module | None = None
) -> tuple[list[float], list[float]]:
    """Train and return the loss of every step, and the intersection over union of each class on dev.

    `model` is trained in place; without one, it is a new `network`.
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    weights = dataset.statistics["classes"]["weights"]["median_frequency"]
    weight = torch.tensor([weights[name] for name in dataset.class_names], device=device)
    model = network(len(dataset.bands), len(dataset.classes)) if model is None else model
    scale, model = Normalised(dataset).to(device), model.to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    stream = ChipStream(dataset.chips("train", threads=threads), size, seed=seed, drop_last=True)
    losses, start = [], time.monotonic()
    for step, batch in zip(range(steps), endless(stream, device), strict=False):
        found = model(scale(batch["image"], batch["flags"]))
        loss = loss_of(found, scale.places[batch["label"].long()], weight, batch.get("weight"))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if step % 20 == 19:
            print(f"step {step + 1}: loss {sum(losses[-20:]) / 20:.3f}, {time.monotonic() - start:.0f} s")
    return losses, intersection_over_union(model, scale, dataset, device)


def main() -> None:
    """Read the command line, train, and tell the result."""
    parser = argparse.ArgumentParser(description="Train a small network on a dataset.")
    parser.add_argument("directory")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=16, help="chips of a batch")
    parser.add_argument("--threads", type=int, default=1, help="that decode chips")
    parser.add_argument("--network", default=f"{__file__}:network", help="FILE.py:NAME or package.module:NAME")
    parser.add_argument("--save", help="write the model to this .pt2 or .safetensors file")
    asked = parser.parse_args()
    dataset = gcn_luigi.open_dataset(asked.directory)
    torch.manual_seed(8)
    model = make_model(asked.network, len(dataset.bands), len(dataset.classes))
    _, scores = train(dataset, steps=asked.steps, size=asked.size, threads=asked.threads, model=model)
    for name, score in zip(dataset.class_names, scores, strict=True):
        print(f"{name}: intersection over union {score:.2f} on dev")
    if asked.save:
        save_model(model, asked.save, dataset)
        print(f"saved: {asked.save}")


if __name__ == "__main__":
    main()
