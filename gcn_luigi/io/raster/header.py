"""Read and check the header of a raster before any pixel is read, and check the blocks of a GeoTIFF."""

import functools
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import deflate
import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.enums import Compression, Interleaving
from rasterio.errors import RasterioIOError

from gcn_luigi.errors import GcnLuigiError, InputError, LatticeError
from gcn_luigi.io.gdal import environment
from gcn_luigi.io.raster.crs import crs_code, crs_of, is_same_crs
from gcn_luigi.io.raster.drivers import open_local
from gcn_luigi.io.raster.masks import mask_of
from gcn_luigi.io.raster.placement import Placement
from gcn_luigi.io.tiff.blocks import can_hold, most_stored
from gcn_luigi.lattice import Lattice, Window

# Relative tolerance of pixel sizes. With a smaller difference the shift across a tile is far less than a pixel.
_SIZE_TOLERANCE = 1e-6
# A GeoTIFF lists the offset (4 or 8 bytes) and the length (2 bytes or more) of every block, unless none is stored.
_LISTED_BYTES = 6
_FEW_BLOCKS = 4096
# More threads than processors read headers, since on a network disk most of the time is waiting.
_N_THREADS = 8
# Headers that a thread reads in one GDAL environment: to create one takes longer than to read a header.
_PART = 64
# GDAL refuses to write into a cloud-optimised GeoTIFF, tags included.
COPY_FIRST = "; copy a cloud-optimised FILE first: rio convert FILE NEW"
# GDAL allocates memory for a whole block. Limits: pixels in a block, and pixels per byte of the file, which exceed
# what Deflate and LZW can reach.
_LARGE_BLOCK, _DENSEST = 1 << 28, 2000


@dataclass(frozen=True)
class Header:
    """The header of a readable, georeferenced raster. Dtypes, tags, names and items have one value per band."""

    # What messages call the raster, and where its pixels lie.
    path: str
    placement: Placement
    # Number of bands.
    count: int
    # numpy names.
    dtypes: tuple[str, ...]
    # Nodata tags, which may be nan. None without a tag, or if a pixel of the band cannot hold it.
    nodata: tuple[float | None, ...]
    # Descriptions; empty without one.
    names: tuple[str, ...]
    # True if a band has a scale or offset tag, so that stored values are not the real values.
    is_scaled: bool
    # What marks missing pixels besides nodata tags; see `mask_of`. An alpha band is not counted, and has
    # no dtype, tag, name or item.
    mask: int = 0
    # Scale and offset tags.
    scalings: tuple[tuple[float, float], ...] = ()
    # Unit tags; empty without one.
    units: tuple[str, ...] = ()
    # Metadata items.
    items: tuple[Mapping[str, str], ...] = field(default=(), compare=False)
    # A message about blocks that were never written in bands without a nodata tag. GDAL reads them as 0. Empty if a
    # mask says which of their pixels are missing.
    unwritten: str = ""

    @functools.cached_property
    def lattice(self) -> Lattice:
        """The pixels as a lattice: north-up, square, projected in metres. Raise LatticeError if they are none."""
        return _lattice_of(self.placement, self.path)

    @property
    def has_mask(self) -> bool:
        """Whether a mask or alpha band marks valid pixels."""
        return self.mask != 0


@contextmanager
def open_raster(path: Path) -> Iterator[Any]:
    """Yield the open rasterio dataset of `path`.

    Raises
    ------
    InputError
        The file is absent, empty, cut short or not a raster, or leads to other files or the network; see `open_local`.
    """
    try:
        dataset = open_local(path)
    except RasterioIOError as error:
        gone = not path.exists()
        raise InputError(
            f"cannot be opened as a raster: {_why_unreadable(path)}",
            where=str(path),
            fix="correct the path, which starts at data_root" if gone else "copy or download the file again",
        ) from error
    try:
        with dataset:
            yield dataset
    except CPLE_BaseError as error:
        # GDAL reads parts of a header only when they are asked for.
        raise InputError(
            f"cannot be read as a raster: {_why_unreadable(path)}",
            where=str(path),
            fix="copy or download the file again",
        ) from error


