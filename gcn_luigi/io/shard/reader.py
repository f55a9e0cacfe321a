"""A finished shard, read back: its attributes, its columns, and pixels row by row or chip by chip."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import GcnLuigiError, ShardError
from gcn_luigi.io.shard.codecs import codec_of, crc32, decode
from gcn_luigi.io.shard.format import CHECKSUMS, FORMATS, PIXELS, check_footer
from gcn_luigi.prepare.chips.chips import Edge, gather_chips

if TYPE_CHECKING:
    # pydantic is not needed to read.
    from gcn_luigi.settings import Codec

# Groups within groups; a shard has one level.
_DEEPEST = 2


class ShardReader:
    """A finished shard.

    Pixels are read past HDF5, by several threads at once if need be. All else is read through h5py and belongs to
    one thread; its bytes are compared with the digest in the shard's footer before h5py is shown the file.

    The file at `path` is opened without a lock, since a published shard never changes. Raise OSError where HDF5 cannot
    open it or the footer does not fit; `open_shard` and `gcn_luigi.read` turn it into a ShardError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check_footer(self._handle)
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

    def detach(self) -> Self:
        """Read all that finding and cutting pixels needs, and close HDF5's file; columns and tables end with it.

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

    def check_format(self) -> None:
        """Raise OSError where the shard was made by a version with another format."""
        layout_and_version = str(_plain(self._file.attrs.get("format", "")))
        if not layout_and_version.startswith("gcn_luigi "):
            raise OSError("it is an HDF5 file, but no shard of gcn_luigi")
        if layout_and_version not in FORMATS.values():
            raise OSError(
                f"it is of the format '{layout_and_version}'; this version of gcn_luigi reads "
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
        """All attributes of the file."""
        return {name: _plain(value) for name, value in self._file.attrs.items()}

    @cached_property
    def layout(self) -> str:
        """``chips``, or ``windows``."""
        return str(_plain(self._file.attrs.get("layout", "chips")))

    @cached_property
    def arrays(self) -> dict[str, "StoredArray"]:
        """Where the rows of ``image``, ``label`` and ``flags`` are."""
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
        """(chip, 3): row of the pixel arrays that holds a chip, and the chip's first row and column there."""
        if self.layout == "chips":
            rows = np.arange(len(self), dtype=np.int64)
            return np.column_stack([rows, np.zeros_like(rows), np.zeros_like(rows)])
        return np.column_stack([self.column(name).astype(np.int64) for name in ("in_window", "row", "col")])

    @cached_property
    def extents(self) -> NDArray[np.int64]:
        """(row, 2): rows and columns of each row of the pixel arrays without the padding."""
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
        """Value beyond the edge of a window, by array."""
        attributes = self._file.attrs
        return {"image": int(attributes["fill"]), "label": 255, "flags": int(attributes["beyond_flags"])}

    def read_row(self, name: str, row: int, out: NDArray[Any]) -> None:
        """Decode one row of a pixel array into `out`, C-contiguous, of the row's shape and dtype.

        Raise OSError where the row is damaged.
        """
        self.arrays[name].read(self._handle, row, out)

    def stored(self, name: str, row: int, start: int = 0) -> bytes:
        """Return one row of a pixel array as it is in the file, from its byte `start` on, not decoded.

        Raise OSError where the row is lost, or the file is shorter than it was.
        """
        return self.arrays[name].stored(self._handle, row, start)

    def prefetch(self, rows: NDArray[np.int64]) -> None:
        """Tell the system that the pixels of `rows` are read soon."""
        for array in self.arrays.values():
            array.prefetch(self._handle, rows)

    def cut(
        self, name: str, windows: NDArray[Any], places: NDArray[np.int64], extents: NDArray[np.int64], out: NDArray[Any]
    ) -> NDArray[Any]:
        """Copy chips from decoded rows of the array `name` to `out`, (chip, ..., y, x), and return it.

        `windows` are (row, ..., y, x); `places` (chip, 3), each chip's row of `windows` and its first row and column
        there; `extents` (row, 2) as the attribute of that name.
        """
        return gather_chips(windows, places, out, edge=self.edge, extents=extents, fill=self.fills[name])

    def pixels(self, name: str, position: int) -> NDArray[Any]:
        """Return ``image``, ``label`` or ``flags`` of one chip."""
        array = self.arrays[name]
        row, *corner = self.places[position].tolist()
        whole = np.empty((1, *array.shape[1:]), array.dtype)
        self.read_row(name, row, whole[0])
        chip = np.empty((1, *array.shape[1:-2], self.chip_size, self.chip_size), array.dtype)
        found: NDArray[Any] = self.cut(name, whole, np.array([[0, *corner]]), self.extents[row : row + 1], chip)[0]
        return found

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


