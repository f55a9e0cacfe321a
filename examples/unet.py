"""A U-Net for chips: ``python examples/train.py output/demo --network examples/unet.py:unet --save model.pt2``.

The encoder halves the resolution and doubles the channels at each level; the decoder goes back up, and at each level
joins what the encoder saw there (the skip connections), so that outlines stay sharp. Source: Ronneberger, O., Fischer,
P., Brox, T. (2015): U-Net: Convolutional Networks for Biomedical Image Segmentation, doi:10.1007/978-3-319-24574-4_28.

The published scripts train a relative of it, MA-Net: the same shape with attention between encoder and decoder, on a
ResNet-50 whose first weights come from photographs. They use nine bands, three classes and the Jaccard loss, in which a
missing label counts as a class. This network has half a million weights, far fewer, and starts from random ones. It
takes any bands and classes, and pads, so that the output has the size of the input.
"""
# ruff: noqa: INP001  a script's neighbour, not a package

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def block(before: int, after: int) -> nn.Sequential:
    """Return two convolutions of 3 x 3 px, each with batch normalisation."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Scores of each class (chip, class, y, x) from normalised images (chip, band, y, x), both float32.

    Parameters
    ----------
    bands, classes : int
        Number of bands of an image, and of classes of the label.
    width : int
        Channels of the first level.
    levels : int
        How often the resolution is halved. Edges of images must be multiples of ``2 ** levels``.
    """

    def __init__(self, bands: int, classes: int, width: int = 16, levels: int = 3) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels + 1)]
        pairs = list(pairwise(widths))
        self.first = block(bands, width)
        self.down = nn.ModuleList(block(fine, coarse) for fine, coarse in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for fine, coarse in reversed(pairs))
        self.join = nn.ModuleList(block(2 * fine, fine) for fine, _ in reversed(pairs))
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the scores, before softmax."""
        seen = [self.first(image)]
        for down in self.down:
            seen.append(down(functional.max_pool2d(seen[-1], 2)))
        found = seen.pop()
        for up, join in zip(self.up, self.join, strict=True):
            found = join(torch.cat([seen.pop(), up(found)], dim=1))
        scores: torch.Tensor = self.last(found)
        return scores


def unet(bands: int, classes: int) -> nn.Module:
    """Return the network that `examples/train.py` trains."""
    return UNet(bands, classes)