def read_header(path: Path, *, is_lattice: bool = True) -> Header:
    """Read and check the header of any raster that `open_local` opens.

    Without `is_lattice`, the raster may lie anywhere, and its pixels may have any shape.

    Raises
    ------
    InputError
        The file is unreadable, shorter than its header says, or has no CRS.
    LatticeError
        The raster is geographic, not in metres, rotated or south-up, or its pixels are not square.
    """
    with open_raster(path) as dataset:
        if not _is_whole(dataset, path):
            raise InputError(
                "is cut short: its last block is beyond the end of the file",
                where=str(path),
                fix="copy or download the file again",
            )
        mask = mask_of(dataset)
        count = dataset.count - (mask == dataset.count)
        scalings = tuple(zip(dataset.scales, dataset.offsets, strict=True))[:count]
        header = Header(
            path=str(path),
            placement=_placement_of(dataset, path),
            count=count,
            dtypes=tuple(dataset.dtypes)[:count],
            nodata=_tags(dataset)[:count],
            names=tuple(name or "" for name in dataset.descriptions)[:count],
            is_scaled=set(scalings) != {(1.0, 0.0)},
            mask=mask,
            scalings=scalings,
            units=tuple(unit or "" for unit in dataset.units)[:count],
            items=tuple(dataset.tags(band) for band in dataset.indexes[:count]),
            unwritten="" if mask else unwritten_blocks(dataset),
        )
    if is_lattice:
        # Refused here, and not when it is first used.
        _ = header.lattice
    return header


def header_reader(paths: Iterable[Path]) -> Callable[[Path], Header]:
    """Read the headers of `paths`, each once and several at a time, and return a function that gives them by path.

    The lattice of a header is not checked (see `read_header`). The function raises the GcnLuigiError with which a file
    was refused when it is asked for this file.
    """
    wanted = list(dict.fromkeys(paths))
    parts = [wanted[start : start + _PART] for start in range(0, len(wanted), _PART)]
    with ThreadPoolExecutor(min(_N_THREADS, max(len(parts), 1)), thread_name_prefix="gcn-headers") as pool:
        found = {path: header for part in pool.map(_read_part, parts) for path, header in part.items()}

    def header_of(path: Path) -> Header:
        header = found[path]
        if isinstance(header, GcnLuigiError):
            raise header
        return header

    return header_of


def _read_part(paths: Iterable[Path]) -> dict[Path, Header | GcnLuigiError]:
    with environment():
        return {path: _header_or_refusal(path) for path in paths}


def _header_or_refusal(path: Path) -> Header | GcnLuigiError:
    try:
        return read_header(path, is_lattice=False)
    except GcnLuigiError as error:
        return error


def window_on(own: Lattice, lattice: Lattice, *, where: str) -> Window:
    """Return the window of the pixels of `own` on `lattice`. It may reach beyond the lattice or cover a part of it.

    Raises
    ------
    InputError
        The two have different CRSs.
    LatticeError
        The pixels have another size, or their edges are between the pixel edges of the lattice.
    """
    if not is_same_crs(own.crs, lattice.crs):
        raise InputError(
            f"is in {own.crs[:60]}, but the region is in {lattice.crs[:60]}",
            where=where,
            fix="reproject it onto the region's lattice, with a resampling method that you choose",
        )
    if not is_same_size(own.pixel_size, lattice.pixel_size):
        raise LatticeError(
            f"has pixels of {own.pixel_size:g} m, but the region has pixels of {lattice.pixel_size:g} m",
            where=where,
            fix="resample it onto the region's lattice",
        )
    return lattice.window_of(own.bounds, where=where)


