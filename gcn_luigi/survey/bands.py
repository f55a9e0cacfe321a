"""Which bands a group of rasters has: their names, roles, places in the files, and years."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from gcn_luigi.io.inputs.cube_looks import CubeLook
from gcn_luigi.io.inputs.looks import Values
from gcn_luigi.prepare.missing.described_years import described_years
from gcn_luigi.survey.names import NamedFile, NameGroup
from gcn_luigi.survey.sources import Image
from gcn_luigi.survey.words import looks_like, role_of

Kind = Literal["optical", "topo", "quality", "votes", "label", "distance", ""]
_YEAR = re.compile(r"(?<!\d)(?:19[5-9]|20[0-4])\d(?!\d)")
# Products of elevations whose names hold no word such as dem.
_TALL = re.compile(r"arcticdem|copdem|ifsar|srtm", re.IGNORECASE)
# Names that the build gives to bands of its own.
_TAKEN = frozenset({"label", "distance"})
_MOST_CLASSES = 32


@dataclass(frozen=True)
class BandGuess:
    """One band of the stack, as far as names, descriptions and values show it.

    Attributes
    ----------
    name : str
        A name that settings accept.
    kind : str
        The role; or votes, label or distance for a raster that is not a band; or empty if nothing shows what it is.
    image : Image
        The files.
    path : str
        Pattern of the files, or the path of the only one.
    band : int, str or None
        For ``[[bands]] band``.
    years : tuple of int
        The years that the files have; empty if nothing says a year.
    n_undated : int
        Number of bands that are years, if nothing says which years.
    number : int
        The number, from 1, of a band in the files that belongs to this one; its type and tags are used.
    why : str
        What the name or role was guessed from; empty if it is clear.
    """

    name: str
    kind: Kind
    image: Image
    path: str
    band: int | str | None = None
    years: tuple[int, ...] = ()
    n_undated: int = 0
    number: int = 1
    why: str = ""

    @property
    def dtype(self) -> str:
        """The numpy type of the pixels."""
        return self.image.look.dtypes[self.number - 1]

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The types of all files that were looked at, sorted."""
        looks = [look for look in self.image.looks.values() if look.count >= self.number]
        return tuple(sorted({look.dtypes[self.number - 1] for look in looks}))

    @property
    def nodata(self) -> float | None:
        """The nodata tag of the first file."""
        return self.image.look.nodata[self.number - 1]

    @property
    def values(self) -> Values | None:
        """What some blocks hold, of all years if each band of the file is a year."""
        is_of_years = len(self.image.look.dtypes) > 1 and (self.band == "{year}" or self.n_undated > 1)
        return self.image.all_values if is_of_years else self.image.values.get(self.number)


def bands_of(image: Image) -> list[BandGuess]:
    """Return the bands of a group of rasters, in the order of the files."""
    found = _one_band(image) if image.look.count == 1 else _several_bands(image)
    return [_without_year(guess) for guess in found]


def band_of_cube(path: str, look: CubeLook) -> BandGuess:
    """Return a band of a cube. Its times give its years; a band without times is topography."""
    file = NamedFile(path, "", None)
    variable, _, entry = look.band.partition("/")
    name = fitted_name(entry if role_of(entry) or not entry.isdigit() else f"{variable}_{entry}") if entry else ""
    name = name or fitted_name(variable)
    group = NameGroup(path, (file,), name, name)
    image = Image(group, {path: look.look}, {} if look.values is None else {1: look.values})
    role = role_of(name)
    kind: Kind = _as_kind(role) if role else "optical" if look.n_times else "topo"
    band = None if look.band == name else look.band
    why = "" if role else "its times" if look.n_times else "it has no times"
    return BandGuess(name, kind, image, path, band, look.years if kind != "topo" else (), why=why)


def fitted_name(text: str) -> str:
    """Return a text as the name of a band: letters, digits, _ and -, a letter first, at most 32.

    Examples
    --------
    >>> fitted_name("NDVI (max)"), fitted_name("0_ndvi"), fitted_name("label")
    ('NDVI_max', 'ndvi', 'label_band')
    """
    bare = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")
    bare = re.sub(r"^[^A-Za-z]+", "", bare)[:32].rstrip("_-") or "band"
    return f"{bare[:27]}_band" if bare.lower() in _TAKEN else bare


def _one_band(image: Image) -> list[BandGuess]:
    group, look = image.group, image.look
    kind, why = _kind_of_file(image)
    stem = PurePosixPath(group.files[0].path).stem
    name = group.band or group.ending or look.names[0] or stem
    if kind in {"votes", "label", "distance"}:
        # These are no bands: a description may be a whole sentence, and the file is what the settings name.
        return [BandGuess(fitted_name(stem), kind, image, group.pattern, years=group.years, why=why)]
    if not group.band and role_of(look.names[0]):
        name = look.names[0]
    if kind == "topo" and not role_of(name) and _TALL.search(group.pattern):
        name = "dem"
    said = "" if role_of(name) else why or "the name of the file"
    return [BandGuess(fitted_name(name), kind, image, group.pattern, years=group.years, why=said)]


def _kind_of_file(image: Image) -> tuple[Kind, str]:
    """Return what a file of one band is, and why if its name does not say it."""
    group, look = image.group, image.look
    special = _special_kind(image)
    role = role_of(group.band) or role_of(look.names[0])
    if special or role:
        return special or _as_kind(role), ""
    if looks_like(group.pattern, "topo"):
        return "topo", "its path"
    return ("optical", "it has years") if len(group.years) > 1 else ("", "")


