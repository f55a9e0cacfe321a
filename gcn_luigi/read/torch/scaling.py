"""Normalise images on the device that trains."""

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch

from gcn_luigi.prepare.missing.fill import Flag
from gcn_luigi.read.normalise import scales_of

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset


class DeviceScaling:
    """Normalise as `gcn_luigi.read.normalise` does, but in single precision, which devices are made for.

    Parameters
    ----------
    dataset : Dataset
        Its statistics normalise, and its bands say which flags mean that their pixels are missing.
    device : torch.device
        Where the images are.

    Raises
    ------
    ShardError
        The statistics lack a band.
    """

    def __init__(self, dataset: "Dataset", device: torch.device) -> None:
        self.device = device
        scales = scales_of(dataset.statistics, [band.name for band in dataset.bands])
        self._mean, self._std = (torch.from_numpy(values.astype(np.float32)).to(device) for values in scales)
        # Runs of bands with the same flag for missing pixels: first band, band after the last one, flag.
        self._runs: list[tuple[int, int, int]] = []
        for flag, run in groupby(enumerate(dataset.bands), lambda numbered: int(Flag[numbered[1].role.name])):
            numbers = [number for number, _ in run]
            self._runs.append((numbers[0], numbers[-1] + 1, flag))

    def __call__(self, image: torch.Tensor, flags: torch.Tensor) -> torch.Tensor:
        """Return images (chip, band, y, x) as float32, normalised, and 0 where `flags` (chip, y, x) say missing."""
        # The first operation converts as well, and the others need no memory of their own.
        scaled = torch.sub(image, self._mean).div_(self._std)
        for first, end, flag in self._runs:
            scaled[:, first:end].masked_fill_(((flags & flag) != 0).unsqueeze(1), 0.0)
        return scaled