def unwritten_blocks(dataset: Any) -> str:
    """Return a message if blocks of an open GeoTIFF were never written in bands without a nodata tag; else empty.

    GDAL reads such blocks as 0. With a tag it reads them as nodata, which is correct.
    """
    untagged = [band for band, tag in zip(dataset.indexes, _tags(dataset), strict=True) if tag is None]
    if dataset.driver != "GTiff" or not untagged:
        return ""
    blocks = list(_blocks(dataset, untagged))
    total, missing = len(blocks), sum(_stored(dataset, *block) is None for block in blocks)
    return f"{missing:,} of {total:,} blocks were never written, and no nodata tag says what they hold" * bool(missing)


def fix_unwritten(dtypes: Iterable[str], nodata: int = -32768) -> str:
    """Return how to fix a file with blocks that were never written. `nodata` is the value for missing pixels."""
    return (
        "if their pixels are missing, write the nodata tag, which does not change pixels: rio edit-info --nodata "
        f"{holdable(nodata, dtypes)} FILE; if their pixels are 0, write them: rio convert FILE NEW"
    )


def holdable(nodata: int, dtypes: Iterable[str]) -> int:
    """Return `nodata` or, if one of these types cannot hold it, the largest value that all of them can hold."""
    kinds = list(dtypes)
    if all(can_hold(nodata, kind) for kind in kinds):
        return nodata
    return min(int(np.iinfo(kind).max) for kind in kinds if np.dtype(kind).kind in "iu")


def _tags(dataset: Any) -> tuple[float | None, ...]:
    """Return the nodata tag of each band; None without one, or if the type of the band cannot hold it."""
    pairs = zip(dataset.nodatavals, dataset.dtypes, strict=True)
    return tuple(tag if tag is not None and can_hold(tag, dtype) else None for tag, dtype in pairs)


def is_same_size(one: float, other: float) -> bool:
    """Return whether two pixel sizes are equal except for rounding of stored coordinates."""
    return math.isclose(one, other, rel_tol=_SIZE_TOLERANCE)


def _why_unreadable(path: Path) -> str:
    if not path.exists():
        return "there is no such file"
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        return error.strerror or "the operating system refuses to open it"
    if not start:
        return "it has 0 bytes"
    if start.lstrip().startswith(b"<") and path.suffix != ".vrt":
        return "it is a web page or other text, not an image"
    return "it is damaged or cut short"


