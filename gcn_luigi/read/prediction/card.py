"""What a model needs to know to predict: its bands in order, their statistics, and its classes; JSON in its file."""

import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band
from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import ConfigError, InputError, listed
from gcn_luigi.read.normalise import scales_of
from gcn_luigi.read.rasters import SAME_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcn_luigi.lattice import Lattice
    from gcn_luigi.read.dataset import Dataset

FORMAT = "gcn_luigi model 1"


@dataclass(frozen=True)
class ModelBand:
    """A band as the model was trained with: how its values are stored, and its statistics over train."""

    name: str
    role: str
    unit: str
    scale: float
    offset: float
    mean: float
    std: float


@dataclass(frozen=True)
class ModelCard:
    """What a model was trained on.

    Attributes
    ----------
    bands : tuple of ModelBand
        The bands of an image in the order of the model.
    dtype : str
        The type of the training chips: ``int16`` or ``float32``.
    classes : ClassTable
        The classes in the order of the model's scores.
    size : int
        Edge of a window in pixels, that of a chip by default.
    pixel_size : float
        Edge of a pixel in metres.
    data_digest : str
        `Dataset.data_digest` of the dataset that the model was trained on.
    """

    bands: tuple[ModelBand, ...]
    dtype: str
    classes: ClassTable
    size: int
    pixel_size: float
    data_digest: str

    @classmethod
    def of(cls, dataset: "Dataset", size: int | None = None) -> Self:
        """Return the card of a model that is trained on a dataset, with all its bands in order.

        Raises
        ------
        ShardError
            The statistics lack a band.
        ConfigError
            `size` is below 1.
        """
        chip = int(dataset.description["configuration"]["chips"]["size"])
        if size is not None and size < 1:
            raise ConfigError(f"a window cannot have {size} pixels", where="size", fix=f"give {chip}, or another size")
        mean, std = scales_of(dataset.statistics, [band.name for band in dataset.bands])
        scales = zip(dataset.bands, mean.ravel().tolist(), std.ravel().tolist(), strict=True)
        bands = tuple(
            ModelBand(band.name, str(band.role), band.unit, band.scale, band.offset, *both) for band, *both in scales
        )
        pixel_size = dataset.lattice.pixel_size
        return cls(bands, dataset.dtype, dataset.classes, size or chip, pixel_size, dataset.data_digest)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the bands in order."""
        return tuple(band.name for band in self.bands)

    @cached_property
    def scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the bands, each (band, 1, 1)."""
        pairs = np.array([(band.mean, band.std) for band in self.bands], np.float64)
        return pairs[:, :1, np.newaxis], pairs[:, 1:, np.newaxis]

    def as_json(self) -> str:
        """Return the text that a model file holds."""
        said = {
            "format": FORMAT,
            "bands": [asdict(band) for band in self.bands],
            "dtype": self.dtype,
            "classes": self.classes.facts("name", "value", "colour", "glacier"),
            "size": self.size,
            "pixel_size": self.pixel_size,
            "data_digest": self.data_digest,
        }
        return json.dumps(said, indent=1)

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """Return the card that `as_json` wrote; `where` names the model file.

        Raises
        ------
        InputError
            The text is empty or not such a card: the model was saved by something else, or the file is damaged.
        """
        fix = "write the file with gcn_luigi.read.torch.save_model, which describes what the model was trained on"
        if not text:
            raise InputError("does not say which bands, statistics and classes the model has", where=where, fix=fix)
        try:
            said = json.loads(text)
            form = said["format"]
            found = cls(
                tuple(ModelBand(**band) for band in said["bands"]),
                str(said["dtype"]),
                ClassTable.of(said["classes"]),
                int(said["size"]),
                float(said["pixel_size"]),
                str(said["data_digest"]),
            )
            is_sound = found.bands and found.size > 0 and 0 < found.pixel_size < math.inf
            is_sound = is_sound and all(map(_is_sound, found.bands)) and len({*found.names}) == len(found.bands)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            what = f"its description cannot be read ({type(error).__name__}: {error})"
            raise InputError(what, where=where, fix=fix) from error
        if form != FORMAT or not is_sound:
            wrong = "its bands, statistics or sizes make no sense"
            what = f"its description is {form!r} and not {FORMAT!r}" if is_sound else wrong
            raise InputError(what, where=where, fix=fix)
        return found

    def expected(self, dataset: "Dataset") -> "ModelInput":
        """Return what the model reads: bands of the dataset in the order of the model.

        Raises
        ------
        ConfigError
            The dataset lacks a band, stores it in another way, or has pixels of another size.
        """
        known: Mapping[str, Band] = {band.name: band for band in dataset.bands}
        fix = "predict with a model that was trained on such data, or from a dataset with the same bands"
        if lost := [band.name for band in self.bands if band.name not in known]:
            what = f"the model was trained with the bands {listed(lost)}, which the dataset does not have"
            raise ConfigError(what, where=dataset.place, fix=fix)
        for band in self.bands:
            other = known[band.name]
            here = (str(other.role), other.unit, other.scale, other.offset, dataset.dtype)
            there = (band.role, band.unit, band.scale, band.offset, self.dtype)
            if here != there:
                what = f"{band.name} is stored as {_said(here)}, and the model was trained with {_said(there)}"
                raise ConfigError(what, where=dataset.place, fix=fix)
        edge = dataset.lattice.pixel_size
        if abs(self.pixel_size / edge - 1) > SAME_SIZE:
            what = f"its pixels are {edge:g} m, and the model was trained with {self.pixel_size:g} m"
            raise ConfigError(what, where=dataset.place, fix=fix)
        return ModelInput(tuple(known[name] for name in self.names), dataset.dtype, dataset.lattice)

    def notes(self, dataset: "Dataset") -> tuple[str, ...]:
        """Return in sentences how the dataset differs from the one of the training, where that changes results."""
        if self.data_digest == dataset.data_digest:
            return ()
        text = f"the model was trained on other data ({self.data_digest[:12]}) than {dataset.place} holds"
        known = dataset.statistics.get("bands", {})
        differ = [
            band.name
            for band in self.bands
            if (band.mean, band.std) != tuple(known.get(band.name, {}).get(key) for key in ("mean", "std"))
        ]
        more = f"; mean and deviation of {listed(differ)} are those of the training" if differ else ""
        return (f"{text}{more}",)


@dataclass(frozen=True)
class ModelInput:
    """The bands that a raster must have, as `gcn_luigi.read.rasters.opened` takes them."""

    bands: tuple[Band, ...]
    dtype: str
    lattice: "Lattice"


@dataclass(frozen=True)
class Model:
    """A model from a file.

    Attributes
    ----------
    module : object
        The module of torch.
    card : ModelCard
        What it was trained on.
    digest : str
        SHA-256 of the file.
    fixed_size : bool
        Whether it only takes windows of ``card.size``.
    """

    module: Any
    card: ModelCard
    digest: str
    fixed_size: bool = False


def _is_sound(band: ModelBand) -> bool:
    return band.std > 0 and all(map(math.isfinite, (band.mean, band.std, band.scale, band.offset)))


def _said(stored: tuple[object, ...]) -> str:
    role, unit, scale, offset, dtype = stored
    return f"{dtype} with role {role}, unit {unit or 'none'}, scale {scale:g} and offset {offset:g}"
