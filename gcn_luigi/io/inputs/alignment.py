"""Find the lattice of a region with alignment, and how sources that are not on it are warped onto it."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gcn_luigi.errors import GcnLuigiError, InputError, LatticeError
from gcn_luigi.io.inputs.inventory import Note, SourceFile
from gcn_luigi.io.inputs.matching import Findings
from gcn_luigi.io.raster.crs import crs_code, crs_of, is_same_crs
from gcn_luigi.io.raster.header import Header, is_same_size, read_header, window_on
from gcn_luigi.io.raster.warp import suited_method
from gcn_luigi.lattice import Lattice
from gcn_luigi.settings import LatticeSettings, RegionSettings

OFFER = 'or let the build warp it: add [align] resampling = "bilinear" to the TOML file'


def region_lattice(headers: Sequence[Header], configured: LatticeSettings) -> Lattice:
    """Return the lattice of a region with alignment; only its CRS, pixel size and the place of its edges count.

    It is the most common alignment of the optical files, which have these `headers`. Only files in the configured CRS,
    of the configured pixel size, and with pixel edges at the configured bounds count. If there are none, pixel edges
    are at the bounds or, without bounds, at whole multiples of the pixel size.

    Raises
    ------
    LatticeError
        There are no such files, and CRS and pixel size are not both configured; or the CRS is not projected in metres.
    """
    crs = None if configured.crs is None else crs_code(crs_of(configured.crs, where="lattice.crs"))
    size = configured.pixel_size
    fitting = [
        one
        for one in _lattices(headers)
        if (crs is None or is_same_crs(one.crs, crs)) and (size is None or is_same_size(one.pixel_size, size))
    ]
    is_complete = crs is not None and size is not None
    at_bounds = [one for one in fitting if _has_edges_at(one, configured.bounds)]
    # Bounds between the pixels of all files are refused later, unless CRS and pixel size make a lattice of them.
    if fitting := (at_bounds if is_complete else at_bounds or fitting):
        usual = usual_lattice(fitting)
        return replace(usual, crs=crs or usual.crs, pixel_size=size or usual.pixel_size)
    if crs is None or size is None:
        raise LatticeError(
            "no optical file has a projected CRS in metres and square pixels of the region",
            where="lattice",
            fix="set lattice.crs and lattice.pixel_size: all files are warped onto them",
        )
    left, _, _, top = configured.bounds or (0.0, 0.0, 0.0, 0.0)
    return Lattice(crs, left, top, size, 1, 1)


def _has_edges_at(lattice: Lattice, bounds: tuple[float, float, float, float] | None) -> bool:
    if bounds is None:
        return True
    try:
        lattice.window_of(bounds, where="lattice.bounds")
    except LatticeError:
        return False
    return True


def usual_lattice(lattices: Sequence[Lattice]) -> Lattice:
    """Return the first lattice with the most common alignment, so that one odd file does not make all others wrong."""

    def alignment(lattice: Lattice) -> tuple[str, float, float, float]:
        left, top = (edge / lattice.pixel_size % 1.0 for edge in (lattice.left, lattice.top))
        return lattice.crs, round(lattice.pixel_size, 6), round(left, 2) % 1.0, round(top, 2) % 1.0

    usual, _ = Counter(map(alignment, lattices)).most_common(1)[0]
    return next(lattice for lattice in lattices if alignment(lattice) == usual)


def find_layers(root: Path, settings: RegionSettings, lattice: Lattice, findings: Findings) -> tuple[SourceFile, ...]:
    """Return the sources of label and distance that must be warped onto the lattice."""
    found = []
    for band, path in settings.layer_paths.items():
        asked = settings.resampling_of(band)
        note = Note("", band, path, "")
        try:
            header = read_header(root / path, is_lattice=False)
            if asked is None or is_on(header, lattice):
                continue
        except GcnLuigiError as error:
            findings.problem(replace(note, reason=error.what), error.fix)
            continue
        if band == "distance" and settings.distance.unit == "px":
            reason = "counts distances in its own pixels, which are not those of the region"
            findings.problem(replace(note, reason=reason), "supply metres, with distance.unit = 'm'")
            continue
        inside = header.placement.window_on(lattice).intersection(lattice.window)
        if inside.is_empty:
            fix = "use the raster of this region, or check the lattice's bounds"
            findings.problem(replace(note, reason="shares no pixel with the tiles"), fix)
            continue
        method = suited_method(asked, header.placement, lattice, inside)
        dtype = np.result_type(*header.dtypes).name
        found.append(SourceFile("", band, path, inside, dtype, header.nodata[0], header.count, resampling=method))
    return tuple(found)


def _lattices(headers: Iterable[Header]) -> Iterator[Lattice]:
    for header in headers:
        with contextlib.suppress(LatticeError):
            yield header.lattice


def is_on(header: Header, lattice: Lattice) -> bool:
    """Return whether the pixels of a raster are pixels of the lattice."""
    try:
        window_on(header.lattice, lattice, where=header.path)
    except (InputError, LatticeError):
        return False
    return True
