"""Which colour a band shows, from its name or from the wavelength in its description."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gcn_luigi.bands import Band, Role

# Shortest, best and longest central wavelength in nm. The gaps leave out aerosol bands, the red edge and cirrus.
_COLOURS: Mapping[str, tuple[float, float, float]] = MappingProxyType({
    "blue": (450, 490, 520),
    "green": (530, 560, 600),
    "red": (620, 660, 690),
    "nir": (790, 840, 900),
    "swir1": (1550, 1610, 1750),
    "swir2": (2080, 2200, 2350),
})  # fmt: skip
_WORDS: Mapping[str, str] = MappingProxyType(
    {**{name: name for name in _COLOURS}, "nir08": "nir", "swir": "swir1", "swir16": "swir1", "swir22": "swir2"}
)
# Central wavelengths in nm by band number. Sentinel-2A: ESA, Sentinel-2 MSI Technical Guide. OLI and TM: USGS, Landsat
# band designations. Band 7 of Sentinel-2 is left out: it is the last band of the red edge.
_SENTINEL_2 = {
    "2": 492.4, "3": 559.8, "4": 664.6, "5": 704.1, "6": 740.5, "8": 832.8, "8a": 864.7, "11": 1613.7, "12": 2202.4,
}  # fmt: skip
_OLI = {"1": 443.0, "2": 482.0, "3": 561.4, "4": 654.6, "5": 864.7, "6": 1608.9, "7": 2200.7}
_TM = {"1": 485.0, "2": 560.0, "3": 660.0, "4": 830.0, "5": 1650.0, "7": 2215.0}

_NUMBERED = re.compile(r"(?:(s2|hls|sr)_)?b(0?)([1-9]\d?|8a)", re.ASCII)
_NANOMETRES = re.compile(r"(?<![\d.-])(\d{3,4}(?:\.\d+)?)\s*nm\b", re.ASCII | re.IGNORECASE)


def colours_of(bands: Sequence[Band]) -> dict[str, int]:
    """Return the positions of the optical bands that show blue, green, red, nir, swir1 and swir2, as far as known.

    A single wavelength in the description (``"665 nm"``) decides first. Then the name counts, in upper or lower case:
    a word (``red``), or the number of a band of Sentinel-2 (``B02``, ``B8A``), Landsat (``SR_B4``) or HLS. If several
    bands show one colour, it is the one closest to the middle of its range.
    """
    optical = {position: band.name.lower() for position, band in enumerate(bands) if band.role is Role.OPTICAL}
    numbers = {position: match.groups("") for position, name in optical.items() if (match := _NUMBERED.fullmatch(name))}
    sensor = _sensor([*numbers.values()])
    found: dict[str, tuple[float, int]] = {}
    for position, name in optical.items():
        described = _NANOMETRES.findall(bands[position].description)
        wavelength: float | None = None
        if len(described) == 1:
            wavelength = float(described[0])
        elif name in _WORDS:
            wavelength = _COLOURS[_WORDS[name]][1]
        elif position in numbers:
            wavelength = sensor.get(numbers[position][2])
        for colour, (shortest, best, longest) in _COLOURS.items():
            if wavelength is not None and shortest <= wavelength <= longest:
                found[colour] = min(found.get(colour, (longest, position)), (abs(wavelength - best), position))
    return {colour: position for colour, (_, position) in found.items()}


def _sensor(numbers: Sequence[tuple[str | Any, ...]]) -> Mapping[str, float]:
    """Return the wavelengths by band number of the sensor that has these bands; empty if it is not clear.

    Each band has a prefix, ``"0"`` if the number is padded, and the number.
    """
    prefixes, known = {prefix for prefix, _, _ in numbers}, {number for _, _, number in numbers}
    if "sr" in prefixes:
        # Band 1 of OLI is rarely used. TM has no optical band 6.
        return _TM if "1" in known and "6" not in known else _OLI
    is_sentinel_2 = not known.isdisjoint({"8a", "12"}) or ("8" in known and "10" not in known)
    if is_sentinel_2 or ("11" in known and known.isdisjoint({"5", "6", "7"})):
        return _SENTINEL_2
    # B05 to B07 of HLS without the bands above are those of Landsat. Other names such as b1, b2, b3 may only count.
    is_padded = any(zero for _, zero, _ in numbers)
    return _OLI if is_padded or "hls" in prefixes or ("1" not in known and {"2", "3", "4"} <= known) else {}
