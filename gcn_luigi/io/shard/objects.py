"""Objects of a shard that is being written: guarded by HDF5's own checksums, and closed when their turn comes.

HDF5 writes part of an object when it is closed, and h5py closes it when Python forgets it. Whatever keeps frames alive,
such as a profiler or a traceback, would decide then where bytes of the file lie. So each object here is closed where
its block ends, in the order of the code.

The format of HDF5 1.10 has checksums of headers, of what is small enough to lie in one, and of indices of chunks;
a chunk has one where it is asked for. The heap of texts of variable length has none: attributes have a fixed length.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

# Of the file's structure: superblock 3, which HDF5 1.10, of 2016, and later read.
LIBRARY_VERSIONS = ("v110", "v110")
# Of the chunks of any array that is not pixels.
CHECKED: Mapping[str, Any] = MappingProxyType({"fletcher32": True})
PACKED: Mapping[str, Any] = MappingProxyType(
    {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
)
# Bytes of an array that lies in its header; HDF5 takes 64 kB.
_SMALL = 8192


@contextmanager
def closing(node: h5py.HLObject) -> Iterator[Any]:
    """Yield a dataset or group that was just created or found, and close it at the end of the block."""
    try:
        yield node
    finally:
        node.id.close()


def create_small(group: h5py.Group, name: str, values: NDArray[Any]) -> h5py.Dataset:
    """Return a new dataset of fixed size: within its own header, or in compressed chunks where it is too large."""
    if values.nbytes > _SMALL:
        return group.create_dataset(name, data=values, **PACKED)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    properties.set_obj_track_times(False)
    # Not by `create_dataset`: it forgets the layout of a single value.
    space = h5py.h5s.create_simple(values.shape) if values.ndim else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(values.dtype, logical=True)
    made = h5py.h5d.create(group.id, name.encode(), kind, space, dcpl=properties)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.asarray(values, order="C"))
    return h5py.Dataset(made)


def describe(node: h5py.Dataset | h5py.Group, attributes: Mapping[str, Any]) -> None:
    """Write attributes; texts as UTF-8 of fixed length."""
    if isinstance(node, h5py.File):
        # Each look at the attributes of a file opens its root anew.
        with closing(node["/"]) as root:
            describe(root, attributes)
        return
    for name, value in attributes.items():
        node.attrs[name] = _fixed(value) if isinstance(value, str) else value


def attach(file: h5py.File, dataset: h5py.Dataset, axis: int, scale: str) -> None:
    """Name an axis of a dataset after a dimension scale of the file."""
    with closing(file[scale]) as found:
        dataset.dims[axis].attach_scale(found)


def _fixed(text: str) -> NDArray[np.bytes_]:
    content = text.encode()
    return np.array(content, dtype=h5py.string_dtype("utf-8", max(len(content), 1)))
