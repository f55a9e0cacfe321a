"""The format of a shard: attributes, scales and axes according to the CF conventions, and a footer after all HDF5 data.

HDF5 writes part of an object when the object is closed, and h5py closes it when Python frees it. So a profiler or a
traceback that keeps frames alive could change the order of bytes in the file. To avoid this, each object is closed
at the end of its block, in the order of the code (`closing`).

The format of HDF5 1.10 has checksums for headers, for data that are small enough to fit in a header, and for indices of
chunks. A chunk has a checksum only if the program asks for it. The heap for texts of variable length has none, so
attributes have a fixed length.

The footer is a digest of all bytes that the checksums of pixel chunks do not cover. Damage in these bytes could change
values silently or crash the library. The footer comes after all HDF5 data, so any HDF5 still reads the file. It is
verified before HDF5 opens the file. It consists of: the offset and size of each run of bytes outside pixel chunks
(little-endian, 8 bytes each); the SHA-256 of these numbers, of the offset of the footer and of the runs; the number of
runs; and eight letters.
"""

import hashlib
import json
import os
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE, Band
from gcn_luigi.classes import DEFAULT_CLASSES, ClassTable
from gcn_luigi.io.shard.opened import Handle
from gcn_luigi.prepare.chips.chips import Edge
from gcn_luigi.prepare.missing.fill import NO_CONFIDENCE, Flag, outside_flags

if TYPE_CHECKING:
    # pydantic is not needed to read.
    from gcn_luigi.settings import StorageLayout

# By layout. Version 2: long columns in several chunks, texts compressed, more codecs. Version 3: a footer. Version 4:
# HDF5's own checksums for compressed pixels, headers, indices and columns; texts of fixed length.
FORMATS: Mapping[str, str] = MappingProxyType({"chips": "gcn_luigi chips 4", "windows": "gcn_luigi windows 4"})
# The version of the file structure: superblock 3, which HDF5 1.10 (2016) and later can read.
LIBRARY_VERSIONS = ("v110", "v110")
# The type of `image`, by the type of the stack.
IMAGE_TYPES: Mapping[str, np.dtype[Any]] = MappingProxyType({"int16": np.dtype("<i2"), "float32": np.dtype("<f4")})
# Pixel arrays and their types, for stacks of int16; see `pixel_types`. `image` also has bands.
PIXELS: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {"image": np.dtype("<i2"), "label": np.dtype("u1"), "flags": np.dtype("u1")}
)
# The array that a shard has only if its dataset was built with a confidence of the label.
CONFIDENCE = "confidence"
# Columns of CRC-32, one value per row of a pixel array that is stored without a filter.
CHECKSUMS: Mapping[str, str] = MappingProxyType({name: f"{name}_crc32" for name in (*PIXELS, CONFIDENCE)})
# The first axis of the pixel arrays, by layout.
ROW_AXES: Mapping[str, str] = MappingProxyType({"chips": "chip", "windows": "window"})
# Options for the chunks of arrays that are not pixels.
CHECKED: Mapping[str, Any] = MappingProxyType({"fletcher32": True})
PACKED: Mapping[str, Any] = MappingProxyType(
    {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
)

# The meaning of the values of label and flags, in the form of the CF conventions.
FLAG_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({
    "long_name": "what is missing",
    "flag_masks": np.array([1, 2, 4, 8, 16], dtype="u1"),
    "flag_meanings": "optical_missing topo_missing label_missing outside_mosaic distance_missing",
})  # fmt: skip
# The same if there is a confidence of the label.
_FLAG_ATTRIBUTES_WITH_CONFIDENCE: Mapping[str, Any] = MappingProxyType({
    "long_name": "what is missing, and where the label is uncertain",
    "flag_masks": np.array([1, 2, 4, 8, 16, 32], dtype="u1"),
    "flag_meanings": f"{FLAG_ATTRIBUTES['flag_meanings']} label_uncertain",
})  # fmt: skip
# In the form of the CF conventions, but without _FillValue: xarray would turn whole percents into floats.
CONFIDENCE_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({
    "long_name": "confidence of the label",
    "units": "percent",
    "missing_pixels_hold": np.uint8(255),
})  # fmt: skip


def flag_attributes(*, has_confidence: bool) -> Mapping[str, Any]:
    """Return the attributes of the flags of a shard."""
    return _FLAG_ATTRIBUTES_WITH_CONFIDENCE if has_confidence else FLAG_ATTRIBUTES


def label_attributes(classes: ClassTable) -> dict[str, Any]:
    """Return the attributes of a label with these classes."""
    return {
        "long_name": "class label",
        "flag_values": np.array([*classes.values, LABEL_IGNORE], dtype="u1"),
        "flag_meanings": " ".join((*classes.names, "ignore")),
    }


def classes_of(attributes: Mapping[str, Any]) -> ClassTable:
    """Return the classes of the label from the attributes of a shard, which name them only if they are not default.

    A shard does not hold the colours of classes. Raise ConfigError, KeyError, TypeError or ValueError if they
    cannot be read.
    """
    return ClassTable.of(json.loads(attributes.get("classes", "[]")))


_AFFINE = ("a", "b", "c", "d", "e", "f")
# An array of at most this many bytes is stored in its header. HDF5 allows 64 kB.
_SMALL = 8192
# The end of the footer: digest, number of runs, letters.
_END = struct.Struct("<32sQ8s")
_MARK = b"GCN-TAIL"
_RUN = np.dtype([("offset", "<u8"), ("size", "<u8")])
# Number of bytes that are read at once for a digest.
_PART = 1 << 20


@dataclass(frozen=True)
class ShardHeader:
    """Attributes of a shard, and the sizes of its arrays.

    Attributes
    ----------
    region, split : str
        Region and split of the chips.
    number, total : int
        Number of this shard in the split, from 0, and number of shards of the split.
    bands : tuple of Band
        Bands of `image`, in order.
    crs : str
        CRS of `transform`.
    size, step : int
        Edge length of a chip, and distance between chips, in pixels.
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
    dtype : str
        Type of `image`: int16, or float32.
    classes : ClassTable
        Classes of the label.
    confidence : tuple of str
        What the confidence of the label comes from. If it is empty, the shard has no such array.
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
    layout: "StorageLayout" = "chips"
    window: tuple[int, int] = (0, 0)
    dtype: str = "int16"
    classes: ClassTable = DEFAULT_CLASSES
    confidence: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name of the shard in messages."""
        return f"{self.region} {self.split} chips, shard {self.number} of {self.total}"

    @property
    def row_shape(self) -> tuple[int, int]:
        """Height and width, in pixels, of one row of the pixel arrays."""
        return (self.size, self.size) if self.layout == "chips" else self.window

    @property
    def fills(self) -> dict[str, int]:
        """The value of pixels beyond the edge of a partition, by array. Their flags say that everything is missing."""
        beyond = int(outside_flags(self.bands) | Flag.LABEL)
        return {"image": self.fill, "label": LABEL_IGNORE, "flags": beyond, CONFIDENCE: NO_CONFIDENCE}


def pixel_types(dtype: str, *, has_confidence: bool = False) -> dict[str, np.dtype[Any]]:
    """Return the type of each pixel array of a shard, by the type of the stack."""
    more = {CONFIDENCE: np.dtype("u1")} if has_confidence else {}
    return {**PIXELS, "image": IMAGE_TYPES[dtype], **more}


@contextmanager
def closing(node: h5py.HLObject) -> Iterator[Any]:
    """Yield a dataset or group, and close it at the end of the block."""
    try:
        yield node
    finally:
        node.id.close()


def create_small(group: h5py.Group, name: str, values: NDArray[Any]) -> h5py.Dataset:
    """Return a new dataset of fixed size. It is stored in its header or, if it is too large, in compressed chunks."""
    if values.nbytes > _SMALL:
        return group.create_dataset(name, data=values, **PACKED)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    properties.set_obj_track_times(False)
    # `create_dataset` is not used, because it ignores the layout for a single value.
    space = h5py.h5s.create_simple(values.shape) if values.ndim else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(values.dtype, logical=True)
    made = h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=properties)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.asarray(values, order="C"))
    return h5py.Dataset(made)


