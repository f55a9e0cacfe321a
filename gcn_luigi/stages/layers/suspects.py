"""Tiles whose missing pixels do not seem to be what is declared as missing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import SourceFile
from gcn_luigi.io.raster.header import COPY_FIRST, holdable
from gcn_luigi.prepare.missing.constants import Sketch

# How far the configured nodata is believed for a file without a tag: it is not given; where the file holds it; there
# and where the value is close to others, as flat water is.
Trust = Literal["nothing", "where seen", "flat water"]

_MOST_NAMED = 20
# Beyond it not every whole number is a float.
_LARGEST_WHOLE = 2.0**53


@dataclass(frozen=True)
class Suspect:
    """One band of one tile that looks wrong.

    Attributes
    ----------
    tile, path, band : str
        Where.
    year : int or None
        Of an optical band.
    value : float
        That fills much of the tile, or that the tag names.
    share : float
        Of the tile's pixels, about.
    reason : str
        What is suspect.
    is_error : bool
        Whether nothing says what missing pixels hold, so that these are taken for measurements.
    is_tag : bool
        Whether it is the nodata tag that is suspect, because its value is a legal one.
    """

    tile: str
    path: str
    band: str
    year: int | None
    value: float
    share: float
    reason: str
    is_error: bool
    is_tag: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return what stands in JSON."""
        return asdict(self)


def find_suspects(
    file: SourceFile, band: Band, rows: Sequence[Mapping[str, Any]], sketches: Sequence[Sketch], *, trust: Trust
) -> list[Suspect]:
    """Return what is suspect about one file.

    Parameters
    ----------
    file : SourceFile
        With the nodata tag of each of its bands, which is always believed.
    band : Band
        Nodata, scale and valid range.
    rows : sequence of mapping
        ``year`` and the number of ``missing`` pixels of each band of the file.
    sketches : sequence of Sketch
        The same.
    trust : {"nothing", "where seen", "flat water"}
        How far ``band.nodata`` is believed where there is no tag.

    Returns
    -------
    list of Suspect
        At most two a band of the file.
    """
    found = []
    for position, (row, sketch) in enumerate(zip(rows, sketches, strict=True), start=1):
        tag = file.tag_of(position)
        place = (file.tile, file.path, band.name, row["year"])
        if tag is not None and tag != band.nodata and _is_legal(tag, band) and (share := sketch.share_of(tag)):
            reason = f"its nodata tag {_exact(tag)} lies within the band's valid range"
            found.append(Suspect(*place, tag, share, reason, is_error=False, is_tag=True))
        constant = sketch.constant(partial(_is_measured, band, tag))
        if constant is not None:
            is_seen = trust != "nothing" and row["missing"] > 0
            is_believed = tag is not None or is_seen or (trust == "flat water" and not constant.is_apart)
            where = "along an edge, " if constant.is_edge else ""
            reason = f"{where}{constant.share:.1%} of its pixels hold {_exact(constant.value)}"
            found.append(Suspect(*place, constant.value, constant.share, reason, is_error=not is_believed))
    return found


def check_suspects(suspects: Sequence[Suspect], band: Band, files: Sequence[SourceFile]) -> None:
    """Refuse tiles with pixels that look missing where nothing says what missing pixels hold.

    Parameters
    ----------
    suspects : sequence of Suspect
        Of one band.
    band : Band
        The band.
    files : sequence of SourceFile
        All that it has.

    Raises
    ------
    InputError
        There are such; the message names them all, up to twenty.
    """
    wrong = [suspect for suspect in suspects if suspect.is_error]
    if not wrong:
        return
    lines = [
        f"{one.path}{'' if one.year is None else f', {one.year}'}: {one.reason}, and no nodata tag"
        for one in wrong[:_MOST_NAMED]
    ]
    if len(wrong) > _MOST_NAMED:
        lines.append(f"and {len(wrong) - _MOST_NAMED} more")
    n_wrong, value = len({one.path for one in wrong}), _exact(wrong[0].value)
    measured = holdable(band.nodata, {file.dtype for file in files})
    raise InputError(
        f"{n_wrong} of {len(files)} files of band {band.name} hold one value so often that it seems to mean missing",
        where="\n         ".join(lines),
        fix=f"if it does, tag all files of the band: rio edit-info --nodata {value} FILE; if it is measured, tag "
        f"what means missing: rio edit-info --nodata {measured} FILE, or set tiles.on_suspect_nodata = 'accept'"
        f"{COPY_FIRST}",
    )


def _exact(value: float) -> str:
    """Return a value in as many digits as a tag needs to be equal to it."""
    return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_WHOLE else repr(value)


def _is_measured(band: Band, tag: float | None, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values count as measurements: valid ones but for the limits of the range, where indices saturate."""
    valid, _, _ = judged(values, band, tag)
    # 0 is the lower limit of many a band, and stands for missing more often than any other value.
    for limit in filter(None, (band.valid_min, band.valid_max)):
        valid &= _stored(values, band) != limit
    return valid


def _is_legal(tag: float, band: Band) -> bool:
    """Return whether a tag lies in a valid range that is given."""
    if (band.valid_min is None and band.valid_max is None) or not np.isfinite(tag):
        return False
    return bool(judged(np.array([tag], np.float64), band, None)[0][0])


def judged(plane: NDArray[Any], band: Band, tag: float | None) -> tuple[NDArray[np.bool_], ...]:
    """Return which pixels are valid, missing, and out of range.

    Parameters
    ----------
    plane : ndarray of any real dtype and shape
        In source units.
    band : Band
        Nodata, scale and valid range.
    tag : float or None
        The file's own nodata for this band.

    Returns
    -------
    valid, missing, wild : ndarray of bool
        Of the shape of `plane`; each pixel is one of them.
    """
    missing = plane == band.nodata
    if tag is not None:
        missing |= plane == tag
    if plane.dtype.kind == "f":
        missing |= ~np.isfinite(plane)
    wild = np.zeros(plane.shape, bool)
    stored = _stored(plane, band)
    with np.errstate(invalid="ignore"):
        if band.valid_min is not None:
            wild |= stored < band.valid_min
        if band.valid_max is not None:
            wild |= stored > band.valid_max
    wild &= ~missing
    return ~(missing | wild), missing, wild


def _stored(values: NDArray[Any], band: Band) -> NDArray[Any]:
    # Damaged pixels may be any number or none.
    with np.errstate(invalid="ignore", over="ignore"):
        return values.astype(np.float64) * band.scale + band.offset if band.role is Role.TOPO else values
