"""Group file names that differ only in the year, the tile or something that does not matter."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import combinations
from pathlib import PurePosixPath

from gcn_luigi.bands import Band, Role
from gcn_luigi.io.inputs.patterns import PathPattern
from gcn_luigi.survey.words import is_prefix, role_of

# Separators, a date or a date with a time, and words. 20200716T211521Z is a year and a rest.
_TOKEN = re.compile(r"[/_\-. ]|[^/_\-. ]+")
_DATE = re.compile(
    r"((?:19|20)\d\d)((?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T\d{4,6}Z?)?|(?:[0-2]\d\d|3[0-6]\d)(?:T\d{4,6}Z?)?)"
)
_PLAIN_YEAR = re.compile(r"19[5-9]\d|20[0-4]\d")
# ndvi2004 and 2004ndvi are a word and a year.
_GLUED = re.compile(r"([A-Za-z]+)((?:19[5-9]|20[0-4])\d)|((?:19[5-9]|20[0-4])\d)([A-Za-z]+)")
# Resolutions and versions are part of a name.
_FIXED = re.compile(r"\d+(?:m|km|cm|px)|v\d+|l\d[a-z]?|l\d[a-z]{2}|t[12]", re.IGNORECASE)
# Beyond this, pairs of positions are not tried, because a name with so many numbers is of no known kind.
_MOST_POSITIONS = 8
# The longest season of a composite, in years.
_LONGEST_SEASON = 5


class _Kind(Enum):
    SIGN = "separator"
    BAND = "band"
    YEAR = "year with a rest"
    REST = "month, day and time"
    NUMBER = "number"
    MIXED = "letters and digits"
    WORD = "word"


@dataclass(frozen=True)
class _Token:
    text: str
    kind: _Kind


@dataclass(frozen=True)
class NamedFile:
    """A file and what its name says about it. Without them in the name, `tile` is empty and `year` is None."""

    path: str
    tile: str
    year: int | None


@dataclass(frozen=True)
class NameGroup:
    """Files whose names differ only in the year, the tile or something that does not matter.

    Attributes
    ----------
    pattern : str
        For ``[[bands]] path``: with ``{tile}``, ``{year}`` and ``*``.
    files : tuple of NamedFile
        Sorted by path.
    band : str
        The word of the name that identifies the band, as written; empty if no known word does.
    ending : str
        The end of the name without its extension, from the word of the band on; or the whole constant end.
    is_season : bool
        True if names give the first and the last year of a season; the year is then the last one.
    """

    pattern: str
    files: tuple[NamedFile, ...]
    band: str
    ending: str
    is_season: bool = False

    @property
    def years(self) -> tuple[int, ...]:
        """The years in the names, in ascending order."""
        return tuple(sorted({file.year for file in self.files if file.year is not None}))

    @property
    def tiles(self) -> tuple[str, ...]:
        """The tiles in the names, sorted."""
        return tuple(sorted({file.tile for file in self.files if file.tile}))

    @property
    def is_repeated(self) -> bool:
        """Whether two files have the same tile and year."""
        return len({(file.tile, file.year) for file in self.files}) < len(self.files)


def group_names(paths: Iterable[str]) -> list[NameGroup]:
    """Group paths (with forward slashes) that differ only in the year, the tile or something that does not matter.

    A word that is the known name of a band always keeps files apart. Numbers, and words of letters and digits, may
    differ within a group. The year is a number of four digits or the start of a date; if several numbers could be the
    year, it is the first that differs between the files. The tile is whatever else is needed to tell the files apart.

    Examples
    --------
    >>> [group.pattern for group in group_names(["2004/ndvi-0-0.tif", "2004/ndvi-0-256.tif", "2008/ndvi-0-0.tif"])]
    ['{year}/ndvi-{tile}.tif']
    """
    alike: dict[tuple[str, ...], list[tuple[str, list[_Token]]]] = {}
    for path in sorted(set(paths)):
        tokens = _tokens(path)
        alike.setdefault(_key(tokens), []).append((path, tokens))
    groups = [group for files in alike.values() for group in _unambiguous(files)]
    return sorted(groups, key=lambda group: group.pattern)


def merge_tiles(groups: Sequence[NameGroup]) -> NameGroup | None:
    """Return one group for groups that differ in one word, which names the tile; None if they differ otherwise."""
    split = [[(path.path, _tokens(path.path)) for path in group.files] for group in groups]
    everything = [file for files in split for file in files]
    lengths = {len(tokens) for _, tokens in everything}
    if len(groups) < 2 or len(lengths) != 1:
        return None
    words = [
        place
        for place in range(lengths.pop())
        if len({tokens[place].text for _, tokens in everything}) > 1
        and all(len({tokens[place].text for _, tokens in files}) == 1 for files in split)
    ]
    values = {tuple(tokens[place].text for _, tokens in everything) for place in words}
    if len(values) != 1 or any(everything[0][1][place].kind is _Kind.SIGN for place in words):
        return None
    merged = _group(everything, words)
    return merged if _is_found(merged) and not merged.is_repeated else None


def _unambiguous(files: Sequence[tuple[str, list[_Token]]]) -> list[NameGroup]:
    """Return the group of files, or one for each text that does not matter if ``*`` could take a part of the tile."""
    group = _group(files)
    if _is_found(group):
        return [group]
    texts = [[token.text for token in tokens] for _, tokens in files]
    differ = [place for place, column in enumerate(zip(*texts, strict=True)) if len(set(column)) > 1]
    # The word with the fewest values is the one that is not the tile: a satellite, an orbit, a version.
    words = [place for place in differ if files[0][1][place].kind in (_Kind.NUMBER, _Kind.MIXED)]
    if not words:
        return [group]
    place = min(words, key=lambda place: len({own[place] for own in texts}))
    parts: dict[str, list[tuple[str, list[_Token]]]] = {}
    for file, own in zip(files, texts, strict=True):
        parts.setdefault(own[place], []).append(file)
    return [made for part in parts.values() for made in _unambiguous(part)]


def _is_found(group: NameGroup) -> bool:
    """Return whether the reader of the build finds the files by the pattern, with the same tiles and years."""
    pattern = PathPattern(group.pattern, Band("any", Role.OPTICAL))
    found = [pattern.match(file.path) for file in group.files]
    return all(
        one is not None and (one.tile, one.year) == (file.tile, file.year)
        for one, file in zip(found, group.files, strict=True)
    )


def _tokens(path: str) -> list[_Token]:
    ending = PurePosixPath(path).suffix
    body = path[: len(path) - len(ending)]
    found: list[_Token] = []
    for text in _TOKEN.findall(body):
        found += _read_word(text)
    joined: list[_Token] = []
    for token in found:
        # SR_B4 and QA_PIXEL are one word.
        if len(joined) > 1 and joined[-1].text == "_" and is_prefix(joined[-2].text, token.text):
            joined[-2:] = [_Token(f"{joined[-2].text}_{token.text}", _Kind.BAND)]
        else:
            joined.append(token)
    return [*joined, _Token(ending, _Kind.SIGN)]


def _read_word(text: str) -> list[_Token]:
    if _TOKEN.fullmatch(text) and len(text) == 1 and text in "/_-. ":
        return [_Token(text, _Kind.SIGN)]
    date = _DATE.fullmatch(text)
    if date and int(date[1]) >= 1950:
        return [_Token(date[1], _Kind.YEAR), _Token(date[2], _Kind.REST)]
    if text.isdigit():
        return [_Token(text, _Kind.NUMBER)]
    if role_of(text):
        return [_Token(text, _Kind.BAND)]
    glued = _GLUED.fullmatch(text)
    if glued:
        first, second = (glued[1], glued[2]) if glued[1] else (glued[3], glued[4])
        return [*_read_word(first), *_read_word(second)]
    has_digit = any(letter.isdigit() for letter in text)
    return [_Token(text, _Kind.MIXED if has_digit and not _FIXED.fullmatch(text) else _Kind.WORD)]


def _key(tokens: Sequence[_Token]) -> tuple[str, ...]:
    free = {_Kind.YEAR: "<year>", _Kind.REST: "<rest>", _Kind.NUMBER: "<number>", _Kind.MIXED: "<mixed>"}
    return tuple(free.get(token.kind, token.text) for token in tokens)


def _group(files: Sequence[tuple[str, list[_Token]]], words: Sequence[int] = ()) -> NameGroup:
    """Return the group of files whose names have equal tokens apart from those that may differ."""
    rows = [tokens for _, tokens in files]
    columns = [[tokens[place].text for tokens in rows] for place in range(len(rows[0]))]
    differ = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    years, is_season = _year_places(rows, columns, differ)
    rest = {place for place in differ if _is_rest(rows, columns, years, place)}
    others = [place for place in differ if place not in years and place not in rest]
    known = columns[years[0]] if years else [""] * len(rows)
    tile = _tile_places(columns, others, known, words)
    names = [""] * len(rows)
    if tile:
        first, last = tile[0][0], tile[0][-1]
        names = ["".join(column[row] for column in columns[first : last + 1]) for row in range(len(rows))]
    dates = [place for place, token in enumerate(rows[0]) if token.kind is _Kind.YEAR]
    free = {*differ, *(place + 1 for place in dates if place in years)}
    free |= {place for place in dates if place + 1 in differ}
    pattern = _pattern(rows[0], free, years, tile)
    made = [
        NamedFile(path, tile=names[row], year=int(known[row]) if years else None) for row, (path, _) in enumerate(files)
    ]
    band, ending = _band(rows[0], {*differ, *years})
    return NameGroup(pattern, tuple(sorted(made, key=lambda file: file.path)), band, ending, is_season)


def _year_places(
    rows: Sequence[Sequence[_Token]], columns: Sequence[Sequence[str]], differ: Sequence[int]
) -> tuple[list[int], bool]:
    """Return the positions that hold the year, which is the same at all of them, and whether it ends a season."""
    possible = [
        place
        for place, token in enumerate(rows[0])
        if token.kind is _Kind.YEAR
        or (token.kind is _Kind.NUMBER and all(_PLAIN_YEAR.fullmatch(text) for text in columns[place]))
    ]
    varying = [place for place in possible if place in differ]
    if not possible:
        return [], False
    first = (varying or possible)[0]
    following = [place for place in possible if place == first + 2 and rows[0][first + 1].text in "-_"]
    if following:
        gaps = {int(end) - int(start) for start, end in zip(columns[first], columns[following[0]], strict=True)}
        if all(0 < gap <= _LONGEST_SEASON for gap in gaps) and len(gaps) == 1:
            return [place for place in possible if columns[place] == columns[following[0]]], True
    # The year of processing is often that of the scene, too.
    is_sure = varying or rows[0][first].kind is _Kind.NUMBER
    return [place for place in possible if columns[place] == columns[first] and (is_sure or place == first)], False


def _is_rest(
    rows: Sequence[Sequence[_Token]], columns: Sequence[Sequence[str]], years: Sequence[int], place: int
) -> bool:
    """Return whether a position is the month or day of a date, or belongs to a later date, that of processing."""
    if rows[0][place].kind in (_Kind.REST, _Kind.YEAR):
        return True
    is_short = all(len(text) == 2 and text.isdigit() and int(text) <= 31 for text in columns[place])
    return is_short and any(place - year in (2, 4) and rows[0][place - 1].text in "-_./" for year in years)


def _tile_places(
    columns: Sequence[Sequence[str]], others: Sequence[int], years: Sequence[str], words: Sequence[int]
) -> list[list[int]]:
    """Return the runs of positions that name the tile, all of equal text; the fewest that tell the files apart."""
    if words:
        return [[place] for place in words]

    def is_enough(places: Sequence[int]) -> bool:
        keys = {(year, *(columns[place][row] for place in places)) for row, year in enumerate(years)}
        return len(keys) == len(years)

    if not others or is_enough([]):
        return []
    by_text = {tuple(columns[place]): place for place in reversed(others)}
    distinct = sorted(by_text.values())[:_MOST_POSITIONS]
    for size in range(1, len(distinct) + 1):
        found = [places for places in combinations(distinct, size) if is_enough(places)]
        # Of several, the one with the fewest values: a tile has a file for each year.
        if found:
            best = min(found, key=lambda places: len(set(zip(*(columns[place] for place in places), strict=True))))
            if size == 1:
                return [[place] for place in others if columns[place] == columns[best[0]]]
            return [list(best)]
    return [[place] for place in others if columns[place] == columns[distinct[0]]]


def _pattern(tokens: Sequence[_Token], differ: set[int], years: Sequence[int], tile: Sequence[Sequence[int]]) -> str:
    made, place = "", 0
    starts = {run[0]: run for run in tile}
    while place < len(tokens):
        if place in starts:
            made += "{tile}"
            place = starts[place][-1] + 1
            continue
        if place in years:
            made += "{year}"
        elif place in differ:
            made += "" if made.endswith("*") else "*"
        else:
            made += tokens[place].text
        place += 1
    return made


def _band(tokens: Sequence[_Token], free: set[int]) -> tuple[str, str]:
    """Return the last word of the file name that names a band, and the end of the name from this word on."""
    body = tokens[:-1]
    start = max((place + 1 for place, token in enumerate(body) if token.text == "/"), default=0)
    fixed = max((place + 1 for place in free if place >= start), default=start)
    named = [place for place in range(start, len(body)) if body[place].kind is _Kind.BAND and place not in free]
    directories = [place for place in range(start) if body[place].kind is _Kind.BAND and place not in free]
    after = [place for place in named if place >= fixed]
    ending = "".join(token.text for token in body[(after[0] if after else fixed) :]).strip("_-. ")
    if named:
        return body[named[-1]].text, ending
    return (body[directories[-1]].text if directories else ""), ending


def without_tile(group: NameGroup) -> NameGroup:
    """Return a group whose names do not say a tile after all: what was taken for it does not matter."""
    pattern = re.sub(r"\*[^/{]?\*", "*", group.pattern.replace("{tile}", "*"))
    return replace(group, pattern=pattern, files=tuple(replace(file, tile="") for file in group.files))