def _claims_too_much(dataset: Any, size: int) -> bool:
    """Return whether a file of `size` bytes is too short to list or hold the blocks that its header claims.

    GDAL treats blocks that are not listed as missing, and would read nodata for days.
    """
    n_blocks = sum(
        -(-dataset.height // height) * -(-dataset.width // width)
        for height, width in (dataset.block_shapes[:1] if _is_mixed(dataset) else dataset.block_shapes)
    )
    largest = max(height * width for height, width in dataset.block_shapes)
    is_short = n_blocks > _FEW_BLOCKS and n_blocks * _LISTED_BYTES > size
    return is_short or bool(largest > max(_LARGE_BLOCK, _DENSEST * size))


def _is_mixed(dataset: Any) -> bool:
    return bool(dataset.interleaving is Interleaving.pixel)


def _is_whole(dataset: Any, path: Path) -> bool:
    """Return False if a GeoTIFF is too short to list its blocks, or the last block of a band is beyond its end."""
    if dataset.driver != "GTiff":
        return True
    size = path.stat().st_size
    if _claims_too_much(dataset, size):
        return False
    for band, (height, width) in enumerate(dataset.block_shapes, start=1):
        last = _stored(dataset, band, (dataset.height - 1) // height, (dataset.width - 1) // width)
        if last is not None and sum(last) > size:
            return False
    return True


def _blocks(dataset: Any, bands: Iterable[int]) -> Iterator[tuple[int, int, int]]:
    """Yield the band, row and column of each block of `bands`. If bands share blocks, only the first band counts."""
    for band in list(bands)[:1] if _is_mixed(dataset) else bands:
        height, width = dataset.block_shapes[band - 1]
        for row in range(-(-dataset.height // height)):
            for col in range(-(-dataset.width // width)):
                yield band, row, col


def _stored(dataset: Any, band: int, row: int, col: int) -> tuple[int, int] | None:
    """Return where a block starts in the file and how many bytes it has; None if it was never written."""
    start, length = (
        dataset.get_tag_item(f"BLOCK_{item}_{col}_{row}", "TIFF", bidx=band) for item in ("OFFSET", "SIZE")
    )
    return (int(start), int(length)) if start and length else None


def check_deflated(dataset: Any, path: Path, *, but: Collection[int] = ()) -> None:
    """Decode every block of an open GeoTIFF and compare checksums. Other files and compressions are not checked.

    Blocks of the bands `but`, counted from 1, are known to be sound.

    libtiff refuses a block that cannot be decoded, but accepts a block that decodes to too many bytes: it keeps what
    fits, does not check the Adler-32, and leaves the end of the block as it was in memory. Such pixels may look
    plausible or not, and may differ from one reading to the next.

    An Adler-32 has a weakness: one flipped bit of a stream can change several decoded bytes so that the changes cancel
    out in its sums (+1, -1, -1, +1). With image data this happened for about one flip in 14 000. Such damage is noticed
    only if values leave the valid range of the band.

    Raises
    ------
    InputError
        A block is damaged or beyond the end of the file.
    """
    if dataset.driver != "GTiff" or dataset.compression is not Compression.deflate:
        return
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        is_done = bool(but) and _is_mixed(dataset)
        for band, row, col in () if is_done else _blocks(dataset, sorted({*dataset.indexes}.difference(but))):
            height, width = dataset.block_shapes[band - 1]
            stored = _stored(dataset, band, row, col)
            size = height * width * np.dtype(dataset.dtypes[band - 1]).itemsize
            size *= dataset.count if _is_mixed(dataset) else 1
            if stored is not None and not _is_sound(handle, *stored, size):
                raise InputError(
                    f"cannot be decoded: it is damaged, because the checksum of the block at row {row * height}, "
                    f"column {col * width} is wrong",
                    where=str(path),
                    fix="copy or download the file again; if its pixels are right, write it again: rio convert",
                )
    finally:
        os.close(handle)


def _is_sound(handle: int, start: int, length: int, size: int) -> bool:
    # If not, the length itself is damaged.
    if length > most_stored(size):
        return False
    try:
        # The last strip may be shorter.
        deflate.zlib_decompress(os.pread(handle, length, start), size)
    except (deflate.DeflateError, ValueError):
        return False
    return True


def _placement_of(dataset: Any, path: Path) -> Placement:
    if dataset.crs is None:
        raise InputError(
            "has no coordinate system",
            where=str(path),
            fix=f"write the right CRS into the file: rio edit-info --crs EPSG:... FILE{COPY_FIRST}",
        )
    a, b, left, d, e, top = tuple(dataset.transform)[:6]
    return Placement(crs_code(dataset.crs), (a, b, left, d, e, top), dataset.height, dataset.width)


def _lattice_of(placement: Placement, where: str) -> Lattice:
    crs_of(placement.crs, where=where)
    a, b, left, d, e, top = placement.transform
    if b or d:
        raise LatticeError("is rotated", where=where, fix="warp it to a north-up raster on the region's lattice")
    if a < 0 or e > 0:
        raise LatticeError(
            f"is stored {'south-up' if e > 0 else 'mirrored'} (pixel steps {a:g}, {e:g})",
            where=where,
            fix="warp it to a north-up raster on the region's lattice; the pixels stay the same",
        )
    if not is_same_size(a, -e):
        raise LatticeError(
            f"has oblong pixels of {a:g} x {-e:g} m", where=where, fix="resample it to the region's square pixels"
        )
    return Lattice(placement.crs, left, top, a, placement.height, placement.width)
