"""The area of applicability of what was learnt from a dataset: where a raster resembles the training chips enough.

The raster is what a model predicts from. A window of it of the size of a chip is compared with the train chips, as
`gcn_luigi.prepare.evaluation.features` describes both. This needs scipy, and rasterio if the raster is a file.

Source: Meyer, H., Pebesma, E. (2021): Predicting into unknown space? Estimating the area of applicability of spatial
prediction models. Methods in Ecology and Evolution 12, 1620-1633, doi:10.1111/2041-210X.13650.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.evaluation.features import Scaling, feature_names, window_features
from gcn_luigi.read.rasters import Nodata, Raster, created, opened

if TYPE_CHECKING:
    from gcn_luigi.prepare.evaluation.dissimilarity import TrainingSpace
    from gcn_luigi.read.dataset import Dataset

# Values of `Applicability.inside`.
OUTSIDE, INSIDE, MISSING = 0, 1, 255
# About so many pixels of each band are in memory at a time.
_PIXELS = 1 << 20
# Names of the bands of a file from `write_applicability`.
BAND_NAMES = ("dissimilarity", "inside")


@dataclass(frozen=True)
class Applicability:
    """How much a raster resembles the training chips.

    Attributes
    ----------
    dissimilarity : ndarray of float32
        (y, x), without unit: the dissimilarity index. 0 is the same as a train chip, and 1 is as far away as train
        chips are from each other on average. NaN where a pixel is missing in any band, and where more than half of the
        window around it is.
    inside : ndarray of uint8
        (y, x): 1 in the area of applicability, 0 outside, 255 where the index is NaN.
    threshold : float
        The largest index inside.
    """

    dissimilarity: NDArray[np.float32]
    inside: NDArray[np.uint8]
    threshold: float

    @property
    def share(self) -> float | None:
        """Share of the pixels inside, 0 to 1, of those that are not missing; None if all are missing."""
        known = int(np.count_nonzero(self.inside != MISSING))
        return int(np.count_nonzero(self.inside == INSIDE)) / known if known else None


def applicability(
    source: Any,
    dataset: "Dataset",
    *,
    bands: Sequence[str] | None = None,
    nodata: Nodata = None,
    step: int | None = None,
    weights: Mapping[str, float] | None = None,
) -> Applicability:
    """Return the dissimilarity index of a raster, and the area of applicability.

    The raster is divided into squares of `step` pixels. Each square gets the index of the window of the size of a chip
    around it; at the edge of the raster the window is moved inwards, as when a model predicts there.

    Parameters
    ----------
    source : path-like, xarray.DataArray or ndarray
        The input of the prediction, with the bands of the dataset: (band, y, x) of any real type, in the units of the
        chips, that is as in the stacks and not normalised. Its pixels must be as large as those of the dataset. A file
        and a lazy DataArray are read by windows. A stack of the build is such a file; its label is not read.
    dataset : Dataset
        The finished dataset that the model was trained on.
    bands : sequence of str, optional
        Names of the bands of `source`, in order. Without it, they are the descriptions of the bands of a file, or the
        coordinate ``band`` of a DataArray, or the bands of the dataset in order.
    nodata : float or sequence of float or None, optional
        The value of missing pixels, or one for each band of `source`. Without it, it is what the file declares; in an
        array, it is the nodata value that each band has in the dataset's stacks. NaN always means missing. A value
        beyond the valid range of its band is missing as in a build, and so are all bands of the same role.
    step : int, optional
        Edge of the squares in pixels, from 1 to the size of a chip; the distance of the chips without it. The time
        is proportional to the number of squares.
    weights : mapping, optional
        The importance of features for the model, by name as in `Dataset.chip_features`; others count 0. Without it all
        count equally. The threshold is computed for the weights.

    Returns
    -------
    Applicability
        In memory: 5 bytes per pixel.

    Raises
    ------
    ConfigError
        A band is missing, `step` or a weight is out of range, the raster is smaller than a chip, or scipy or rasterio
        is not installed.
    InputError
        The file cannot be read.
    ShardError
        The dataset has no features, or they are damaged.
    """
    space = training_space(dataset, weights)
    with opened(source, dataset, bands, nodata) as raster:
        found = np.full((raster.height, raster.width), np.nan, np.float32)
        for rows, cols, index in _blocks(raster, dataset, space, step):
            found[rows, cols] = index
    limit = _threshold(space, dataset)
    return Applicability(found, _inside(found, limit), limit)


def write_applicability(
    source: str | os.PathLike[str],
    dataset: "Dataset",
    out: str | os.PathLike[str],
    *,
    nodata: Nodata = None,
    step: int | None = None,
    weights: Mapping[str, float] | None = None,
) -> float | None:
    """Write the result of `applicability` for a raster file as a GeoTIFF, without ever holding a whole raster.

    Parameters
    ----------
    source : path-like
        As in `applicability`. Bands are found by their descriptions, or are those of the dataset in order.
    dataset, nodata, step, weights
        As in `applicability`.
    out : path-like
        The GeoTIFF: two bands of float32, ``dissimilarity`` and ``inside`` (1 or 0), both NaN where missing. It
        appears when it is complete; a file with this name is replaced.

    Returns
    -------
    float or None
        Share of the pixels inside, 0 to 1, of those that are not missing; None if all are missing.

    Raises
    ------
    ConfigError, InputError, ShardError
        As `applicability`.
    """
    space = training_space(dataset, weights)
    limit, place, known, inside = _threshold(space, dataset), Path(out), 0, 0
    temporary = place.with_name(f".{place.name}.part.tif")
    try:
        with opened(Path(source), dataset, None, nodata) as raster, created(temporary, raster, BAND_NAMES) as target:
            for rows, cols, index in _blocks(raster, dataset, space, step):
                found = _inside(index, limit)
                known += int(np.count_nonzero(found != MISSING))
                inside += int(np.count_nonzero(found == INSIDE))
                planes = np.stack([index, np.where(found == MISSING, np.float32(np.nan), found)])
                target.write(planes.astype(np.float32), window=((rows.start, rows.stop), (cols.start, cols.stop)))
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
    return inside / known if known else None


def training_space(dataset: "Dataset", weights: Mapping[str, float] | None = None) -> "TrainingSpace":
    """Return the train chips of a dataset in standardised feature space.

    `weights` is as in `applicability`. The result has ``index(features)``, the dissimilarity index of rows of features,
    ``threshold``, and ``scaling``.

    Raises
    ------
    ConfigError
        scipy is not installed, a weight is out of range, or the train chips span no feature space.
    ShardError
        The dataset has no features, or they are damaged.
    """
    try:
        from gcn_luigi.prepare.evaluation.dissimilarity import TrainingSpace  # noqa: PLC0415  it imports scipy
    except ImportError as error:
        raise ConfigError(
            f"the area of applicability needs scipy, which is not installed ({error})",
            where="gcn_luigi.read.applicability",
            fix="pip install scipy",
        ) from error
    described = dataset.distances["features"]["space"]
    chips = dataset.chip_features
    names = feature_names([band.name for band in dataset.bands])
    found: TrainingSpace | None
    if described is None or weights is not None:
        found = TrainingSpace.of(chips, names, weights)
    else:
        # What the build computed from the same table.
        train = chips.loc[chips["split"] == "train", list(names)].dropna().to_numpy(np.float32)
        scaling = Scaling.from_dict({name: described["scaling"][name] for name in names})
        found = TrainingSpace(
            scaling,
            scaling.apply(train),
            described["mean_distance"],
            described["threshold"],
            described["threshold_from"],
        )
    if found is None:
        raise ConfigError(
            "no two train chips have different features, so nothing can be compared with them",
            where=f"{dataset.place}, features.parquet",
            fix="distances.json says under gaps what is missing",
        )
    return found


def _threshold(space: "TrainingSpace", dataset: "Dataset") -> float:
    if space.threshold is None:
        raise ConfigError(
            "the area of applicability has no threshold: there is no dev chip, and train has a single block",
            where=dataset.place,
            fix="build the dataset with more partitions; training_space(dataset).index gives the index without it",
        )
    return space.threshold


def _inside(index: NDArray[np.float32], limit: float) -> NDArray[np.uint8]:
    # As doubles, so that a threshold which equals an index does not depend on how float32 rounds it.
    found = np.where(index.astype(np.float64) <= limit, INSIDE, OUTSIDE).astype(np.uint8)
    found[np.isnan(index)] = MISSING
    return found


def _blocks(
    raster: Raster, dataset: "Dataset", space: "TrainingSpace", step: int | None
) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
    """Yield rows, columns and dissimilarity of blocks of a raster, from the top left to the bottom right."""
    chips = dataset.description["configuration"]["chips"]
    size = int(chips["size"])
    step = min(int(chips["step"]), size) if step is None else step
    if not 1 <= step <= size or min(raster.height, raster.width) < size:
        is_small = 1 <= step <= size
        raise ConfigError(
            f"{raster.height} x {raster.width} pixels are fewer than a chip has ({size} x {size})"
            if is_small
            else f"a step of {step} pixels is not from 1 to {size}, the size of a chip",
            where="the raster" if is_small else "step",
            fix="give a raster that holds at least one chip" if is_small else "give a step in this range, or none",
        )
    near = space.scaling.mean[: len(dataset.bands)]
    tops, lefts = (_starts(length, size, step) for length in (raster.height, raster.width))
    n_cols = max(1, (_PIXELS // size - size) // step)
    for number, top in enumerate(tops.tolist()):
        rows = slice(number * step, min((number + 1) * step, raster.height))
        for first in range(0, len(lefts), n_cols):
            part = lefts[first : first + n_cols]
            cols = slice(first * step, min((first + len(part)) * step, raster.width))
            read = slice(int(part[0]), int(part[-1]) + size)
            values, missing = raster.read(slice(top, top + size), read)
            index = space.index(window_features(values, missing, part - part[0], near)).astype(np.float32)
            wide = np.repeat(index, step)[: cols.stop - cols.start]
            within = missing[:, rows.start - top : rows.stop - top, cols.start - read.start : cols.stop - read.start]
            yield rows, cols, np.where(within.any(axis=0), np.float32(np.nan), wide)


def _starts(length: int, size: int, step: int) -> NDArray[np.int64]:
    """Return where the windows around squares of `step` pixels start, in ascending order."""
    first = np.arange(0, length, step, dtype=np.int64)
    return np.clip(first + step // 2 - size // 2, 0, length - size)
