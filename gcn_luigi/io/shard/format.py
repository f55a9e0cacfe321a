"""What a shard holds beside its pixels: attributes, scales and axes, after the CF conventions."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from gcn_luigi.bands import CLASS_NAMES, LABEL_IGNORE, Band
from gcn_luigi.io.shard.objects import CHECKED, attach, closing, create_small, describe
from gcn_luigi.prepare.chips.chips import Edge
from gcn_luigi.prepare.missing.fill import Flag, outside_flags
from gcn_luigi.settings import StorageLayout

# By layout. Version 2: long columns in several chunks, texts compressed, codecs beside deflate. 3: a tail. 4: HDF5's
# own checksums of compressed pixels, of headers and indices, and of columns; texts of fixed length.
FORMATS: Mapping[str, str] = MappingProxyType({"chips": "gcn_luigi chips 4", "windows": "gcn_luigi windows 4"})
# Pixel arrays and their types; `image` has bands besides.
PIXELS: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {"image": np.dtype("<i2"), "label": np.dtype("u1"), "flags": np.dtype("u1")}
)
_FLAGS = {1: "optical_missing", 2: "topo_missing", 4: "label_missing", 8: "outside_mosaic", 16: "distance_missing"}
# Columns of CRC-32, one a row of a pixel array, where it is stored without a filter.
CHECKSUMS: Mapping[str, str] = MappingProxyType({name: f"{name}_crc32" for name in PIXELS})
# The first axis of the pixel arrays, by layout.
ROW_AXES: Mapping[str, str] = MappingProxyType({"chips": "chip", "windows": "window"})
_AFFINE = ("a", "b", "c", "d", "e", "f")


@dataclass(frozen=True)
class ShardHeader:
    """What a shard says of itself.

    Attributes
    ----------
    region, split : str
        Whose chips these are.
    number, total : int
        Which shard of the split this is, from 0.
    bands : tuple of Band
        Bands of `image`, in order.
    crs : str
        Of `transform`.
    size, step : int
        Chip edge and distance between chips, in pixels.
    nodata_mode : str
        ``strict`` or ``legacy``.
    fill : int
        Value of missing image pixels.
    edge : str
        Policy by which chips were cut; see `gcn_luigi.prepare.chips.chips`.
    layout : {"chips", "windows"}
        Whether a row of the pixel arrays is a chip, or a corrected partition that chips are cut from.
    window : tuple of int
        Rows and columns of the largest partition, for ``windows``.
    """

    region: str
    split: str
    number: int
    total: int
    bands: tuple[Band, ...]
    crs: str
    size: int
    step: int
    nodata_mode: str
    fill: int
    edge: Edge = "clamp"
    layout: StorageLayout = "chips"
    window: tuple[int, int] = (0, 0)

    @property
    def title(self) -> str:
        """What a reader of messages knows the shard by."""
        return f"{self.region} {self.split} chips, shard {self.number} of {self.total}"

    @property
    def row_shape(self) -> tuple[int, int]:
        """Rows and columns of what one row of the pixel arrays holds."""
        return (self.size, self.size) if self.layout == "chips" else self.window

    @property
    def fills(self) -> dict[str, int]:
        """What a pixel beyond the edge of a partition holds, by array; its flags say that all is missing."""
        return {"image": self.fill, "label": LABEL_IGNORE, "flags": int(outside_flags(self.bands) | Flag.LABEL)}


def write_scales(file: h5py.File, header: ShardHeader) -> None:
    """Write the attributes of a new shard, its axes and its coordinate system."""
    describe(
        file,
        {
            "Conventions": "CF-1.11",
            "title": header.title,
            "format": FORMATS[header.layout],
            "layout": header.layout,
            "region": header.region,
            "split": header.split,
            "shard_number": np.int32(header.number),
            "shard_total": np.int32(header.total),
            "chip_size": np.int32(header.size),
            "chip_step": np.int32(header.step),
            "chip_edge": header.edge,
            "beyond_flags": np.int32(header.fills["flags"]),
            "fill": np.int32(header.fill),
            "nodata_mode": header.nodata_mode,
            "band_names": json.dumps([band.name for band in header.bands]),
            "band_roles": json.dumps([band.role.value for band in header.bands]),
        },
    )
    for axis in dict.fromkeys(("chip", ROW_AXES[header.layout])):
        with closing(file.create_dataset(axis, (0,), "<i4", chunks=(4096,), maxshape=(None,), **CHECKED)) as scale:
            scale.make_scale(axis)
    height, width = header.row_shape
    # Names stay of variable length: h5netcdf gives texts of fixed length as bytes, which no name of a band is equal to.
    _scale(file, "band", np.array([band.name for band in header.bands], dtype=h5py.string_dtype()))
    _scale(file, "y", np.arange(height, dtype="<i4"))
    _scale(file, "x", np.arange(width, dtype="<i4"))
    _scale(file, "affine", np.array(_AFFINE, dtype=h5py.string_dtype()))
    with closing(create_small(file, "spatial_ref", np.array(0, "<i4"))) as mapping:
        describe(mapping, _grid_mapping(header.crs))


def _grid_mapping(crs: str) -> dict[str, Any]:
    parsed = CRS.from_user_input(crs)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            return parsed.to_cf()
        except UserWarning:
            # CF has no word for some parameter, as in Swiss Oblique Mercator. WKT tells all; half would mislead.
            return {"crs_wkt": parsed.to_wkt()}


def _scale(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    with closing(create_small(file, name, values)) as scale:
        scale.make_scale(name)


def describe_pixels(file: h5py.File, header: ShardHeader) -> None:
    """Say what the pixel arrays of a new shard hold, and name their axes but for the first."""
    said: dict[str, dict[str, Any]] = {
        "image": {
            "long_name": "image bands",
            "grid_mapping": "spatial_ref",
            "missing_pixels_hold": np.int16(header.fill),
        },
        "label": {
            "long_name": "class label",
            "flag_values": np.array([0, 1, 2, LABEL_IGNORE], dtype="u1"),
            "flag_meanings": " ".join((*CLASS_NAMES, "ignore")),
        },
        "flags": {
            "long_name": "what is missing",
            "flag_masks": np.array(list(_FLAGS), dtype="u1"),
            "flag_meanings": " ".join(_FLAGS.values()),
        },
    }
    for name in PIXELS:
        with closing(file[name]) as dataset:
            describe(dataset, said[name])
            axes: tuple[str, ...] = ("band", "y", "x") if dataset.ndim == 4 else ("y", "x")
            for axis, scale in enumerate(axes, 1):
                attach(file, dataset, axis, scale)
