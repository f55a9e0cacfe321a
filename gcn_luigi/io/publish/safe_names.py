"""Check names and links, so that they do not lead out of a directory."""

import re
import unicodedata
from pathlib import Path, PurePosixPath

from gcn_luigi.errors import InputError, PublishError, ShardError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def is_name(text: str) -> bool:
    """Return whether `text` is safe as a part of a file name, a page and a command.

    Examples
    --------
    >>> is_name("79945217"), is_name("r-3_c12"), is_name("../x"), is_name("a/b"), is_name("..")
    (True, True, False, False, False)
    """
    return _NAME.fullmatch(text) is not None and set(text) != {"."}


def is_plain_text(text: str) -> bool:
    """Return whether `text` contains neither control characters nor the brackets of HTML tags."""
    return not any(character in "<>" or unicodedata.category(character) in ("Cc", "Cs") for character in text)


def name_part(text: str) -> str:
    """Return `text` if it is safe as a part of a file name.

    Raises
    ------
    InputError
        It is not safe.
    """
    if not is_name(text):
        raise InputError(
            f"{text[:80]!r} cannot be part of a file name",
            where="the name of a partition, band or split",
            fix="use at most 128 letters, digits, _, - and .",
        )
    return text


def inside(root: Path, name: str, *, where: Path | str) -> Path:
    """Return the path below `root` of the file `name`, a path with forward slashes that the file `where` lists.

    Links are not checked.

    Raises
    ------
    ShardError
        The name leads out of `root`, or is not a valid name.
    """
    parts = name.split("/")
    if not name or "\0" in name or "\\" in name or {"", ".", ".."} & set(parts) or PurePosixPath(name).is_absolute():
        raise ShardError(
            f"names {name[:80]!r}, which cannot be a file of this dataset",
            where=str(where),
            fix="do not use this dataset; get it again from someone you trust, or build it",
        )
    return root.joinpath(*parts)


def check_links(root: Path, *paths: Path) -> None:
    """Refuse to write if a link leads out of the directory of a region.

    The directory above `root` may be a link, for example to another disk. `root`, which need not exist yet, may be a
    link within that directory. Directories between `root` and the files `paths` may be links within `root`.

    Raises
    ------
    PublishError
        `root` is a link out of its directory, or a directory below `root` is a link out of `root`.
    """
    directories = {root / directory for path in paths for directory in path.relative_to(root).parents}
    for place, home in [(root, root.parent), *((directory, root) for directory in sorted(directories))]:
        if not place.resolve().is_relative_to(home.resolve()):
            raise PublishError(
                f"is a link that leads out of {home}, to {place.resolve()}",
                where=str(place),
                fix="remove the link, or link the output directory itself",
            )
