"""Find the files of a band by a pattern: ``composites/{year}/S2_{tile}_{name}.tif``."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.missing.described_years import described_years

# What a placeholder may stand for within one part of a path. A year has four digits, and a tile id any letters.
_CAPTURES = {"tile": r"[^/]+?", "year": r"\d{4}"}
_TOKEN = re.compile(r"\{([^{}]*)\}|(\*)|([{}])|([^{}*]+)")
_FIX = (
    "write it relative to data_root, with forward slashes: composites/{year}/S2_{tile}_{name}.tif. {tile}, {year}, "
    "{name} and {suffix} are placeholders, and * stands for text that does not matter"
)


@dataclass(frozen=True)
class Match:
    """A file that fits a pattern.

    Attributes
    ----------
    path : str
        Relative to the data root, with forward slashes.
    tile : str
        What ``{tile}`` stands for; empty if the pattern has no such placeholder.
    year : int or None
        What ``{year}`` stands for; None if the pattern has no such placeholder.
    """

    path: str
    tile: str
    year: int | None


@dataclass(frozen=True)
class PathPattern:
    """The pattern of one band's files.

    ``{tile}`` and ``{year}`` stand for the tile id and the year, and must be the same wherever they occur in a path.
    ``{name}`` and ``{suffix}`` are those of the band. ``*`` stands for any text without a slash. Hidden files and
    directories are not searched.

    Attributes
    ----------
    text : str
        The pattern as configured, relative to the data root.
    band : Band
        The band whose files it describes.

    Raises
    ------
    ConfigError
        The pattern is absolute, leads out of the data root, or has an unknown placeholder.
    """

    text: str
    band: Band

    def __post_init__(self) -> None:
        """Check the placeholders and the way."""
        parts = PurePosixPath(self.text).parts
        if not parts or PurePosixPath(self.text).is_absolute() or Path(self.text).is_absolute() or ".." in parts:
            raise self._unusable("is not a path below data_root")
        known = {*_CAPTURES, "name", "suffix"}
        for found in _TOKEN.finditer(self.text):
            if found[3]:
                raise self._unusable("has a brace without its other one")
            if found[1] is not None and found[1] not in known:
                raise self._unusable(f"has an unknown placeholder {{{found[1]}}}")

    @property
    def has_tile(self) -> bool:
        """Whether the path says the tile."""
        return "{tile}" in self.text

    @property
    def has_year(self) -> bool:
        """Whether the path says the year."""
        return "{year}" in self.text

    @cached_property
    def filled(self) -> str:
        """The pattern with the band's name and suffix. Bands whose patterns are equal now share their files."""
        return _filled(PurePosixPath(self.text).as_posix(), self.band)

    def files(self, root: Path) -> list[Match]:
        """Return the files below `root` that fit, sorted by path.

        Only directories that fit are listed. Links are followed, because a pattern has as many levels as it says.

        Raises
        ------
        InputError
            A directory cannot be listed.
        """
        matches = (self.match(path) for path in _walk(root, "", self._parts))
        return sorted((found for found in matches if found is not None), key=lambda found: found.path)

    @cached_property
    def _parts(self) -> tuple[re.Pattern[str] | str, ...]:
        parts = PurePosixPath(self.filled).parts
        return tuple(part if _is_fixed(part) else re.compile(_regex(part)) for part in parts)

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return re.compile(_regex(self.filled))

    def match(self, path: str) -> Match | None:
        """Return what the placeholders stand for in a path relative to the root; None if it does not fit."""
        found = self._whole.fullmatch(path)
        if found is None:
            return None
        captured = found.groupdict()
        return Match(path, captured.get("tile", ""), int(captured["year"]) if "year" in captured else None)

    def _unusable(self, why: str) -> ConfigError:
        return ConfigError(f"the path {self.text!r} {why}", where=f"bands.path of {self.band.name}", fix=_FIX)


