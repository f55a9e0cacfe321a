"""What the names of bands and files usually mean in remote sensing of glaciers."""

import re

_OPTICAL = re.compile(
    r"b\d{1,2}a?|n[d][a-z]i\d?|nbr2?|mndwi|m?savi2?|evi2?|tc[abgw]|(?:coastal|blue|green|red|nir|swir|pan|tir|thermal)\d{0,2}|"
    r"rededge\d?|red_edge\d?|re\d|lst|albedo|cirrus|vv|vh|hh|hv|(?:brightness|greenness|wetness)",
    re.IGNORECASE,
)
_TOPO = re.compile(
    r"dem|dsm|dtm|elev|elevation|altitude|height|srtm|slope|aspect|(?:profile_|planform_|plan_)?curv(?:ature)?|"
    r"north(?:ness)?|east(?:ness)?|south(?:ness)?|west(?:ness)?|hillshade|tri|tpi|roughness|twi",
    re.IGNORECASE,
)
_QUALITY = re.compile(
    r"rmse|mse|qa|qa_pixel|qa_radsat|qa_aerosol|scl|fmask|cloud|clouds|cloudmask|clear|quality|error|nobs|count|counts|"
    r"std|stdev|aot|wvp|radsat|aerosol|sr_qa",
    re.IGNORECASE,
)
_VOTES = re.compile(r"votes?|stem|stm", re.IGNORECASE)
_LABEL = re.compile(r"labels?|class|classes|classification|landcover|truth|reference|mask|debris", re.IGNORECASE)
_DISTANCE = re.compile(r"dist|distance", re.IGNORECASE)
# Names of directories, and of the sources of elevation, that tell what an unknown name below them is.
_TOPO_PLACES = re.compile(r"topo|topography|terrain|dems?|ifsar|arcticdem|srtm|copdem", re.IGNORECASE)
_OUTLINES = re.compile(r"rgi\d*|glims|outlines?|glaciers?|inventory", re.IGNORECASE)
# Words that belong to the band's own word after them: SR_B4, ST_B10, QA_PIXEL.
PREFIXES = frozenset({"sr", "st", "qa"})
_AFTER_QA = re.compile(r"pixel|radsat|aerosol", re.IGNORECASE)


def role_of(word: str) -> str:
    """Return ``"optical"``, ``"topo"`` or ``"quality"``, or an empty text if the word names no known band.

    Examples
    --------
    >>> [role_of(word) for word in ("SR_B4", "B8A", "ndvi", "dem", "rmse", "kenai")]
    ['optical', 'optical', 'optical', 'topo', 'quality', '']
    """
    bare = re.sub(r"^s[rt]_(?=b\d)", "", word, flags=re.IGNORECASE)
    for role, known in (("quality", _QUALITY), ("topo", _TOPO), ("optical", _OPTICAL)):
        if known.fullmatch(bare):
            return role
    return ""


def is_prefix(word: str, following: str) -> bool:
    """Return whether two words are one name of a band, such as SR_B4 or QA_PIXEL."""
    if word.lower() not in PREFIXES:
        return False
    return bool(_AFTER_QA.fullmatch(following)) if word.lower() == "qa" else role_of(following) == "optical"


def looks_like(path: str, kind: str) -> bool:
    """Return whether a word of a path says that the file is ``"votes"``, a ``"label"``, a ``"distance"`` or outlines.

    Examples
    --------
    >>> looks_like("stem/stem_2010_debris_free_ice_votes.tif", "votes"), looks_like("rgi/01_rgi60.shp", "outlines")
    (True, True)
    """
    known = {"votes": _VOTES, "label": _LABEL, "distance": _DISTANCE, "outlines": _OUTLINES, "topo": _TOPO_PLACES}[kind]
    return any(known.fullmatch(word) for word in re.split(r"[/_\-. ]+", path))
