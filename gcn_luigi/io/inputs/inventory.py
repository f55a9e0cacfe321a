"""The result of a scan of the tile directories, as a value and as JSON."""

import contextlib
import dataclasses
import datetime as dt
import itertools
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from gcn_luigi.errors import InputError
from gcn_luigi.lattice import Lattice, Window

# Fields that an inventory leaves out if they have their default, so that earlier inventories keep their bytes.
_LATER = ("numbers", "is_made", "resampling", "mask", "scaling")


@dataclass(frozen=True)
class SourceFile:
    """One usable file of one band of one tile.

    Attributes
    ----------
    tile : str
        Normalised tile id. `path` keeps the spelling of the directory.
    band : str
        Name of the band.
    path : str
        Relative to the data root, with forward slashes.
    window : Window
        The pixels of the file on the region's lattice. The window may reach beyond the lattice.
    dtype : str
        numpy name of the stored type.
    nodata : float or None
        The nodata tag of the file, possibly nan. If the bands have different tags, that of the first band.
    count : int
        Number of bands in the file.
    tags : tuple of (float or None)
        The tag of each band if they differ; otherwise empty.
    numbers : tuple of int
        The band of the file for each configured year, counted from 1, or 0 if the file does not have this year. For
        topography, the one band that is used. Empty if band k is the k-th year.
    is_made : bool
        The build made the file, and `path` is relative to the dataset.
    resampling : str
        How the file is warped onto the lattice, as rasterio names it; empty if its pixels are those of the lattice.
        Then `window` is the part of the lattice that the warped file covers.
    mask : int
        What hides pixels of the file besides its nodata tag; see `gcn_luigi.io.raster.masks.mask_of`.
    scaling : tuple of float
        Scale and offset tags that are applied to the values of the file; 1 and 0 if there are none, or they are not
        asked for.
    """

    tile: str
    band: str
    path: str
    window: Window
    dtype: str
    nodata: float | None
    count: int
    tags: tuple[float | None, ...] = ()
    numbers: tuple[int, ...] = ()
    is_made: bool = False
    resampling: str = ""
    mask: int = 0
    scaling: tuple[float, float] = (1.0, 0.0)

    def __post_init__(self) -> None:
        """Make two nan tags equal, so that equal inventories compare equal."""
        object.__setattr__(self, "nodata", _one_nan(self.nodata))
        object.__setattr__(self, "tags", tuple(map(_one_nan, self.tags)))

    def __repr__(self) -> str:
        """Return the fields; those of `_LATER` only if they are not empty, as fingerprints are made from this text."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in _LATER:
            if values[name] == type(self).__dataclass_fields__[name].default:
                del values[name]
        return f"SourceFile({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    def __eq__(self, other: object) -> bool:
        """Compare all fields. Equal nan tags are equal: as tuples, because Python 3.13 compares fields one by one."""
        if not isinstance(other, SourceFile):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        """Return a hash of all fields."""
        return hash(self._values())

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def place(self, root: Path, dataset: Path) -> Path:
        """Return where the file is, given the data root and the directory of the dataset."""
        return (dataset if self.is_made else root) / self.path

    def number_of(self, position: int) -> int:
        """Return the 1-based band for the year at a 0-based `position`, or 0 if the file does not have this year."""
        return self.numbers[position] if self.numbers else position + 1

    def tag_of(self, band: int) -> float | None:
        """Return the nodata tag of a 1-based band."""
        return self.tags[band - 1] if self.tags else self.nodata

    @property
    def export_date(self) -> str | None:
        """The date in the file's name (``..._20200416_...``), as ``2020-04-16``; None without one."""
        for word in PurePosixPath(self.path).stem.split("_"):
            # 07210920 is a season, July 21st to September 20th, not a date.
            if re.fullmatch(r"(19|20)\d{6}", word, re.ASCII):
                with contextlib.suppress(ValueError):
                    return dt.date.fromisoformat(f"{word[:4]}-{word[4:6]}-{word[6:]}").isoformat()
        return None


def _one_nan(tag: float | None) -> float | None:
    return math.nan if tag is not None and math.isnan(tag) else tag


@dataclass(frozen=True, order=True)
class Note:
    """A finding of a scan. `band` or `path` is empty if the finding is not about a band or path."""

    tile: str
    band: str
    path: str
    reason: str


def tile_order(tile: str) -> tuple[bool, int, str]:
    """Return the sort key of a tile id. Numbers come before names and are sorted by value.

    Examples
    --------
    >>> sorted(["b7", "1123", "98"], key=tile_order)
    ['98', '1123', 'b7']
    """
    is_number = tile.isascii() and tile.isdigit()
    return not is_number, int(tile) if is_number else 0, tile


