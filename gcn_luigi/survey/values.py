"""Keys of a band that follow from the type and the values of its files: conversion, scale and nodata."""

import re

from gcn_luigi.prepare.layers.scale_advice import advised_scale
from gcn_luigi.survey.bands import BandGuess
from gcn_luigi.survey.draft import Line

# Surface reflectance of Landsat Collection 2: reflectance = 2.75e-05 x number - 0.2 (USGS, Landsat 8-9 Collection 2
# Level 2 Science Product Guide, LSDS-1619). Times 10,000.
_LANDSAT = re.compile(r"sr_b\d", re.IGNORECASE)
_LANDSAT_SCALE, _LANDSAT_OFFSET, _LANDSAT_TAGS = 0.275, -2000, (2.75e-05, -0.2)
# Values that programs write for missing pixels if no nodata tag says so.
_SENTINELS = (-9999.0, -32768.0, -32767.0, -99.0, -999.0)
_ELEVATION, _HIGHEST = re.compile(r"dem|dsm|dtm|elev|altitude", re.IGNORECASE), 16000
# The share of the pixels seen that makes a constant at the edge suspect.
_SUSPECT = 0.03
_TOPO_NODATA = -9999
_OF_SHARES = 10_000.0
_INT16_MAX = 32767
_ROOM_OF_CURVATURE = 4


def value_lines(band: BandGuess) -> tuple[list[Line], list[str]]:
    """Return the lines for the conversion, scale and nodata of a band, and open questions."""
    lines: list[Line] = []
    questions: list[str] = []
    if band.kind == "quality":
        return lines, questions
    if len(band.dtypes) > 1:
        questions.append(
            f"The files of band {band.name} hold different types: {', '.join(band.dtypes)}. Do their values mean the "
            "same? One scale is used for all of them."
        )
    lines += _nodata(band, questions)
    lines += [line for line in _scale(band) if line.key not in {known.key for known in lines}]
    return lines, questions


def _nodata(band: BandGuess, questions: list[str]) -> list[Line]:
    values = band.values
    if band.nodata is not None or values is None or values.edge is None or values.edge_share < _SUSPECT:
        return []
    share = f"{values.edge_share:.0%} of the pixels seen, those at a corner included"
    if values.edge in _SENTINELS:
        return [Line("nodata", int(values.edge), f"no file has a nodata tag, and {values.edge:g} fills {share}")]
    if values.edge != 0:
        return []
    if band.kind == "optical" and band.dtype == "int16" and values.low >= 0:
        return [Line("nodata", 0, f"no file has a nodata tag, and 0 fills {share}")]
    if band.dtype.startswith("uint"):
        questions.append(
            f"Band {band.name}: 0 fills {share}, and no nodata tag says what it means. If it means missing, tag the "
            "files: rio edit-info --nodata 0 FILE"
        )
    return []


def _scale(band: BandGuess) -> list[Line]:
    look, at = band.image.look, band.number - 1
    is_plain = band.kind == "optical" and band.dtypes == ("int16",) and not look.is_scaled
    if is_plain:
        return []
    lines = [] if band.kind == "topo" else [Line("convert", value=True)]
    values = band.values
    if look.is_scaled:
        lines.append(Line("use_tags", value=True))
        if values is None:
            return lines
        ends = [end * look.scales[at] + look.offsets[at] for end in (values.low, values.high)]
        return [
            *lines,
            *_advised(_capped(band, advised_scale(min(ends), max(ends), has_fractions=True)), min(ends), max(ends)),
        ]
    if _LANDSAT.fullmatch(band.name) and band.dtype == "uint16" and band.kind == "optical":
        why = "Landsat Collection 2: reflectance x 10000"
        return [*lines, Line("scale", _LANDSAT_SCALE, why), Line("offset", _LANDSAT_OFFSET, why)]
    if values is None or (_ELEVATION.search(band.name) and values.high <= _HIGHEST):
        # Whole metres are exact enough, and a sample misses the highest summit.
        is_rounded = values is not None and values.has_fractions
        return [*lines, *([Line("scale", 1, "elevations are stored in whole metres")] if is_rounded else [])]
    # Curvature is small nearly everywhere, and large on a few crests that a sample misses.
    room = _ROOM_OF_CURVATURE if "curv" in band.name.lower() else 1
    scale = _capped(band, advised_scale(room * values.low, room * values.high, values.has_fractions))
    if band.kind == "topo" and _reaches_nodata(values.low * (scale or 1.0)):
        why = f"with this scale, -9999 is a value; {values.low:.6g} is the smallest seen"
        lines.append(Line("nodata", -32768, why))
    return [*lines, *_advised(scale, values.low, values.high)]


def _capped(band: BandGuess, scale: float | None) -> float | None:
    """Return a scale that leaves room for values somewhat above 1, as of indices, even if none was seen."""
    return min(scale, _OF_SHARES) if band.kind == "optical" and scale is not None else scale


def _reaches_nodata(low: float) -> bool:
    """Return whether stored values of topography may be -9999, its nodata; a sample of blocks shows half of them."""
    return 2 * low <= _TOPO_NODATA + 1


def _advised(scale: float | None, low: float, high: float) -> list[Line]:
    if scale is None:
        return []
    why = f"the values seen are {low:.6g} to {high:.6g}; stored as int16 = value x scale"
    if max(abs(low), abs(high)) * scale * 10 <= _INT16_MAX and scale < _OF_SHARES:
        why += f", and {10 * scale:g} would leave no room for values twice as large"
    return [Line("scale", scale, why)]
