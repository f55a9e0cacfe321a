"""What a source looked like: size and time of change of all that it consists of, so that a change is noticed."""

import os
from collections.abc import Iterable
from pathlib import Path

from gcn_luigi.io.inputs.source_states import Look
from gcn_luigi.prepare.source_states import Sources


def signature(paths: Iterable[Path], root: Path, look: Look | None = None) -> Sources:
    """Return size and modification time of sources, named relative to `root`.

    Parameters
    ----------
    paths : iterable of Path
        Files or directories; `gcn_luigi.io.inputs.source_states.Look.files` says what each stands for.
    root : Path
        Paths below it are named relative to it, so that moving the sources changes nothing.
    look : Look or None
        Answers of a moment ago, which is added to: no file is looked at twice.

    Returns
    -------
    dict of str
        For each source ``[size, mtime_ns]``, or the same for each file that it consists of, where that is not the
        source alone; None where there is nothing.
    """
    found: Sources = {}
    look = look or Look()
    start = f"{root}{os.sep}"
    for path in paths:
        own, files = os.fspath(path), look.files(path)
        name = own.removeprefix(start)
        if len(files) == 1 and own in files:
            found[name] = list(files[own])
        else:
            found[name] = {file.removeprefix(start): list(files[file]) for file in sorted(files)} or None
    return dict(sorted(found.items()))
