"""The same chips in the forms that others keep them: one array, HDF5, a file each."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import rasterio

from benchmarks import competent
from benchmarks.place import places_of
from benchmarks.region import Ground

Numbers = npt.NDArray[np.int64]
ReadBatch = Callable[[Numbers], object]

STEP, SHAPE = 32, (10, competent.CHIP, competent.CHIP)


@dataclass(frozen=True)
class PeerFiles:
    """Chips of `Ground.listed(read_partitions)`, in order, in a directory.

    Attributes
    ----------
    directory : Path
        Where all forms lie.
    count : int
        Chips.
    file_count : int
        Chips that are there as files of their own, too: the first ones.
    """

    directory: Path
    count: int
    file_count: int

    @property
    def array(self) -> Path:
        """All chips end to end, int16."""
        return self.directory / "chips.i2"

    def hdf5(self, codec: str) -> Path:
        """Return the script's HDF5 file."""
        return self.directory / f"{codec}.h5"

    def tensor(self, number: int) -> Path:
        """Return the torch file of one chip, float32 as published."""
        return self.directory / "pt" / f"{number:06d}.pt"

    def raster(self, number: int) -> Path:
        """Return the GeoTIFF of one chip, LZW as published."""
        return self.directory / "tif" / f"{number:06d}.tif"

    def litdata_chip(self, number: int) -> npt.NDArray[np.int16]:
        """Return the image of one chip, for a file of LitData."""
        return np.array(self.memmap[number, :-1])

    @property
    def memmap(self) -> npt.NDArray[np.int16]:
        """The array of all chips, mapped anew."""
        return np.memmap(self.array, np.int16, "r", shape=(self.count, *SHAPE))


def make(ground: Ground, codecs: Iterator[str]) -> PeerFiles:
    """Write all forms that are not there; torch files only where torch is, HDF5 files of `codecs`."""
    place = ground.listed(ground.plan.read_partitions, "read")
    places = places_of(place)
    count = len(places) * 25
    files = PeerFiles(ground.directory / "peer-files", count, min(count, ground.plan.file_chips))
    files.directory.mkdir(exist_ok=True)
    for codec in codecs:
        if not files.hdf5(codec).is_file():
            competent.export(places, place.stack, files.hdf5(codec), STEP, codec)
    if _is_made(files):
        return files
    with files.array.open("wb") as stream:
        for chips in competent.chips_of(places, place.stack, STEP):
            stream.write(memoryview(chips).cast("B"))
    _write_rasters(files)
    _write_tensors(files)
    # Last: a directory with a marker is whole.
    (files.directory / "made.json").write_text(json.dumps({"count": count}), encoding="utf-8")
    return files


def has_torch() -> bool:
    """Return whether torch can be imported."""
    try:
        import torch  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def _is_made(files: PeerFiles) -> bool:
    made = (files.directory / "made.json").is_file()
    return made and (files.tensor(0).is_file() or not has_torch())


def _write_rasters(files: PeerFiles) -> None:
    shutil.rmtree(files.directory / "tif", ignore_errors=True)
    (files.directory / "tif").mkdir()
    profile = {"driver": "GTiff", "dtype": "int16", "count": SHAPE[0], "height": SHAPE[1], "width": SHAPE[2]}
    transform = rasterio.Affine(30.0, 0.0, 0.0, 0.0, -30.0, 0.0)
    for number, chip in enumerate(files.memmap[: files.file_count]):
        path = files.raster(number)
        with rasterio.open(path, "w", compress="lzw", crs="EPSG:3338", transform=transform, **profile) as target:
            target.write(chip)


def _write_tensors(files: PeerFiles) -> None:
    if not has_torch():
        return
    import torch  # noqa: PLC0415

    shutil.rmtree(files.directory / "pt", ignore_errors=True)
    (files.directory / "pt").mkdir()
    for number, chip in enumerate(files.memmap[: files.file_count]):
        torch.save(torch.from_numpy(chip.astype(np.float32)), files.tensor(number))


def read_memmap(files: PeerFiles, size: int) -> ReadBatch:
    """Return what takes batches out of the mapped array into one that is used again."""
    chips, out = files.memmap, np.empty((size, *SHAPE), np.int16)
    return lambda numbers: np.take(chips, numbers, axis=0, out=out)


def read_hdf5(files: PeerFiles, codec: str, size: int) -> ReadBatch:
    """Return what reads batches chip by chip in the order of the file; fancy indices would be fifty times slower."""
    competent.filters_of(codec)
    chips, out = h5py.File(files.hdf5(codec), "r")["chips"], np.empty((size, *SHAPE), np.int16)

    def read(numbers: Numbers) -> object:
        for position, number in enumerate(np.sort(numbers)):
            chips.read_direct(out, np.s_[number], np.s_[position])
        return out

    return read


def read_tensors(files: PeerFiles) -> ReadBatch:
    """Return what loads a torch file a chip and stacks them."""
    import torch  # noqa: PLC0415

    return lambda numbers: torch.stack([torch.load(files.tensor(int(number))) for number in numbers])


def read_rasters(files: PeerFiles, size: int) -> ReadBatch:
    """Return what opens one GeoTIFF per chip."""
    out = np.empty((size, *SHAPE), np.int16)

    def read(numbers: Numbers) -> object:
        for position, number in enumerate(numbers):
            with rasterio.open(files.raster(int(number))) as source:
                source.read(out=out[position])
        return out

    return read
