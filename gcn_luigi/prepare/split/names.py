"""The names that people use for the splits: train, dev and test."""

from collections import Counter
from collections.abc import Iterable

from gcn_luigi.errors import InputError

_TRAIN = ("train", "training")
# Two kinds of held-back split. Without a test split, either is read as dev if the other one is absent.
_HELD_BACK = {
    "dev": ("dev", "development", "val", "valid", "validate", "validation"),
    "test": ("test", "testing"),
}
_KINDS = {name: kind for kind, names in _HELD_BACK.items() for name in names}


def split_of(name: str, *, has_test: bool = False) -> str | None:
    """Return ``"train"`` or ``"dev"`` for a name (in upper or lower case), ``""`` if it is empty, None if unknown.

    With `has_test`, names of a test split give ``"test"``; otherwise they give ``"dev"``.

    Examples
    --------
    >>> split_of(" Train"), split_of("validation"), split_of("test"), split_of(""), split_of("buffer")
    ('train', 'dev', 'dev', '', None)
    >>> split_of("testing", has_test=True)
    'test'
    """
    plain = name.strip().lower()
    if plain in _TRAIN:
        return "train"
    if plain in _KINDS:
        return _KINDS[plain] if has_test else "dev"
    return None if plain else ""


def names_test(names: Iterable[str]) -> bool:
    """Return whether `names` (one per row) contain both kinds of held-back split, such as val and test."""
    kinds = {_KINDS.get(name.strip().lower()) for name in names}
    return {"dev", "test"} <= kinds


def refuse_third_split(names: Iterable[str], *, where: str, fix: str) -> None:
    """Raise InputError if `names` (one per row) contain two held-back splits, such as val and test.

    The message gives the number of rows of each name.
    """
    counts = Counter(name.strip().lower() for name in names)
    held_back = sorted(name for name in counts if name in _KINDS)
    if len({_KINDS[name] for name in held_back}) < 2:
        return
    listed = ", ".join(f"{name} ({counts[name]:,})" for name in sorted(counts) if split_of(name))
    raise InputError(
        f"the column split names more than two splits: {listed}. Without a test split there are only train and dev, so "
        f"{' and '.join(held_back)} would be merged",
        where=where,
        fix=fix,
    )
