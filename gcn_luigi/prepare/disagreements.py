"""Find files that were made from different states of the same source, according to their sidecars."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Disagreement:
    """Two files that were made from different states of some sources; `sources` lists these sources, sorted."""

    first: str
    second: str
    sources: tuple[str, ...]


def source_files(sources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of every single file of `sources`.

    Examples
    --------
    >>> source_files({"a.vrt": {"a.vrt": [1, 2], "b.tif": [3, 4]}, "c.tif": [5, 6], "d.tif": None})
    {'a.vrt': [1, 2], 'b.tif': [3, 4], 'c.tif': [5, 6], 'd.tif': None}
    """
    files: dict[str, Any] = {}
    for name, state in sources.items():
        files.update(state if isinstance(state, Mapping) else {name: state})
    return files


def disagreements(recorded: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Disagreement]:
    """Yield each file that was made from a different state of a source than an earlier file in `recorded`.

    Each item of `recorded` is a file and the states of its sources. A file that differs from several earlier files is
    yielded once for each of them.
    """
    states: dict[str, tuple[Any, str]] = {}
    # A source may gain a file, such as a sidecar, while its other files stay as they were.
    members: dict[str, tuple[frozenset[str], str]] = {}
    for file, sources in recorded:
        unlike: dict[str, set[str]] = {}
        for name, state in source_files(sources).items():
            known, first = states.setdefault(name, (state, file))
            if known != state:
                unlike.setdefault(first, set()).add(name)
        for name, state in sources.items():
            parts = frozenset(state) if isinstance(state, Mapping) else frozenset({name})
            others, first = members.setdefault(name, (parts, file))
            if others != parts:
                unlike.setdefault(first, set()).update(others ^ parts)
        for first, names in unlike.items():
            yield Disagreement(first, file, tuple(sorted(names)))
