"""The chips of a split as a dataset of torchgeo, with its keys, for its transforms, trainers and data modules."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyproj import CRS
from torchgeo.datasets import NonGeoDataset

from gcn_luigi.errors import ConfigError
from gcn_luigi.read.labels import map_label
from gcn_luigi.read.normalise import normalise

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

Sample = dict[str, Any]


class TorchgeoChips(NonGeoDataset):
    """The chips of a split, one sample at a time, with the keys that torchgeo uses.

    A sample has ``image`` (band, y, x) float32; ``mask`` (y, x) int64: the classes, numbered from 0 by rising value,
    and 255 where the label is missing; ``crs``, the `pyproj.CRS`; ``bounds``, slices of x and y in metres, each with
    the size of a pixel as its step; and ``chip_id``. Give 255 to the loss: torchgeo's trainers take
    ``ignore_index=255``. A DataLoader needs ``collate_fn=torchgeo.datasets.stack_samples``, which stacks the tensors
    and lists the rest.

    Two things differ from `ChipDataset`: chips are read one by one, which takes longer than whole batches, and the
    image is converted on the processor. Use this class to try models and transforms of torchgeo, and `ChipStream` or
    `DeviceChips` for long trainings.

    Parameters
    ----------
    dataset : Dataset
        A finished dataset.
    split : str
        As for `Dataset.chips`.
    normalised : bool
        Normalise the image with the statistics of the dataset; missing pixels become 0. Otherwise values are as stored,
        and missing pixels hold the fill value.
    transforms : callable, optional
        Takes a sample and returns a changed one, as for any dataset of torchgeo.
    **chosen
        Passed on to `Dataset.chips`: fold, years, where, threads, cache_mb.

    Raises
    ------
    ConfigError
        There is no such split or fold, or no chip fulfils the conditions.
    ShardError
        A shard is missing or damaged, or the statistics lack a band.
    """

    def __init__(
        self,
        dataset: "Dataset",
        split: str = "train",
        *,
        normalised: bool = True,
        transforms: Callable[[Sample], Sample] | None = None,
        **chosen: Any,
    ) -> None:
        self.split, self.normalised, self.transforms = split, normalised, transforms
        self.classes, self.bands = dataset.class_names, tuple(band.name for band in dataset.bands)
        self.crs, self.res = CRS.from_user_input(dataset.lattice.crs), dataset.lattice.pixel_size
        self.reader = dataset.chips(split, **chosen)
        self.reader.check_not_empty()
        self._dataset = dataset

    def __len__(self) -> int:
        """Return the number of chips."""
        return len(self.reader)

    def __getitem__(self, index: int) -> Sample:
        """Return one sample. Raise IndexError if there is no such chip."""
        chip = self.reader[index]
        image: Any = chip["image"]
        if self.normalised:
            image = normalise(image, chip["flags"], self._dataset.statistics, self._dataset.bands)
        row = self.reader.table.iloc[index]
        left, bottom, right, top = (float(row[name]) for name in ("left", "bottom", "right", "top"))
        sample: Sample = {
            "image": torch.from_numpy(np.asarray(image, np.float32)),
            "mask": torch.from_numpy(map_label(chip["label"], "classes", self._dataset.classes)).long(),
            "crs": self.crs,
            "bounds": (slice(left, right, self.res), slice(bottom, top, self.res)),
            "chip_id": chip["chip_id"],
        }
        return sample if self.transforms is None else self.transforms(sample)

    def plot(self, sample: Sample, show_titles: bool = True, suptitle: str | None = None) -> Any:  # noqa: FBT001, FBT002
        """Draw a sample: its image in false colour, its mask, and a ``prediction`` if it has one.

        Parameters
        ----------
        sample : dict
            From this dataset, also after a transform that keeps ``image`` (band, y, x) and ``mask`` (y, x).
            ``prediction`` (y, x) has classes as ``mask``. In a normalised image, pixels that are exactly 0 are drawn as
            missing.
        show_titles : bool
            Write a title over each panel.
        suptitle : str, optional
            A title for the figure; by default none.

        Returns
        -------
        matplotlib.figure.Figure
            The figure.

        Raises
        ------
        ConfigError
            matplotlib is not installed, or the image has other bands than the dataset.
        """
        from gcn_luigi.read.show.figures import panels  # noqa: PLC0415  it needs matplotlib

        image = sample["image"].numpy()
        if image.ndim != 3 or len(image) != len(self.bands):
            raise ConfigError(
                f"an image of shape {tuple(image.shape)} cannot be shown",
                where="TorchgeoChips.plot",
                fix=f"give one sample with the bands {', '.join(self.bands)}, not a batch",
            )
        maps = {"mask": sample["mask"].numpy()}
        if "prediction" in sample:
            maps["prediction"] = sample["prediction"].numpy()
        title = "" if suptitle is None else suptitle
        return panels(self._dataset, image, maps, normalised=self.normalised, titles=show_titles, heading=title)
