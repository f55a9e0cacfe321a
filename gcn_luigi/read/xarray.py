"""Chips as an `xarray.Dataset`, with names of bands and chips, positions in metres and, if wanted, NaN where missing.

xarray can also open a shard by itself. Here, in addition, both layouts look the same, bytes are verified, ids are texts
with any engine, and a chip has the coordinates of its pixels. The package does not require xarray: ``pip install
xarray``.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from pyproj import CRS

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.shard.format import CONFIDENCE, CONFIDENCE_ATTRIBUTES, flag_attributes, label_attributes
from gcn_luigi.prepare.missing.fill import outside_flags

if TYPE_CHECKING:
    from gcn_luigi.read.dataset import Dataset

_PLACED = ("split", "partition", "row", "col", "year", "year_gap", "left", "bottom", "right", "top")
# Columns that only some datasets have.
_OPTIONAL = ("place",)
_VALID = ("valid_label", "valid_optical", "valid_topo", "valid_share")


def as_xarray(dataset: "Dataset", chips: Sequence[str], *, masked: bool = False) -> Any:
    """Return chips in memory, in the given order.

    Parameters
    ----------
    dataset : Dataset
        A finished dataset with either layout.
    chips : sequence of str
        Ids from the index, such as ``dataset.chip_table.chip_id[:100]``. They may be from both splits.
    masked : bool
        Return the image as float32 with NaN where a band is missing. Otherwise it is as stored, int16 with the fill
        value.

    Returns
    -------
    xarray.Dataset
        ``image`` (chip, band, y, x), and ``label`` and ``flags`` (chip, y, x) uint8 with the meanings of their values
        in the form of the CF conventions; ``confidence`` (chip, y, x) uint8, in percent, 255 where the label is
        missing, if the dataset was built with it. Coordinates are ``chip`` (id), ``band`` (name), ``role``, ``unit``,
        and the columns of the index. For one chip ``x`` and ``y`` are the centres of its pixels in metres, with north
        up. For several chips they count pixels; select one with `sel` and use `locate` to get its position.

    Raises
    ------
    ConfigError
        xarray is not installed, or an id is not in the index.
    ShardError
        A shard is missing or damaged.
    """
    xr = _library()
    rows = _rows(dataset, chips)
    batch = dataset.reader(rows).batch(np.arange(len(rows)))
    bands = dataset.bands
    image: Any = batch["image"]
    if masked:
        # If a role is missing, all its bands are missing. Beyond the mosaic, everything is missing.
        bits = np.array([int(outside_flags([band])) for band in bands], np.uint8)
        lost = (batch["flags"][:, np.newaxis] & bits[:, np.newaxis, np.newaxis]) > 0
        image = np.where(lost, np.float32(np.nan), image.astype(np.float32))
    axes = ("chip", "y", "x")
    size = image.shape[-1]
    confidence = batch.get(CONFIDENCE)
    more = {} if confidence is None else {CONFIDENCE: (axes, confidence, dict(CONFIDENCE_ATTRIBUTES))}
    found = xr.Dataset(
        {
            "image": (("chip", "band", "y", "x"), image, {"long_name": "image bands", "grid_mapping": "spatial_ref"}),
            "label": (axes, batch["label"], label_attributes(dataset.classes)),
            "flags": (axes, batch["flags"], flag_attributes(has_confidence=bool(more))),
            **more,
            "spatial_ref": ((), np.int32(0), {"crs_wkt": CRS.from_user_input(dataset.lattice.crs).to_wkt()}),
        },
        coords={
            "chip": rows["chip_id"].to_numpy(str),
            "band": [band.name for band in bands],
            "role": ("band", [band.role.value for band in bands]),
            "unit": ("band", [band.unit for band in bands]),
            "y": np.arange(size),
            "x": np.arange(size),
            **{name: ("chip", _plain(rows[name])) for name in (*_placed(rows), *dataset.classes.shares(), *_VALID)},
        },
        attrs={"region": dataset.description["region"], "digest": dataset.digest, "crs": dataset.lattice.crs},
    ).set_coords("spatial_ref")
    return locate(found) if len(rows) == 1 else found


def locate(chip: Any) -> Any:
    """Return one chip with ``x`` and ``y`` as the centres of its pixels, in metres; y decreases, so north is up.

    Parameters
    ----------
    chip : xarray.Dataset
        One chip from `as_xarray`: ``chips.sel(chip=[name])`` or ``chips.sel(chip=name)``.

    Raises
    ------
    ConfigError
        There are several chips, which have different positions.
    """
    if chip["left"].size != 1:
        raise ConfigError(
            f"{chip['left'].size} chips do not have one common position",
            where="locate",
            fix="choose one: chips.sel(chip=[name])",
        )
    left, right, top = (float(chip[name].item()) for name in ("left", "right", "top"))
    size = chip.sizes["x"]
    step = (right - left) / size
    centres = (np.arange(size) + 0.5) * step
    metres = {"units": "m"}
    return chip.assign_coords(
        x=("x", left + centres, {"standard_name": "projection_x_coordinate", **metres}),
        y=("y", top - centres, {"standard_name": "projection_y_coordinate", **metres}),
    )


def _rows(dataset: "Dataset", chips: Sequence[str]) -> Any:
    wanted = [str(name) for name in chips]
    index = dataset.chip_table.set_index("chip_id", drop=False)
    lost = [name for name in wanted if name not in index.index]
    if lost or not wanted:
        raise ConfigError(
            f"there is no chip {lost[0]}" if lost else "no chip is given",
            where=dataset.place,
            fix="give ids from dataset.chip_table.chip_id",
        )
    return index.loc[wanted]


def _placed(rows: Any) -> tuple[str, ...]:
    return (*_PLACED, *(name for name in _OPTIONAL if name in rows.columns))


def _plain(column: Any) -> Any:
    values = column.to_numpy()
    return values.astype(str) if values.dtype == object or column.dtype == "str" else values


def _library() -> Any:
    try:
        return import_module("xarray")
    except ImportError as error:
        raise ConfigError(
            f"xarray is not installed: {error}", where="gcn_luigi.read.xarray", fix="pip install xarray"
        ) from error
