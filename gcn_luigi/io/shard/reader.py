"""A finished shard, read back: what it says of itself, its columns, and pixels row by row or chip by chip."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import GcnLuigiError, ShardError
from gcn_luigi.io.shard.chunks import StoredArray, find_chunks
from gcn_luigi.io.shard.footer import check_tail
from gcn_luigi.io.shard.format import CHECKSUMS, FORMATS, PIXELS
from gcn_luigi.prepare.chips.chips import Edge, cut_chips

# Groups within groups; a shard has one level.
_DEEPEST = 2


class ShardReader:
    """A finished shard.

    Pixels are read past HDF5, by several threads at once if need be. All else is read through h5py and belongs to
    one thread; its bytes are compared with the digest in the shard's tail before h5py is shown the file.

    Parameters
    ----------
    path : Path
        The file; opened without a lock, since a published shard never changes.

    Raises
    ------
    OSError
        HDF5's own, or the tail does not fit; `gcn_luigi.read`, which opens shards for users, turns it into a
        ShardError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check_tail(self._handle)
            self._file = _opened(path)
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._file["chip"].shape[0])

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._file.close()

    def settle(self) -> Self:
        """Read all that finding and cutting pixels needs, and let go of HDF5; columns and tables end with it.

        What is left is a descriptor and some arrays: safe in threads and after a fork, and no hindrance to others who
        open the file.
        """
        _ = self.arrays, self.layout, self.places, self.extents, self.chip_size, self.edge, self.fills
        self._file.close()
        return self

    @property
    def stored_pixels(self) -> int:
        """Bytes that chips, or windows, take in the file: image, label and flags, compressed as they are."""
        return sum(int(self._file[name].id.get_storage_size()) for name in PIXELS)

    @property
    def is_complete(self) -> bool:
        """True when the writer finished."""
        return bool(self._file.attrs.get("complete", 0))

    @property
    def format(self) -> str:
        """Layout and version of the file's structure; empty where it does not say."""
        return str(_plain(self._file.attrs.get("format", "")))

    def check_format(self) -> None:
        """Raise OSError where the shard was made by a version with another format."""
        if not self.format.startswith("gcn_luigi "):
            raise OSError("it is an HDF5 file, but no shard of gcn_luigi")
        if self.format not in FORMATS.values():
            raise OSError(
                f"it is of the format '{self.format}'; this version of gcn_luigi reads "
                f"{' and '.join(FORMATS.values())}, and builds the shard again in that format"
            )

    def check(self) -> None:
        """Raise OSError unless the writer finished and every row's pixels are there, of the type they must be."""
        self.check_format()
        if not self.is_complete:
            raise OSError("the shard was never finished")
        n_rows = len(self) if self.layout == "chips" else int(self._file["window"].shape[0])
        for name, array in self.arrays.items():
            if array.n_lost or array.shape[0] != n_rows:
                raise OSError(f"the {name} of {array.n_lost} {self.layout} is lost")
        if self.layout == "windows":
            window = self.column("in_window")
            if len(window) != len(self) or (len(window) and not 0 <= window.min() <= window.max() < n_rows):
                raise OSError("a chip is of a window that is not there")

    @property
    def attributes(self) -> dict[str, Any]:
        """What the shard says of itself."""
        return {name: _plain(value) for name, value in self._file.attrs.items()}

    @cached_property
    def layout(self) -> str:
        """``chips``, or ``windows``."""
        return str(_plain(self._file.attrs.get("layout", "chips")))

    @cached_property
    def arrays(self) -> dict[str, StoredArray]:
        """Where the rows of ``image``, ``label`` and ``flags`` lie."""
        self.check_format()
        found = {}
        for name, dtype in PIXELS.items():
            try:
                checksums = self._file[CHECKSUMS[name]][...] if CHECKSUMS[name] in self._file else None
                found[name] = find_chunks(self._file[name], dtype, checksums)
            except OSError as error:
                raise OSError(f"{name} {error}") from error
        return found

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """(chip, 3): row of the pixel arrays that a chip lies in, and its first row and column there."""
        if self.layout == "chips":
            rows = np.arange(len(self), dtype=np.int64)
            return np.column_stack([rows, np.zeros_like(rows), np.zeros_like(rows)])
        return np.column_stack([self.column(name).astype(np.int64) for name in ("in_window", "row", "col")])

    @cached_property
    def extents(self) -> NDArray[np.int64]:
        """(row, 2): rows and columns of each row of the pixel arrays that are no padding."""
        if self.layout == "chips":
            return np.tile(np.array(self.arrays["label"].shape[1:], np.int64), (len(self), 1))
        return np.column_stack([self.column(name).astype(np.int64) for name in ("window_height", "window_width")])

    @cached_property
    def chip_size(self) -> int:
        """Edge of a chip, in pixels."""
        return int(self._file.attrs["chip_size"])

    @cached_property
    def edge(self) -> Edge:
        """Policy by which chips were cut."""
        edge: Edge = _plain(self._file.attrs["chip_edge"])
        return edge

    @cached_property
    def fills(self) -> dict[str, int]:
        """What lies beyond the edge of a window, by array."""
        attributes = self._file.attrs
        return {"image": int(attributes["fill"]), "label": 255, "flags": int(attributes["beyond_flags"])}

    def read_row(self, name: str, row: int, out: NDArray[Any]) -> None:
        """Decode one row of a pixel array into `out`, C-contiguous, of the row's shape and dtype.

        Raises
        ------
        OSError
            The row is damaged.
        """
        self.arrays[name].read(self._handle, row, out)

    def stored(self, name: str, row: int, start: int = 0) -> bytes:
        """Return one row of a pixel array as it stands in the file, from its byte `start` on, not decoded.

        Raises
        ------
        OSError
            The row is lost, or the file is shorter than it was.
        """
        return self.arrays[name].stored(self._handle, row, start)

    def want(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that the pixels of `rows` are read soon."""
        for array in self.arrays.values():
            array.want(self._handle, rows)

    def pixels(self, name: str, position: int) -> NDArray[Any]:
        """Return ``image``, ``label`` or ``flags`` of one chip."""
        array = self.arrays[name]
        row, top, left = self.places[position].tolist()
        whole = np.empty(array.shape[1:], array.dtype)
        self.read_row(name, row, whole)
        if self.layout == "chips":
            return whole
        height, width = self.extents[row].tolist()
        origin = np.array([[top, left]], np.int64)
        chips = cut_chips(whole[..., :height, :width], origin, self.chip_size, edge=self.edge, fill=self.fills[name])
        chip: NDArray[Any] = chips[0]
        return chip

    def column(self, name: str) -> NDArray[Any]:
        """Return one metadata column, (chip,) or (chip, 6), or of windows."""
        values: NDArray[Any] = self._file[name][...]
        return values.astype(str) if values.dtype.kind == "S" else values

    def columns(self, axis: str) -> dict[str, NDArray[Any]]:
        """Return all columns along ``chip`` or ``window`` as they are stored."""
        return {
            name: node[...]
            for name, node in self._file.items()
            if isinstance(node, h5py.Dataset) and node.ndim and name not in (*PIXELS, axis)
            and axis in [scale.name.removeprefix("/") for scale in node.dims[0].values()]
        }  # fmt: skip

    def table(self, group: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a side table."""
        return {name: self._file[group][name][...] for name in self._file[group]}

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return all side tables by name."""
        return {name: self.table(name) for name, node in self._file.items() if isinstance(node, h5py.Group)}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the pixel arrays."""
        return {name: tuple(self._file[name].shape) for name in PIXELS}


@contextmanager
def open_shard(path: Path) -> Iterator[ShardReader]:
    """Yield a shard that a stage reads.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    ShardReader
        Closed at the end.

    Raises
    ------
    ShardError
        The shard is missing, damaged, or has not what is asked for; the message names it.
    """
    try:
        with ShardReader(path) as shard:
            yield shard
    except GcnLuigiError:
        raise
    except (OSError, KeyError, RuntimeError) as error:
        raise ShardError(
            f"cannot be read: {error}",
            where=str(path),
            fix="run the build again: gcn run --deep <region> makes a missing or damaged shard anew",
        ) from error


def _opened(path: Path) -> h5py.File:
    """Open a file without a lock or, where this process has it open already, in the same way as there."""
    try:
        file = h5py.File(path, "r", locking=False, rdcc_nbytes=0)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        file = h5py.File(path, "r", rdcc_nbytes=0)
    try:
        _refuse_foreign(file, 0)
    except OSError:
        file.close()
        raise
    return file


def _refuse_foreign(group: h5py.Group, depth: int) -> None:
    """Raise OSError where a shard takes something from another file: whoever made it could show any file as chips."""
    if depth > _DEEPEST:
        raise OSError("a group lies within itself")
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise OSError(f"{name} is a link to something else")
        item = group[name]
        if isinstance(item, h5py.Group):
            _refuse_foreign(item, depth + 1)
        elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            raise OSError(f"{name} is stored in another file")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
