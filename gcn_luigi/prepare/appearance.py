"""The colours of splits, classes and missing pixels, both on the quality page and in a GIS."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gcn_luigi.bands import Band, Role
from gcn_luigi.classes import DEFAULT_CLASSES
from gcn_luigi.prepare.wavelengths import colours_of

# People with any common colour blindness can distinguish the three; in grey they differ in lightness.
SPLIT_COLOURS: Mapping[str, str] = MappingProxyType({"train": "#45398a", "dev": "#e2662f", "test": "#00a3a6"})
UNUSED = "#8a8a8a"
# Those of the default classes.
CLASS_COLOURS: Mapping[str, str] = MappingProxyType(DEFAULT_CLASSES.colours)
# Bright scheme of Paul Tol (2021, colour schemes, SRON technical note).
MISSING_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "present": "#f4f2ed",
        "optical": "#4477aa",
        "topo": "#228833",
        "label": "#ccbb44",
        "distance": "#aa3377",
        "several": "#8c8c8c",
        "outside": "#333333",
    }
)
# Of labels that are there, but uncertain; from the same scheme.
UNCERTAIN_COLOUR = "#ee6677"

# Red, green, blue: the first triple of which a dataset has all three bands under exactly these names.
_TRIPLES = (
    ("tcb", "nbr", "ndsi"),
    ("nbr", "ndvi", "ndsi"),
    ("tcb", "tcg", "tcw"),
    ("swir1", "nir", "red"),
    ("swir", "nir", "red"),
    ("red", "green", "blue"),
)
# If no band has such a name: false colour, in which snow and ice are blue, then true colour, then near infrared.
_COLOURS = (
    ("swir1", "nir", "red"),
    ("swir2", "nir", "red"),
    ("red", "green", "blue"),
    ("nir", "red", "green"),
)


def colour(name: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of ``#rrggbb``."""
    return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)


def is_dark(name: str) -> bool:
    """Return whether white text is easier to read on ``#rrggbb`` than black: by its luma (ITU-R BT.601)."""
    red, green, blue = colour(name)
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128


def colour_bands(bands: Sequence[Band], composite: Sequence[str] = ()) -> tuple[int, int, int]:
    """Return the positions of the bands to show as red, green and blue.

    These are the bands named by `composite`, if it is not empty; otherwise a known triple of names, or of colours that
    follow from names and wavelengths; otherwise the first optical bands.
    """
    names = {band.name: position for position, band in enumerate(bands)}
    if composite:
        return _three([names[name] for name in composite])
    colours = colours_of(bands)
    folded = {band.name.lower(): position for position, band in enumerate(bands)}
    for known, triples in ((names, _TRIPLES), (colours, _COLOURS), (folded, _TRIPLES)):
        for triple in triples:
            if all(name in known for name in triple):
                return _three([known[name] for name in triple])
    return _first(bands)


def shown_names(bands: Sequence[Band], composite: Sequence[str] = ()) -> list[str]:
    """Return the names of `colour_bands`."""
    return [bands[position].name for position in colour_bands(bands, composite)]


def look(bands: Sequence[Band], shown: Sequence[int]) -> str:
    """Return ``"true colour"`` if the bands at the positions `shown` are red, green and blue; else "false colour"."""
    colours = colours_of(bands)
    return f"{'true' if [colours.get(name) for name in ('red', 'green', 'blue')] == [*shown] else 'false'} colour"


def recent_choice(bands: Sequence[Band], composite: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the names of `colour_bands` for a fingerprint; empty if the rule without `composite` and colours agrees.

    Files that were made before bands were chosen by colour stay current where the choice is the same.
    """
    chosen = colour_bands(bands, composite)
    names = {band.name: position for position, band in enumerate(bands)}
    triples = (tuple(names.get(name, -1) for name in triple) for triple in _TRIPLES)
    former = next((triple for triple in triples if -1 not in triple), _first(bands))
    return {} if chosen == former else {"composite": shown_names(bands, composite)}


def _first(bands: Sequence[Band]) -> tuple[int, int, int]:
    optical = [position for position, band in enumerate(bands) if band.role is Role.OPTICAL] or [*range(len(bands))]
    return _three([optical[min(i, len(optical) - 1)] for i in range(3)])


def _three(positions: Sequence[int]) -> tuple[int, int, int]:
    red, green, blue = positions
    return red, green, blue