@contextmanager
def open_shard(path: Path) -> Iterator[ShardReader]:
    """Yield a shard that a stage reads; raise ShardError where it is missing, damaged, or lacks what is asked for."""
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
        raise OSError("a group is within itself")
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


@dataclass(frozen=True)
class StoredArray:
    """Where the rows of an array are in the file, to be read past HDF5 from any thread; one HDF5 chunk is one row."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: "Codec"
    # (row,): first byte and number of bytes; offset -1 where the file's index lost the chunk.
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    # (row,): CRC-32 of each chunk, for the codec ``none``; else empty.
    checksums: NDArray[np.uint32]

    @property
    def n_lost(self) -> int:
        """Rows that the file's index does not know; HDF5 itself reads them as zeros."""
        return int((self.offsets < 0).sum())

    def prefetch(self, handle: int, rows: NDArray[np.int64]) -> None:
        """Let the system fetch `rows` from the disk meanwhile, where it can."""
        if hasattr(os, "posix_fadvise"):
            for offset, size in zip(self.offsets[rows].tolist(), self.sizes[rows].tolist(), strict=True):
                os.posix_fadvise(handle, offset, size, os.POSIX_FADV_WILLNEED)

    def stored(self, handle: int, row: int, start: int = 0) -> bytes:
        """Return a chunk as it is in the file, from its byte `start` on; only its length is verified."""
        content = np.empty(int(self.sizes[row]) - start, np.uint8)
        self._fetch(handle, row, content, start)
        return content.tobytes()

    def read(self, handle: int, row: int, out: NDArray[Any]) -> None:
        """Decode one row into `out`, C-contiguous, of the row's shape and dtype; its checksum is verified.

        `handle` is a descriptor of the file; its position is neither used nor moved. Raise OSError where the chunk is
        damaged or lost, or the file is shorter than it was.
        """
        if self.codec != "none":
            stored = np.empty(self.sizes[row], np.uint8)
            self._fetch(handle, row, stored)
            decode(self.codec, stored, out)
            return
        if self.sizes[row] != out.nbytes:
            raise OSError(f"row {row} holds {self.sizes[row]} bytes, not {out.nbytes}")
        self._fetch(handle, row, out.reshape(-1).view(np.uint8))
        if crc32(out) != self.checksums[row]:
            raise OSError("the checksum of a chunk is wrong: it is damaged")

    def _fetch(self, handle: int, row: int, out: NDArray[np.uint8], start: int = 0) -> None:
        offset = int(self.offsets[row])
        if offset < 0:
            raise OSError(f"row {row} is lost")
        if _read_into(handle, out, offset + start) != out.size:
            raise OSError(f"row {row} is beyond the end of the file")


def _read_into(handle: int, out: NDArray[np.uint8], offset: int) -> int:
    """Read bytes of a file into `out`; return how many there were."""
    if hasattr(os, "preadv"):
        return os.preadv(handle, [out.data], offset)
    # macOS before 11: one copy more.
    content = os.pread(handle, out.size, offset)
    out[: len(content)] = np.frombuffer(content, np.uint8)
    return len(content)


def find_chunks(dataset: h5py.Dataset, dtype: np.dtype[Any], checksums: NDArray[np.uint32] | None) -> StoredArray:
    """Return where the rows of `dataset` are; `checksums` are their CRC-32, where the file has them.

    HDF5 keeps no checksum of its own index of chunks: it reads a chunk that the index has lost as zeros, and one whose
    filters it has lost as it is stored, without a word. Looking costs three microseconds a chunk. Raise OSError where
    the array is not of `dtype`, not one row per chunk, or not stored by a codec of ours.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise OSError("is no array")
    codec = codec_of(dataset)
    if dataset.dtype != dtype or codec is None or (codec == "none" and checksums is None):
        raise OSError(f"is not stored as {dtype.str}, compressed or with a checksum")
    if dataset.chunks != (1, *dataset.shape[1:]):
        raise OSError(f"is stored in chunks of {dataset.chunks}, not row by row")
    offsets, sizes = np.full(len(dataset), -1, np.int64), np.zeros(len(dataset), np.int64)
    rest = (0,) * (dataset.ndim - 1)

    def note(chunk: Any) -> None:
        first, *others = chunk.chunk_offset
        if tuple(others) == rest and first < len(offsets) and chunk.filter_mask == 0:
            offsets[first], sizes[first] = chunk.byte_offset, chunk.size

    dataset.id.chunk_iter(note)
    if codec != "none" or checksums is None:
        checksums = np.empty(0, np.uint32)
    elif len(checksums) != len(dataset):
        raise OSError(f"has {len(checksums)} checksums for {len(dataset)} rows")
    return StoredArray(tuple(dataset.shape), dtype, codec, offsets, sizes, checksums)
