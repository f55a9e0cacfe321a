"""Predict the classes of a whole raster with a trained model, and write them as a map."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from gcn_luigi.classes import IGNORE
from gcn_luigi.errors import ConfigError, listed
from gcn_luigi.prepare.chips.blending import Blending
from gcn_luigi.read.prediction.card import Model, ModelCard
from gcn_luigi.read.prediction.geotiffs import write_classes, write_probabilities
from gcn_luigi.read.prediction.progress import Progress, Rows, opened_progress
from gcn_luigi.read.prediction.windows import Plan, Score, Strip, finished_rows
from gcn_luigi.read.rasters import Nodata, Raster, opened

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

Say = Callable[[str, float], None]
Missing = Literal["any", "all"]


@dataclass(frozen=True)
class Windows:
    """How a raster is predicted.

    Attributes
    ----------
    size : int or None
        Edge of a window in pixels; None is the size with which the model was trained.
    overlap : int or None
        Pixels that neighbouring windows share, from 0 to ``size - 1``; None is half of the size, so that each pixel is
        predicted four times.
    blending : str
        ``hann`` or ``linear``: how the weight of a pixel rises from the edge of its window, over the overlap.
    batch : int
        Windows that the model gets at a time.
    device : str
        A device of torch, such as ``cpu`` or ``cuda``; ``auto`` is the GPU if torch can use one.
    missing : str
        ``any``: the map has no class where any band is missing, as the flags of training chips say. ``all``: only
        where all bands are; elsewhere the model sees 0 in the bands that are missing, as in training.
    bands : sequence of str or None
        Names of the bands of the source in order, if the source does not name them itself.
    nodata : float, sequence of float or None, or None
        The value of missing pixels, as in `gcn_luigi.read.applicability.applicability`.
    """

    size: int | None = None
    overlap: int | None = None
    blending: Blending = "hann"
    batch: int = 8
    device: str = "auto"
    missing: Missing = "any"
    bands: Sequence[str] | None = None
    nodata: Nodata = None

    def plan(self, model: Model) -> Plan:
        """Return the windows for a model; raise ConfigError if a value is out of range."""
        size = model.card.size if self.size is None else self.size
        overlap = size // 2 if self.overlap is None else self.overlap
        numbers = {"size": size, "overlap": overlap, "batch": self.batch}
        if broken := [f"{name}={value!r}" for name, value in numbers.items() if not isinstance(value, Integral)]:
            raise ConfigError(f"{listed(broken)} cannot be used", where="Windows", fix="give whole numbers")
        wrong = {
            f"a window of {size} px": size < 1,
            f"an overlap of {overlap} px with windows of {size} px": not 0 <= overlap < max(size, 1),
            f"a batch of {self.batch} windows": self.batch < 1,
            f"the blending {self.blending!r}": self.blending not in get_args(Blending),
            f"missing={self.missing!r}": self.missing not in get_args(Missing),
            f"windows of {size} px, because the model file was saved for {model.card.size} px": model.fixed_size
            and size != model.card.size,
        }
        if problems := [what for what, is_wrong in wrong.items() if is_wrong]:
            raise ConfigError(
                f"{listed(problems)} cannot be used",
                where="Windows",
                fix='use a size of at least 1, an overlap from 0 to size - 1, "hann" or "linear", and "any" or "all"; '
                "a model of another size is saved with save_model(..., size=SIZE)",
            )
        return Plan(size, overlap, self.blending, self.batch, self.missing)


@dataclass(frozen=True)
class Prediction:
    """A map.

    Attributes
    ----------
    classes, probabilities : Path
        The GeoTIFFs.
    counts : dict
        Pixels of each class by name, and of ``missing`` ones.
    notes : tuple of str
        Sentences about what the user should know, such as that the model was trained on other data.
    """

    classes: Path
    probabilities: Path
    counts: dict[str, int]
    notes: tuple[str, ...]


def predict(
    model: Any,
    dataset: "Dataset",
    out: str | os.PathLike[str],
    source: Any,
    *,
    windows: Windows | None = None,
    say: Say | None = None,
) -> Prediction:
    """Predict the class of every pixel of a raster, and write classes and probabilities as GeoTIFFs.

    Overlapping windows are normalised as by `gcn_luigi.read.normalise.normalise`, with the statistics that the model
    was trained with, and missing pixels become 0. The probability of a class is the softmax of the model's scores; at
    each pixel it is the weighted mean over all windows that show the pixel, computed in double precision. The class is
    the one with the largest probability, and the first of several equal ones. At the edges of the raster, windows are
    moved inwards. A raster that is smaller than a window is filled up with missing pixels.

    Memory does not depend on the size of the raster. Finished rows are kept in a hidden file in `out`. If a run is
    killed, the same call goes on from there, and gives the same pixels as a run that was not disturbed. That file is
    not used if the model, the dataset, the source, the windows, the device or the version of torch differ. For a
    source that is not a file, and for a model that is not of torch, each run starts from the beginning. A module is
    known by its layers and weights: if only other code changed, give a new directory, or a model file.

    Parameters
    ----------
    model : Model, torch.nn.Module or callable
        A model from `gcn_luigi.read.torch.load_model`, which knows its bands, statistics and classes. A module was
        trained on all bands of `dataset` in order. It takes images (chip, band, y, x) and returns a score for each
        class before softmax, (chip, class, y, x), in the order of `Dataset.classes`. Any other callable takes and
        returns arrays of numpy.
    dataset : Dataset
        A finished dataset with the bands of the model. Without a model file, it is the one of the training.
    out : path-like
        A directory, which need not exist. It must not be within the dataset. Files in it are replaced.
    source : int, path-like, xarray.DataArray or ndarray
        A year of the dataset, whose stack is read; or a raster with the bands of the model, in the units of the
        chips and not normalised, as in `gcn_luigi.read.applicability.applicability`. Bands are found by name.
        Without names they are in the order of the model, which must then be the order of the dataset.
    windows : Windows, optional
        Size, overlap, batches, device, and what counts as missing.
    say : callable, optional
        Gets a message and the share that is done, 0 to 1.

    Returns
    -------
    Prediction
        ``<name>_classes.tif``: uint8, the values of the classes as in the label, 255 where missing, with a table of
        colours and a ``.qml`` style for QGIS. ``<name>_probabilities.tif``: float32 from 0 to 1, a band for each
        class, NaN where missing. Both are Cloud-Optimized GeoTIFFs, tiled, with deflate. `name` is the year, the name
        of the file, or ``map``.

    Raises
    ------
    ConfigError
        A band is missing or stored in another way than in training, pixels have another size, the model returns another
        shape, a value of `windows` is out of range, the device cannot be used, or torch or rasterio is missing.
    InputError
        The raster cannot be read, or the model returns NaN or infinity.
    ShardError
        The statistics lack a band.
    PublishError
        The file system refuses a file.
    ResourceError
        A batch does not fit in the memory of the device.
    """
    if find_spec("rasterio") is None:
        raise ConfigError(
            "a map is a GeoTIFF and needs rasterio, which is not installed",
            where="gcn_luigi.read.prediction",
            fix="pip install rasterio",
        )
    how, tell = windows or Windows(), say or (lambda _message, _share: None)
    directory = Path(out)
    if not dataset.shards.is_far and directory.absolute().resolve().is_relative_to(dataset.paths.root.resolve()):
        raise ConfigError("is within the dataset", where=str(out), fix="name a directory outside the dataset")
    if not isinstance(model, Model):
        model = Model(model, ModelCard.of(dataset), "")
    card, plan = model.card, how.plan(model)
    expected = card.expected(dataset)
    place, name = _source(source, dataset)
    hidden = directory / f".{name}.rows"
    with (
        opened(place, expected, how.bands, how.nodata) as raster,
        _scored(model, how.device) as (score, digest, engine),
    ):
        if not raster.named and card.names != tuple(band.name for band in dataset.bands):
            raise ConfigError(
                "it does not name its bands, and the model has another order of bands than the dataset",
                where=name,
                fix=f"give bands=, the names of its bands in order; the model takes {listed(card.names)}",
            )
        identity = _identity(raster, dataset, (digest, engine, card.as_json()), (plan, how))
        with opened_progress(hidden, identity, len(card.classes)) as progress:
            for rows, done in finished_rows(raster, card, plan, score, progress.reached()):
                progress.append(rows)
                tell("predicting", 0.97 * done)
            tell("writing the map", 0.97)
            tags = _tags(dataset, card, digest, plan)
            maps = [directory / f"{name}_{what}.tif" for what in ("classes", "probabilities")]
            counts = write_classes(maps[0], raster, card.classes, _placed(progress, plan, raster), tags)
            write_probabilities(maps[1], raster, card.classes, _placed(progress, plan, raster), tags)
            _write_style(maps[0], card)
    tell("writing the map", 1.0)
    names = {**dict(zip(card.classes.values, card.classes.names, strict=True)), IGNORE: "missing"}
    return Prediction(maps[0], maps[1], {names[value]: count for value, count in counts.items()}, card.notes(dataset))


def model_from(path: str | os.PathLike[str], architecture: str | None = None) -> Model:
    """Return a model from a file, as `gcn_luigi.read.torch.load_model`.

    Raises
    ------
    ConfigError, InputError
        As `gcn_luigi.read.torch.load_model`, or torch is not installed.
    """
    try:
        from gcn_luigi.read.torch import load_model  # noqa: PLC0415  torch is an extra
    except ImportError as error:
        raise ConfigError(
            f"a model needs torch, which is not installed ({error})",
            where="gcn_luigi.read.prediction",
            fix="pip install torch, or install this package with its extra: pip install 'gcn-luigi[torch]'",
        ) from error
    return load_model(path, architecture)


def _source(source: Any, dataset: "Dataset") -> tuple[Any, str]:
    """Return what is to be opened, and the name of the map."""
    if not isinstance(source, Integral):
        is_file = isinstance(source, (str, os.PathLike))
        return source, (Path(source).stem if is_file else "map")
    stack = dataset.paths.stack(int(source))
    if not stack.is_file():
        years = [str(year) for year in dataset.description.get("configuration", {}).get("years", [])]
        raise ConfigError(
            f"there is no stack of {source}",
            where=str(stack),
            fix=f"choose one of {listed(years)}; a copy of a dataset without stacks needs a source of its own",
        )
    return stack, str(source)


@contextmanager
def _scored(model: Model, device: str) -> Iterator[tuple[Score, str, str]]:
    """Yield the model as a function of arrays, its digest, and what computes; the digest is empty if unknown."""
    if not hasattr(model.module, "state_dict"):
        yield model.module, "", "numpy"
        return
    from gcn_luigi.read.torch.scoring import module_digest, on_device  # noqa: PLC0415  torch is an extra

    with on_device(model.module, device) as (score, engine):
        yield score, model.digest or module_digest(model.module), engine


def _identity(
    raster: Raster, dataset: "Dataset", model: tuple[str, str, str], windows: tuple[Plan, Windows]
) -> dict[str, Any]:
    """Return what decides the pixels of a map, so that rows of another map are not used."""
    digest, engine, card = model
    plan, how = windows
    states = [(name, os.stat(name)) for name in raster.files if os.path.exists(name)]  # noqa: PTH110, PTH116  of GDAL
    return {
        "format": "gcn_luigi rows 1",
        "model": digest,
        "card": hashlib.sha256(card.encode()).hexdigest(),
        "engine": engine,
        "dataset": dataset.digest,
        "shape": [raster.height, raster.width],
        "source": [[name, state.st_size, state.st_mtime_ns] for name, state in states],
        "plan": asdict(plan),
        "bands": None if how.bands is None else list(how.bands),
        "nodata": repr(how.nodata),
        # Nothing else has the same number, so that these rows are never used again.
        "once": "" if states and digest else secrets.token_hex(16),
    }


def _placed(progress: Progress, plan: Plan, raster: Raster) -> Iterator[tuple[Strip, Rows]]:
    strips = list(plan.strips(raster.width))
    for rows in progress.rows():
        yield strips[rows.strip], rows


def _tags(dataset: "Dataset", card: ModelCard, digest: str, plan: Plan) -> dict[str, str]:
    return {
        "gcn_luigi_model": digest or "unknown",
        "gcn_luigi_dataset": dataset.digest,
        "gcn_luigi_training_data": card.data_digest,
        "windows": f"{plan.size} px, overlap {plan.overlap} px, {plan.blending}",
        "missing": "any band" if plan.missing == "any" else "all bands",
    }


def _write_style(classes: Path, card: ModelCard) -> None:
    from gcn_luigi.io.publish.atomic import atomic_write  # noqa: PLC0415
    from gcn_luigi.io.raster.qgis_styles import label_style  # noqa: PLC0415

    with atomic_write(classes.with_suffix(".qml")) as temporary:
        temporary.write_text(label_style(card.classes), encoding="utf-8")
