"""Names for the two splits, train and dev, as people write them."""

from collections import Counter
from collections.abc import Iterable

from gcn_luigi.errors import InputError

_TRAIN = ("train", "training")
# Two kinds of split that are held back. Either is read as dev where the other one is absent.
_HELD_BACK = {
    "dev": ("dev", "development", "val", "valid", "validate", "validation"),
    "test": ("test", "testing"),
}
_KINDS = {name: kind for kind, names in _HELD_BACK.items() for name in names}


def split_of(name: str) -> str | None:
    """Return ``"train"`` or ``"dev"`` for a name, in any case; ``""`` for an empty one and None for an unknown one.

    Examples
    --------
    >>> split_of(" Train"), split_of("validation"), split_of("test"), split_of(""), split_of("buffer")
    ('train', 'dev', 'dev', '', None)
    """
    plain = name.strip().lower()
    if plain in _TRAIN:
        return "train"
    if plain in _KINDS:
        return "dev"
    return None if plain else ""


def refuse_third_split(names: Iterable[str], *, where: str, fix: str) -> None:
    """Raise InputError, with the rows per name, if `names` (one per row) hold back two splits, such as val and test."""
    counts = Counter(name.strip().lower() for name in names)
    held_back = sorted(name for name in counts if name in _KINDS)
    if len({_KINDS[name] for name in held_back}) < 2:
        return
    listed = ", ".join(f"{name} ({counts[name]:,})" for name in sorted(counts) if split_of(name))
    raise InputError(
        f"the column split names more than two splits: {listed}. There are two, train and dev, so that "
        f"{' and '.join(held_back)} would become one",
        where=where,
        fix=fix,
    )