def describe(node: h5py.Dataset | h5py.Group, attributes: Mapping[str, Any]) -> None:
    """Write attributes. Texts are written as UTF-8 of fixed length."""
    if isinstance(node, h5py.File):
        # Every access to the attributes of a file opens its root again.
        with closing(node["/"]) as root:
            describe(root, attributes)
        return
    for name, value in attributes.items():
        node.attrs[name] = _fixed_length(value) if isinstance(value, str) else value


def _fixed_length(text: str) -> NDArray[np.bytes_]:
    content = text.encode()
    return np.array(content, dtype=h5py.string_dtype("utf-8", max(len(content), 1)))


def attach(file: h5py.File, dataset: h5py.Dataset, axis: int, scale: str) -> None:
    """Attach a dimension scale of the file to an axis of a dataset."""
    with closing(file[scale]) as found:
        dataset.dims[axis].attach_scale(found)


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
            # Not their colours, which do not matter to a training, and a change of which would rebuild every shard.
            **{key: json.dumps(facts) for key, facts in header.classes.unusual("name", "value", "glacier").items()},
        },
    )
    for axis in dict.fromkeys(("chip", ROW_AXES[header.layout])):
        with closing(file.create_dataset(axis, (0,), "<i4", chunks=(4096,), maxshape=(None,), **CHECKED)) as scale:
            scale.make_scale(axis)
    height, width = header.row_shape
    # Names have variable length, because h5netcdf returns texts of fixed length as bytes, which never equal band names.
    scales: dict[str, NDArray[Any]] = {
        "band": np.array([band.name for band in header.bands], dtype=h5py.string_dtype()),
        "y": np.arange(height, dtype="<i4"),
        "x": np.arange(width, dtype="<i4"),
        "affine": np.array(_AFFINE, dtype=h5py.string_dtype()),
    }
    for name, values in scales.items():
        with closing(create_small(file, name, values)) as scale:
            scale.make_scale(name)
    with closing(create_small(file, "spatial_ref", np.array(0, "<i4"))) as mapping:
        describe(mapping, _grid_mapping(header.crs))


