"""What people call the splits, and that there are two of them."""

from collections import Counter
from collections.abc import Iterable

from gcn_luigi.errors import InputError

_TRAIN = frozenset({"train", "training"})
# Two kinds of split that are held back. Either is read as dev where the other one is not there.
_HELD_BACK = {
    "dev": ("dev", "development", "val", "valid", "validate", "validation"),
    "test": ("test", "testing"),
}
_KINDS = {word: kind for kind, words in _HELD_BACK.items() for word in words}


def split_of(word: str) -> str | None:
    """Return the split that a word means.

    Parameters
    ----------
    word : str
        In any case, with or without spaces around it.

    Returns
    -------
    str or None
        ``"train"``, ``"dev"``, ``""`` for no word at all, and None for a word that names no split.

    Examples
    --------
    >>> split_of(" Train"), split_of("validation"), split_of("test"), split_of(""), split_of("buffer")
    ('train', 'dev', 'dev', '', None)
    """
    plain = word.strip().lower()
    if plain in _TRAIN:
        return "train"
    if plain in _KINDS:
        return "dev"
    return None if plain else ""


def refuse_third_split(words: Iterable[str], *, where: str, fix: str) -> None:
    """Refuse words that name two splits that are held back, as val and test: both would become dev.

    Parameters
    ----------
    words : iterable of str
        One for each cell or footprint.
    where, fix : str
        For the message.

    Raises
    ------
    InputError
        Beside dev or val there is test; the message counts the rows of each word.
    """
    counts = Counter(word.strip().lower() for word in words)
    if len({_KINDS[word] for word in counts if word in _KINDS}) < 2:
        return
    named = [f"{word} ({counts[word]:,})" for word in sorted(counts) if split_of(word)]
    raise InputError(
        f"the column split names more than two splits: {', '.join(named)}. There are two, train and dev, so that "
        f"{' and '.join(word for word in sorted(counts) if word in _KINDS)} would become one",
        where=where,
        fix=fix,
    )