@dataclass(frozen=True)
class BandChoice:
    """Which band of its files a band is.

    Attributes
    ----------
    band : Band
        The band.
    wanted : int, str or None
        A number from 1, or a description. In a description, ``{year}``, ``{name}`` and ``{suffix}`` are placeholders,
        and ``{year}`` alone means any description that gives the year. None means the only band of a file of one year;
        the band that is described by the band's name or suffix, if there are several; or one band for each year in
        their order, if the path does not say the year.
    years : tuple of int
        The configured years.
    """

    band: Band
    wanted: int | str | None
    years: tuple[int, ...]

    def numbers(self, year: int | None, names: Sequence[str], items: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        """Return the band for each of `years`, counted from 1, or 0 if the file does not have this year.

        `year` is the year in the path. `names` and `items` are the descriptions and the metadata of the file's bands.
        For topography, the result has one number. Raise ValueError, with the reason, if the band is not there or not
        unique.
        """
        if self.band.role is Role.TOPO:
            return (self._one(None, names),)
        if year is not None:
            number = self._one(year, names)
            return tuple(number if year == known else 0 for known in self.years)
        if self.wanted is None:
            if len(names) != len(self.years):
                raise ValueError(
                    f"has {len(names)} bands, {len(self.years)} expected (one for each of years); if it holds one "
                    'year, write {year} into path, and if it holds more, give band = "{year}"'
                )
            return tuple(range(1, len(names) + 1))
        described = described_years(names, items) if self.wanted == "{year}" else ()
        return tuple(
            self._number([said == known for said in described], f"year {known}")
            if described
            else self._one(known, names)
            for known in self.years
        )

    def _one(self, year: int | None, names: Sequence[str]) -> int:
        if isinstance(self.wanted, int):
            if self.wanted > len(names):
                raise ValueError(f"has {len(names)} bands, so there is no band {self.wanted}")
            return self.wanted
        if self.wanted is None and len(names) == 1:
            return 1
        if self.wanted is None:
            words = {self.band.name.lower(), self.band.suffix.lower()}
            return self._number([name.lower() in words for name in names], " or ".join(sorted(words)))
        text = _filled(self.wanted, self.band).replace("{year}", str(year))
        return self._number([name == text for name in names], text)

    @staticmethod
    def _number(fits: Sequence[bool], what: str) -> int:
        if sum(fits) != 1:
            raise ValueError(f"has {sum(fits) or 'no'} bands described as {what}, and one is needed")
        return fits.index(True) + 1


def _filled(text: str, band: Band) -> str:
    return text.replace("{name}", band.name).replace("{suffix}", band.suffix)


def _regex(text: str) -> str:
    """Return a regular expression for a part of a filled pattern, or for all of it."""
    made, met = "", set()
    for found in _TOKEN.finditer(text):
        placeholder = found[1]
        if placeholder in met:
            made += f"(?P={placeholder})"
        elif placeholder is not None:
            met.add(placeholder)
            made += f"(?P<{placeholder}>{_CAPTURES[placeholder]})"
        else:
            made += "[^/]*" if found[2] else re.escape(found[4])
    return made


def _is_fixed(part: str) -> bool:
    """Return whether a part of a pattern stands for one name."""
    return "*" not in part and not any(f"{{{name}}}" in part for name in _CAPTURES)


def _walk(root: Path, below: str, parts: tuple[re.Pattern[str] | str, ...]) -> Iterator[str]:
    """Yield the path, relative to `root`, of every entry that fits `parts`, one level of directories per part."""
    first, *others = parts
    if isinstance(first, str):
        names = [first] if (root / below / first).exists() else []
    else:
        names = [name for name in _names(root / below) if first.fullmatch(name)]
    for name in names:
        path = f"{below}/{name}" if below else name
        if not others:
            yield path
        elif (root / path).is_dir():
            yield from _walk(root, path, tuple(others))


def _names(directory: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))  # noqa: PTH208  names alone
    except OSError as error:
        raise InputError(
            f"the directory cannot be listed: {error.strerror}",
            where=str(directory),
            fix="check data_root and bands.path, and the permissions",
        ) from error
