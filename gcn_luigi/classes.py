"""The classes of the label: names, stored values and colours, as a table. The default has none, debris and ice."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcn_luigi.errors import ConfigError, few

IGNORE = 255
# A label needs two classes to distinguish; more than 32 cannot be told apart by colour.
FEWEST, MOST = 2, 32
NAME = r"^[a-z][a-z0-9_]{0,31}$"
COLOUR = r"^#[0-9a-fA-F]{6}$"
# Words that mean something else where a class is named: a pixel without a class.
RESERVED = ("ignore", "missing")
# What the default classes are called in full.
_TITLES = {"debris": "supraglacial debris", "ice": "debris-free ice"}
_GLACIER = ("debris", "ice")
_COLOURS = {"none": "#ddd8cb", "debris": "#80593a", "ice": "#86c5e4"}
# For classes without a colour of their own: the muted scheme of Paul Tol (2021, colour schemes, SRON technical note),
# and two more. The first differ from ice and from the colours of the splits.
_PALETTE = (
    "#44aa99", "#ddcc77", "#cc6677", "#117733", "#882255", "#999933", "#aa4499", "#4477aa", "#ee8866", "#332288",
)  # fmt: skip


@dataclass(frozen=True)
class LabelClass:
    """A class: its name, the value of its pixels (0 to 254), its colour (``#rrggbb``), and whether it is glacier."""

    name: str
    value: int
    colour: str
    glacier: bool = False

    @property
    def heading(self) -> str:
        """A short name for people, with a capital letter."""
        return {"ice": "Debris-free ice"}.get(self.name, self.name.replace("_", " ").capitalize())

    @property
    def title(self) -> str:
        """The name for people."""
        return _TITLES.get(self.name, self.name.replace("_", " "))


@dataclass(frozen=True)
class ClassTable:
    """The classes of a label, by rising value. A pixel without a class has the value 255.

    Raises
    ------
    ConfigError
        There are fewer than 2 or more than 32 classes, a name or value occurs twice, a value is not from 0 to 254, or a
        name or colour is not written as it must be.
    """

    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        """Sort the classes by value and check them."""
        object.__setattr__(self, "classes", tuple(sorted(self.classes, key=lambda each: (each.value, each.name))))
        if problems := list(self._problems()):
            raise ConfigError(
                "; ".join(problems),
                where="[[classes]]",
                fix='give each class a name and a value of its own, for example name = "lake", value = 3',
            )

    def _problems(self) -> Iterator[str]:
        names, values = [each.name for each in self.classes], [each.value for each in self.classes]
        if not FEWEST <= len(names) <= MOST:
            yield f"there are {len(names)}, but a label has {FEWEST} to {MOST} classes"
        for what, found in (("name", names), ("value", list(map(str, values)))):
            if twice := sorted({one for one in found if found.count(one) > 1}):
                yield f"two classes have the {what} {few(twice)}"
        for each in self.classes:
            if each.value == IGNORE:
                yield f"{each.name} has the value {IGNORE}, which means a pixel without a class"
            elif not 0 <= each.value < IGNORE:
                yield f"{each.name} has the value {each.value}, but values are from 0 to {IGNORE - 1}"
            if not re.match(NAME, each.name):
                yield f"{each.name!r} is not a name of 1 to 32 lower-case letters, digits and _, a letter first"
            if each.name in RESERVED:
                yield f"{each.name} means a pixel without a class"
            if not re.match(COLOUR, each.colour):
                yield f"the colour of {each.name} is {each.colour!r}, not such as #4477aa"

    @classmethod
    def of(cls, tables: Iterable[Mapping[str, Any]]) -> "ClassTable":
        """Return the classes of ``[[classes]]`` tables; the default classes if there is no table.

        A class without a colour gets one, and debris and ice are glacier unless they say otherwise.
        """
        given = [dict(table) for table in tables]
        if not given:
            return DEFAULT_CLASSES
        spare = _spare_colours()
        for table in sorted(given, key=lambda table: int(table["value"])):
            name = str(table["name"])
            if table.get("colour") is None:
                # Where the colours end, there are too many classes, which is refused below with a message.
                table["colour"] = _COLOURS.get(name) or next(spare, _COLOURS["none"])
            if table.get("glacier") is None:
                table["glacier"] = name in _GLACIER
        return cls(tuple(LabelClass(**table) for table in given))

    def __iter__(self) -> Iterator[LabelClass]:
        """Iterate over the classes by rising value."""
        return iter(self.classes)

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.classes)

    @property
    def is_default(self) -> bool:
        """Whether these are the default classes none, debris and ice, which no file needs to record."""
        return self == DEFAULT_CLASSES

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names by rising value."""
        return tuple(each.name for each in self.classes)

    @cached_property
    def values(self) -> tuple[int, ...]:
        """Values, rising."""
        return tuple(each.value for each in self.classes)

    @cached_property
    def value_array(self) -> NDArray[np.uint8]:
        """Values, rising, as the kernels take them: uint8 (class,)."""
        return np.array(self.values, np.uint8)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Whether each byte is the value of a class: bool (256,)."""
        return np.isin(np.arange(256), self.values)

    @cached_property
    def is_glacier(self) -> NDArray[np.bool_]:
        """Whether each byte is the value of a class that is glacier: bool (256,)."""
        return np.isin(np.arange(256), [each.value for each in self.classes if each.glacier])

    @cached_property
    def colours(self) -> dict[str, str]:
        """Colours by name."""
        return {each.name: each.colour for each in self.classes}

    @cached_property
    def glacier(self) -> tuple[str, ...]:
        """Names of the classes that are glacier."""
        return tuple(each.name for each in self.classes if each.glacier)

    @cached_property
    def value_of(self) -> dict[str, int]:
        """Values by name, and 255 for ``ignore``."""
        return {**{each.name: each.value for each in self.classes}, "ignore": IGNORE}

    def facts(self, *fields: str) -> list[dict[str, Any]]:
        """Return `fields` of each class as plain JSON values."""
        return [{name: asdict(each)[name] for name in fields} for each in self.classes]

    def unusual(self, *fields: str) -> dict[str, Any]:
        """Return `facts` under the key ``classes``; nothing if they are those of the default classes."""
        found = self.facts(*fields)
        return {} if found == DEFAULT_CLASSES.facts(*fields) else {"classes": found}

    def described(self) -> str:
        """Return values and titles, for a sentence: ``0 none, 1 supraglacial debris``."""
        return ", ".join(f"{each.value} {each.title}" for each in self.classes)

    def shares(self) -> tuple[str, ...]:
        """Return the columns that hold the share of each class."""
        return tuple(f"share_{name}" for name in self.names)

    def balanced(self) -> tuple[str, ...]:
        """Return the classes whose shares a split balances, in addition to the share of glacier.

        One class of glacier and one of other ground are left out, because their shares follow from the rest: ice and
        none, if there are such classes.
        """
        glacier = [name for name in self.names if name in self.glacier]
        others = [name for name in self.names if name not in self.glacier]
        left_out = {
            # The share of glacier has this name already.
            "glacier",
            next((name for name in ("glacier", "ice", *reversed(glacier)) if name in glacier), ""),
            next((name for name in ("none", *others) if name in others), ""),
        }
        return tuple(name for name in self.names if name not in left_out)


def _spare_colours() -> Iterator[str]:
    """Yield 32 different colours: the palette, then lighter and darker ones, then two greys."""
    # The share of white or black in the mixture.
    for towards, share in ((0, 0.0), (255, 0.5), (0, 0.45)):
        for colour in _PALETTE:
            channels = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
            yield "#" + "".join(f"{round(value + (towards - value) * share):02x}" for value in channels)
    yield from ("#777777", "#222222")


DEFAULT_CLASSES = ClassTable(
    tuple(
        LabelClass(name, value, _COLOURS[name], glacier=name in _GLACIER)
        for value, name in enumerate(("none", "debris", "ice"))
    )
)
