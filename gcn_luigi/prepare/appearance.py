"""The colours of splits, classes and missing pixels, both on the quality page and in a GIS."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gcn_luigi.bands import Band, Role
from gcn_luigi.classes import DEFAULT_CLASSES

# People with any common colour blindness can distinguish the two; in grey they differ in lightness.
SPLIT_COLOURS: Mapping[str, str] = MappingProxyType({"train": "#45398a", "dev": "#e2662f"})
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

# Red, green, blue: the first triple of which a dataset has all three bands.
_TRIPLES = (
    ("tcb", "nbr", "ndsi"),
    ("nbr", "ndvi", "ndsi"),
    ("tcb", "tcg", "tcw"),
    ("swir1", "nir", "red"),
    ("swir", "nir", "red"),
    ("red", "green", "blue"),
)


def colour(name: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255, of ``#rrggbb``."""
    return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)


def is_dark(name: str) -> bool:
    """Return whether white text is easier to read on ``#rrggbb`` than black: by its luma (ITU-R BT.601)."""
    red, green, blue = colour(name)
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128


def colour_bands(bands: Sequence[Band]) -> tuple[int, int, int]:
    """Return the positions of the bands to show as red, green and blue: a known triple, or the first optical bands."""
    names = {band.name: position for position, band in enumerate(bands)}
    for triple in _TRIPLES:
        if all(name in names for name in triple):
            red, green, blue = (names[name] for name in triple)
            return red, green, blue
    optical = [position for position, band in enumerate(bands) if band.role is Role.OPTICAL] or [*range(len(bands))]
    red, green, blue = (optical[min(i, len(optical) - 1)] for i in range(3))
    return red, green, blue