def _special_kind(image: Image) -> Kind:
    """Return votes, label or distance if the file holds these and is not a band; otherwise an empty text."""
    group, look = image.group, image.look
    stem = PurePosixPath(group.pattern).stem
    if group.band and not looks_like(stem, "votes"):
        return ""
    is_whole = look.dtypes[0].startswith(("int", "uint"))
    says_label = looks_like(group.pattern, "label")
    # A label may be in the directory of the votes. Votes of another type are refused by the build, with the reason.
    if looks_like(stem, "votes") or (is_whole and not looks_like(stem, "label") and looks_like(group.pattern, "votes")):
        return "votes"
    if looks_like(stem, "distance"):
        return "distance"
    values = image.values.get(1)
    is_label = says_label and is_whole and values is not None and 0 < len(values.known) <= _MOST_CLASSES
    return "label" if is_label else ""


def _as_kind(role: str) -> Kind:
    return "topo" if role == "topo" else "quality" if role == "quality" else "optical"


def _several_bands(image: Image) -> list[BandGuess]:
    group, look = image.group, image.look
    described = described_years(look.names, look.items)
    templates = _templates(look.names)
    is_years = all(described) and len(set(described)) == len(described)
    if is_years and len(templates) == 1:
        return [_of_years(image, tuple(sorted(year for year in described if year)), "{year}", templates)]
    if is_years and not any(look.names):
        return [_of_years(image, tuple(sorted(year for year in described if year)), "{year}", [])]
    named = [name for name in look.names if name]
    if any("{year}" in template for template in templates):
        return _of_templates(image, templates)
    if named and len(set(named)) == len(look.names):
        numbered = enumerate(look.names, 1)
        # An alpha band marks valid pixels, and is none of the image.
        return [_of_name(image, number, name) for number, name in numbered if name.lower() != "alpha"]
    if (group.band or looks_like(group.pattern, "topo")) and len(group.years) < 2:
        # Bands without a description, in files of one known band: they are years.
        return [_of_years(image, (), None, [])]
    return [
        BandGuess(
            f"band{number}", "optical", image, group.pattern, number, group.years, number=number,
            why="band without a description",
        )
        for number in range(1, look.count + 1)
    ]  # fmt: skip


def _templates(names: Sequence[str]) -> list[str]:
    """Return the descriptions with ``{year}`` in place of a year, each once, in their order."""
    found = []
    for name in names:
        years = _YEAR.findall(name)
        found.append(name.replace(years[0], "{year}") if len(set(years)) == 1 else name)
    return list(dict.fromkeys(found))


def _of_years(image: Image, years: tuple[int, ...], band: str | None, templates: Sequence[str]) -> BandGuess:
    group = image.group
    rest = templates[0].replace("{year}", "").strip("_-. ") if len(templates) == 1 else ""
    name = group.band or (rest if role_of(rest) else "") or group.ending or rest or PurePosixPath(group.pattern).stem
    role = role_of(name)
    why = "" if role else "the name of the file"
    # A year in the name is that of the export, since the bands are the years.
    path = re.sub(r"\*+", "*", group.pattern.replace("{year}", "*")) if len(group.files) > 1 else group.files[0].path
    n_undated = 0 if years else image.look.count
    return BandGuess(fitted_name(name), _as_kind(role), image, path, band, years, n_undated, why=why)


def _of_templates(image: Image, templates: Sequence[str]) -> list[BandGuess]:
    """Return the bands of files whose descriptions hold both the band and the year."""
    found = []
    for template in templates:
        if "{year}" not in template:
            found.append(_of_name(image, image.look.names.index(template) + 1, template))
            continue
        years = {
            int(_YEAR.findall(name)[0]): number
            for number, name in enumerate(image.look.names, 1)
            if _templates([name]) == [template]
        }
        # Files of one year may repeat it in their descriptions.
        is_of_path = set(years) == {image.group.files[0].year}
        rest = re.sub(r"[_\-. ]{2,}", "_", template.replace("{year}", "")).strip("_-. ")
        name, role = fitted_name(rest), role_of(rest)
        band = template.replace(rest, "{name}") if name == rest else template
        path, own = image.group.pattern, image.group.years
        if not is_of_path:
            path, own = path.replace("{year}", "*"), tuple(sorted(years))
        why = "" if role else "its description"
        found.append(BandGuess(name, _as_kind(role), image, path, band, own, number=min(years.values()), why=why))
    return found


def _of_name(image: Image, number: int, description: str) -> BandGuess:
    """Return the band with a description in files of one year."""
    name = fitted_name(description)
    role = role_of(re.split(r"[ (]", description)[0]) or role_of(name)
    # The description is found by the name of the band, if both are the same.
    is_same = name.lower() == description.lower()
    band: int | str | None = None if is_same and image.group.years else description
    kind = _as_kind(role)
    return BandGuess(
        name, kind, image, image.group.pattern, None if is_same and kind == "topo" else band, image.group.years,
        number=number, why="" if role else "its description",
    )  # fmt: skip


def _without_year(guess: BandGuess) -> BandGuess:
    """Return topography and other rasters without years; of several years the newest files are used."""
    if guess.kind in {"optical", "quality"}:
        return guess
    years = guess.image.group.years
    path = guess.path.replace("{year}", str(years[-1])) if years else guess.path
    if len(guess.image.group.files) == 1:
        path = guess.image.group.files[0].path
    band = None if guess.band == "{year}" else guess.band
    return replace(guess, path=path, band=band, years=years[-1:], n_undated=0)
