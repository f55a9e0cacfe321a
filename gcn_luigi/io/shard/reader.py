"""Read a finished shard: its attributes, its columns, and its pixels by row or by chip."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import LABEL_IGNORE
from gcn_luigi.errors import GcnLuigiError, ShardError
from gcn_luigi.io.shard.chunks import StoredArray, find_chunks
from gcn_luigi.io.shard.format import CHECKSUMS, CONFIDENCE, FORMATS, IMAGE_TYPES, PIXELS, check_footer
from gcn_luigi.io.shard.opened import Handle, OpenObject, close, will_need
from gcn_luigi.prepare.chips.chips import Edge, gather_chips
from gcn_luigi.prepare.missing.fill import NO_CONFIDENCE

# The deepest allowed nesting of groups. A shard has one level.
_DEEPEST = 2


class ShardReader:
    """A finished shard.

    Pixels are read without HDF5, by several threads at once if needed. Everything else is read with h5py, by one
    thread. Its bytes are compared with the digest in the footer before h5py opens the file.

    The file at `path` is opened without a lock, because a published shard never changes. Raise OSError if HDF5 cannot
    open it or the footer does not match; `open_shard` and `gcn_luigi.read` convert it to a ShardError.

    A shard in a store is given as `opened`, and `path` is then only its name.
    """

    def __init__(self, path: Path, opened: OpenObject | None = None) -> None:
        self.path = path
        self._handle: Handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if opened is None else opened
        try:
            check_footer(self._handle)
            self._file = _opened(path if opened is None else opened.outside_pixels())
        except BaseException:
            close(self._handle)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._file["chip"].shape[0])

    def close(self) -> None:
        """Close the file."""
        if self._handle != -1:
            close(self._handle)
            self._handle = -1
        self._file.close()

    def detach(self) -> Self:
        """Read everything that is needed to find and cut pixels, and close the HDF5 file.

        Columns and tables cannot be read afterwards. The reader keeps only a descriptor and some arrays, so it is safe
        in threads and after a fork, and others can open the file.
        """
        _ = self.arrays, self.layout, self.places, self.extents, self.chip_size, self.edge, self.fills
        self._file.close()
        if not isinstance(self._handle, int):
            self._handle.let_go()
        return self

    @property
    def stored_pixels(self) -> int:
        """Bytes of chips, or of windows, in the file: all pixel arrays, as compressed."""
        return sum(int(self._file[name].id.get_storage_size()) for name in self._pixels)

    @property
    def _pixels(self) -> dict[str, np.dtype[Any]]:
        """The pixel arrays that the shard must have, with their types. The footer vouches for what the file lists."""
        return {**PIXELS, CONFIDENCE: np.dtype("u1")} if CONFIDENCE in self._file else dict(PIXELS)

    @property
    def is_complete(self) -> bool:
        """True if the writer finished the shard."""
        return bool(self._file.attrs.get("complete", 0))

    def check_format(self) -> None:
        """Raise OSError if a version with another format made the shard."""
        layout_and_version = str(_plain(self._file.attrs.get("format", "")))
        if not layout_and_version.startswith("gcn_luigi "):
            raise OSError("it is an HDF5 file, but not a shard of gcn_luigi")
        if layout_and_version not in FORMATS.values():
            raise OSError(
                f"it has the format '{layout_and_version}', but this version of gcn_luigi reads "
                f"{' and '.join(FORMATS.values())}, and rebuilds the shard in that format"
            )

    def check(self) -> None:
        """Raise OSError unless the writer finished and all pixels of every row exist, with the right types."""
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
                raise OSError("a chip belongs to a window that does not exist")

    @property
    def attributes(self) -> dict[str, Any]:
        """All attributes of the file."""
        return {name: _plain(value) for name, value in self._file.attrs.items()}

    @cached_property
    def layout(self) -> str:
        """``chips``, or ``windows``."""
        return str(_plain(self._file.attrs.get("layout", "chips")))

    @cached_property
    def arrays(self) -> dict[str, StoredArray]:
        """Where the rows of ``image``, ``label``, ``flags`` and, if there is one, ``confidence`` are in the file."""
        self.check_format()
        found = {}
        for name, dtype in self._pixels.items():
            try:
                checksums = self._file[CHECKSUMS[name]][...] if CHECKSUMS[name] in self._file else None
                array = self._file[name]
                # The footer vouches for the type that the file states.
                is_image = name == "image" and isinstance(array, h5py.Dataset) and array.dtype in IMAGE_TYPES.values()
                found[name] = find_chunks(array, array.dtype if is_image else dtype, checksums)
            except OSError as error:
                raise OSError(f"{name} {error}") from error
        return found

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The row of the pixel arrays that holds each chip, and the chip's first row and column there: (chip, 3)."""
        if self.layout == "chips":
            rows = np.arange(len(self), dtype=np.int64)
            return np.column_stack([rows, np.zeros_like(rows), np.zeros_like(rows)])
        return np.column_stack([self.column(name).astype(np.int64) for name in ("in_window", "row", "col")])

    @cached_property
    def extents(self) -> NDArray[np.int64]:
        """The height and width of each row of the pixel arrays without padding: (row, 2)."""
        if self.layout == "chips":
            return np.tile(np.array(self.arrays["label"].shape[1:], np.int64), (len(self), 1))
        return np.column_stack([self.column(name).astype(np.int64) for name in ("window_height", "window_width")])

    @cached_property
    def chip_size(self) -> int:
        """Edge length of a chip, in pixels."""
        return int(self._file.attrs["chip_size"])

    @cached_property
    def edge(self) -> Edge:
        """The edge policy by which chips were cut."""
        edge: Edge = _plain(self._file.attrs["chip_edge"])
        return edge

    @cached_property
    def fills(self) -> dict[str, int]:
        """The value of pixels beyond the edge of a window, by array."""
        attributes = self._file.attrs
        fill, beyond = int(attributes["fill"]), int(attributes["beyond_flags"])
        return {"image": fill, "label": LABEL_IGNORE, "flags": beyond, CONFIDENCE: NO_CONFIDENCE}

    def read_row(self, name: str, row: int, out: NDArray[Any]) -> None:
        """Decode one row of a pixel array into `out`, which is C-contiguous and has the shape and dtype of the row.

        Raise OSError if the row is damaged.
        """
        self.arrays[name].read(self._handle, row, out)

    def stored(self, name: str, row: int, start: int = 0) -> bytes:
        """Return one row of a pixel array as stored, from its byte `start` on, without decoding it.

        Raise OSError if the row is lost or the file is shorter than before.
        """
        return self.arrays[name].stored(self._handle, row, start)

    def prefetch(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that the pixels of `rows` will be read soon."""
        arrays = self.arrays.values()
        # All at once, because a store joins what is close together.
        offsets, sizes = ([getattr(array, name)[rows] for array in arrays] for name in ("offsets", "sizes"))
        will_need(self._handle, np.concatenate(offsets), np.concatenate(sizes))

    def cut(
        self, name: str, windows: NDArray[Any], places: NDArray[np.int64], extents: NDArray[np.int64], out: NDArray[Any]
    ) -> NDArray[Any]:
        """Copy chips from decoded rows of the array `name` to `out`, (chip, ..., y, x), and return it.

        `windows` are (row, ..., y, x). `places` (chip, 3) are each chip's row in `windows` and its first row and column
        there. `extents` (row, 2) is as in the attribute of that name.
        """
        return gather_chips(windows, places, out, edge=self.edge, extents=extents, fill=self.fills[name])

    def pixels(self, name: str, position: int) -> NDArray[Any]:
        """Return one of `arrays`, such as ``image``, of one chip."""
        array = self.arrays[name]
        row, *corner = self.places[position].tolist()
        whole = np.empty((1, *array.shape[1:]), array.dtype)
        self.read_row(name, row, whole[0])
        chip = np.empty((1, *array.shape[1:-2], self.chip_size, self.chip_size), array.dtype)
        found: NDArray[Any] = self.cut(name, whole, np.array([[0, *corner]]), self.extents[row : row + 1], chip)[0]
        return found

    def column(self, name: str) -> NDArray[Any]:
        """Return one metadata column: (chip,) or (chip, 6), or the same for windows."""
        values: NDArray[Any] = self._file[name][...]
        return values.astype(str) if values.dtype.kind == "S" else values

    def columns(self, axis: str) -> dict[str, NDArray[Any]]:
        """Return all columns along the axis ``chip`` or ``window``, as stored."""
        return {
            name: node[...]
            for name, node in self._file.items()
            if isinstance(node, h5py.Dataset) and node.ndim and name not in (*PIXELS, CONFIDENCE, axis)
            and axis in [scale.name.removeprefix("/") for scale in node.dims[0].values()]
        }  # fmt: skip

    def table(self, group: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a side table."""
        return {name: self._file[group][name][...] for name in self._file[group]}

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return all side tables by name."""
        return {name: self.table(name) for name, node in self._file.items() if isinstance(node, h5py.Group)}


@contextmanager
def open_shard(path: Path) -> Iterator[ShardReader]:
    """Yield a shard for a stage to read. Raise ShardError if it is missing, damaged, or lacks requested data."""
    try:
        with ShardReader(path) as shard:
            yield shard
    except GcnLuigiError:
        raise
    except (OSError, KeyError, RuntimeError) as error:
        raise ShardError(
            f"cannot be read: {error}",
            where=str(path),
            fix="run the build again: gcn run --deep <region> rebuilds a missing or damaged shard",
        ) from error


def _opened(path: Path | io.RawIOBase) -> h5py.File:
    """Open a file without a lock or, if this process already has it open, in the same way as before."""
    if isinstance(path, io.RawIOBase):
        return _own(h5py.File(path, "r", rdcc_nbytes=0))
    try:
        file = h5py.File(path, "r", locking=False, rdcc_nbytes=0)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        file = h5py.File(path, "r", rdcc_nbytes=0)
    return _own(file)


def _own(file: h5py.File) -> h5py.File:
    """Return a file that refers to no other file; otherwise close it and raise OSError."""
    try:
        _refuse_foreign(file, 0)
    except OSError:
        file.close()
        raise
    return file


def _refuse_foreign(group: h5py.Group, depth: int) -> None:
    """Raise OSError if a shard refers to another file, because its author could then show any file as chips."""
    if depth > _DEEPEST:
        raise OSError("a group contains itself, or groups are nested too deeply")
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