def _grid_mapping(crs: str) -> dict[str, Any]:
    # Here, because a shard is read without it.
    from pyproj import CRS  # noqa: PLC0415

    parsed = CRS.from_user_input(crs)
    # CF lacks some parameters. WKT has all of them. An incomplete set would be misleading.
    text_alone = {"crs_wkt": parsed.to_wkt()}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            described = parsed.to_cf()
        except UserWarning:
            return text_alone
    # CF has no angle from the rectified to the skew grid. pyproj takes it for 0 before 3.8 and for 90 since, and warns
    # about other values only: the same shard, Swiss for example, would hold other bytes.
    return text_alone if described.get("grid_mapping_name") == "oblique_mercator" else described


def describe_pixels(file: h5py.File, header: ShardHeader) -> None:
    """Describe the pixel arrays of a new shard, and name all their axes except the first."""
    attributes: dict[str, Mapping[str, Any]] = {
        "image": {
            "long_name": "image bands",
            "grid_mapping": "spatial_ref",
            "missing_pixels_hold": IMAGE_TYPES[header.dtype].type(header.fill),
        },
        "label": label_attributes(header.classes),
        "flags": flag_attributes(has_confidence=bool(header.confidence)),
        CONFIDENCE: {**CONFIDENCE_ATTRIBUTES, "made_from": " ".join(header.confidence)},
    }
    for name in pixel_types(header.dtype, has_confidence=bool(header.confidence)):
        with closing(file[name]) as dataset:
            describe(dataset, attributes[name])
            axes: tuple[str, ...] = ("band", "y", "x") if dataset.ndim == 4 else ("y", "x")
            for axis, scale in enumerate(axes, 1):
                attach(file, dataset, axis, scale)


def write_footer(path: Path) -> None:
    """Append the footer to a shard that h5py has closed. A footer from before HDF5 changed the file is void."""
    with h5py.File(path, "r", locking=False) as file:
        chunks = np.array(sorted(_pixel_chunks(file)), np.int64).reshape(-1, 2)
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = os.fstat(handle).st_size
        # The bytes between the chunks.
        starts = np.append(0, chunks.sum(axis=1))
        runs = np.empty(len(starts), _RUN)
        runs["offset"], runs["size"] = starts, np.append(chunks[:, 0], end) - starts
        runs = runs[runs["size"] > 0]
        os.pwrite(handle, runs.tobytes() + _END.pack(_digest(handle, runs, end), len(runs), _MARK), end)
    finally:
        os.close(handle)


def check_footer(handle: Handle) -> None:
    """Raise OSError if any byte outside the pixel chunks of the open file differs from what was written."""
    size = _size_of(handle)
    last = _read_at(handle, _END.size, max(size - _END.size, 0))
    if len(last) < _END.size or last[-len(_MARK) :] != _MARK:
        raise OSError("the shard has no footer: it is damaged, cut short, or made by an earlier version")
    digest, count, _ = _END.unpack(last)
    end = size - _END.size - count * _RUN.itemsize
    if end < 0:
        raise OSError("the shard's footer is damaged")
    runs = np.frombuffer(_read_at(handle, count * _RUN.itemsize, end), _RUN)
    # This is checked before reading, because damaged numbers could request the same bytes a million times.
    edges = np.column_stack([runs["offset"], runs["offset"] + runs["size"]]).reshape(-1)
    is_ascending = (edges[1:] >= edges[:-1]).all() and (edges <= end).all()
    if is_ascending and not isinstance(handle, int):
        handle.keep(runs["offset"].astype(np.int64), runs["size"].astype(np.int64))
    if not is_ascending or _digest(handle, runs, end) != digest:
        raise OSError("the shard is damaged outside its pixels: in its columns, its attributes or its index of chunks")


def _pixel_chunks(file: h5py.File) -> Iterator[tuple[int, int]]:
    """Yield the offset and size of each chunk of the pixel arrays."""
    for name in (*PIXELS, CONFIDENCE):
        dataset = file.get(name)
        if isinstance(dataset, h5py.Dataset) and dataset.chunks is not None:
            found: list[tuple[int, int]] = []
            dataset.id.chunk_iter(lambda chunk, found=found: found.append((chunk.byte_offset, chunk.size)))
            yield from found


def _size_of(handle: Handle) -> int:
    """Return the size of an open shard."""
    return os.fstat(handle).st_size if isinstance(handle, int) else handle.size


def _read_at(handle: Handle, size: int, offset: int) -> bytes:
    """Return up to `size` bytes of an open shard, without moving a position in it."""
    if isinstance(handle, int):
        return os.pread(handle, size, offset)
    content = np.empty(size, np.uint8)
    return content[: handle.read_into(content, offset)].tobytes()


def _digest(handle: Handle, runs: NDArray[np.void], end: int) -> bytes:
    sha = hashlib.sha256(struct.pack("<Q", end) + runs.tobytes())
    for offset, size in runs.tolist():
        for first in range(offset, offset + size, _PART):
            sha.update(_read_at(handle, min(_PART, offset + size - first), first))
    return sha.digest()