@dataclass(frozen=True)
class Inventory:
    """The tiles of a region.

    Attributes
    ----------
    lattice : Lattice
        The lattice of the region.
    files : tuple of SourceFile
        Sorted by tile, then by path.
    missing : tuple of Note
        Files that a tile lacks. Their pixels stay nodata.
    duplicates : tuple of Note
        Files skipped because another file provides the same band and tile.
    rejected : tuple of Note
        Files skipped by configuration: excluded by name or outside the lattice.
    unmatched : tuple of Note
        Files that match no band, and tiles that only have topography.
    linked : tuple of Note
        Links that leave the data root, which are followed, and links to directories that are listed already.
    overlaps : tuple of Note
        Tiles that share pixels.
    suspect : tuple of Note
        Findings that look wrong but are accepted by configuration.
    layers : tuple of SourceFile
        The sources of label and distance that are warped onto the lattice, by the name of the band; without a tile.
    """

    lattice: Lattice
    files: tuple[SourceFile, ...]
    missing: tuple[Note, ...] = ()
    duplicates: tuple[Note, ...] = ()
    rejected: tuple[Note, ...] = ()
    unmatched: tuple[Note, ...] = ()
    linked: tuple[Note, ...] = ()
    overlaps: tuple[Note, ...] = ()
    suspect: tuple[Note, ...] = ()
    layers: tuple[SourceFile, ...] = ()

    def __repr__(self) -> str:
        """Return the fields; `layers` only if there are any, as fingerprints are made from this text."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if not self.layers:
            del values["layers"]
        return f"Inventory({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    @property
    def tiles(self) -> tuple[str, ...]:
        """Tile ids in order."""
        return tuple(sorted({file.tile for file in self.files}, key=tile_order))

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that tiles cover, without repetition."""
        return tuple(sorted({file.window for file in self.files}))

    def of_band(self, name: str) -> tuple[SourceFile, ...]:
        """Return the files of one band, in tile order; empty if there are none.

        For label and distance, only what is warped onto the lattice.
        """
        return tuple(file for file in (*self.files, *self.layers) if file.band == name)

    def to_json(self) -> str:
        """Return JSON text. Equal inventories give equal bytes, and `from_json` returns an equal inventory."""
        tree: dict[str, Any] = {"lattice": dataclasses.asdict(self.lattice)}
        tree["tiles"] = [
            {"tile": tile, "files": [_plain_file(file) for file in files]}
            for tile, files in itertools.groupby(self.files, key=lambda file: file.tile)
        ]
        for kind in NOTE_KINDS:
            tree[kind] = [dataclasses.asdict(note) for note in getattr(self, kind)]
        if self.layers:
            tree["layers"] = [_plain_file(file) for file in self.layers]
        return json.dumps(tree, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a text from `to_json`. Raise InputError for any other text."""
        try:
            tree = json.loads(text)
            files = tuple(_file(row["tile"], plain) for row in tree["tiles"] for plain in row["files"])
            notes = {kind: tuple(Note(**plain) for plain in tree[kind]) for kind in NOTE_KINDS}
            layers = tuple(_file("", plain) for plain in tree.get("layers", ()))
            return cls(Lattice(**tree["lattice"]), files, **notes, layers=layers)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"not a tile inventory: {error}", where="inventory.json", fix="delete it and run the scan again"
            ) from error


NOTE_KINDS = ("missing", "duplicates", "rejected", "unmatched", "linked", "overlaps", "suspect")


def _plain_file(file: SourceFile) -> dict[str, Any]:
    plain = dataclasses.asdict(file)
    del plain["tile"]
    plain["window"] = list(dataclasses.astuple(file.window))
    # JSON has neither nan nor infinity, and text keeps every value exactly.
    plain["nodata"] = _text(file.nodata)
    plain["tags"] = list(map(_text, file.tags))
    if not file.tags:
        del plain["tags"]
    plain["numbers"], plain["scaling"] = list(file.numbers), list(file.scaling)
    for name in _LATER:
        if getattr(file, name) == SourceFile.__dataclass_fields__[name].default:
            del plain[name]
    return plain | {"export_date": file.export_date}


def _file(tile: str, plain: dict[str, Any]) -> SourceFile:
    # The export date is not needed, because it is derived from the file name.
    values = {key: value for key, value in plain.items() if key != "export_date"}
    values |= {"window": Window(*plain["window"]), "nodata": _tag(plain["nodata"])}
    values["numbers"] = tuple(plain.get("numbers", ()))
    values["scaling"] = tuple(plain.get("scaling", (1.0, 0.0)))
    return SourceFile(tile=tile, **values | {"tags": tuple(map(_tag, plain.get("tags", ())))})


def _text(tag: float | None) -> str | None:
    return None if tag is None else repr(tag)


def _tag(text: str | None) -> float | None:
    return None if text is None else float(text)
