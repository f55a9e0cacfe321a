"""The page that says what was tried and what was found, made from the figures of one long run."""

import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version

from tests.faults.figures import Figures

HEAD = ("scenario", "faults", "disturbed builds", "exit codes", "files compared", "bytes compared", "found")
BAD = ("orphan", "temporary file", "wrong dataset", "dishonest code", "traceback", "hang", "refused again")
_PROGRAMS = ("luigi", "rasterio", "h5py", "numpy")


def page(results: Mapping[str, Figures], *, command: str, seed: int, minutes: float, left_out: int) -> str:
    """Return the page.

    Parameters
    ----------
    results : mapping of str to Figures
        By name of the scenario.
    command : str
        What was run.
    seed : int
        Of all random numbers.
    minutes : float
        How long it took.
    left_out : int
        Jobs that did not fit into the time.

    Returns
    -------
    str
        Markdown.
    """
    total = Figures()
    for figures in results.values():
        total.add(figures)
    lines = [
        "# Reliability",
        "",
        "Whatever happens to a build (a killed worker, a full disk, a flipped bit, a changed source), running it again",
        "must end in exactly the dataset that an undisturbed run gives. This page is written by the command that tries",
        "it; what is simulated, and what is not, stands in [0028](adr/0028-faults.md).",
        "",
        f"* Command: `{command}`, seed {seed}, {minutes:.0f} minutes" + (f", {left_out} jobs left out" * bool(left_out)) + ".",
        f"* Versions: gcn-luigi {version('gcn-luigi')}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in _PROGRAMS)
        + f"; {platform.system()} {platform.release()}.",
        *(f"* {note[0].upper()}{note[1:]}." for note in sorted(total.notes)),
        "",
        "## Scenarios",
        "After every disturbed build all its processes must be gone and its exit code must be true: 0 only for a finished",
        "dataset. Then the build is run again, undisturbed: it must end with 0, leave no temporary file, pass",
        "`gcn validate`, and every file must equal the undisturbed dataset's, byte for byte, sidecars and seal included.",
        "",
        _row(HEAD),
        _row("---" for _ in HEAD),
        *(_row(_cells(name, figures)) for name, figures in results.items()),
        _row(_cells("**all**", total)),
        "",
        "## Faults by kind",
        "",
        _row(("scenario", "fault", "times")),
        _row(("---", "---", "---")),
        *(_row((name, kind, f"{times:,}")) for name, figures in results.items() for kind, times in sorted(figures.faults.items())),
        "",
        "## What must not be",
        "",
        _row(("found", "times")),
        _row(("---", "---")),
        *(_row((kind, str(total.found[kind]))) for kind in (*BAD, *sorted(set(total.found) - set(BAD)))),
        "",
    ]
    if total.problems:
        lines += ["## Open", "", *(f"* {' '.join(problem.split())[:400]}" for problem in total.problems), ""]
    return "\n".join(lines)


def read_rows(text: str) -> dict[str, dict[str, str]]:
    """Return the rows of the page's first table, by scenario."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    start = lines.index(_row(HEAD))
    found = {}
    for line in lines[start + 2 :]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != len(HEAD):
            break
        found[cells[0]] = dict(zip(HEAD, cells, strict=True))
    return found


def _cells(name: str, figures: Figures) -> tuple[str, ...]:
    return (
        name,
        f"{sum(figures.faults.values()):,}",
        f"{figures.builds:,}",
        _codes(figures.codes),
        f"{figures.files:,}",
        f"{figures.compared:,}",
        "; ".join(f"{kind} {times}" for kind, times in sorted(figures.found.items())) or "0",
    )


def _codes(codes: Counter[str]) -> str:
    return ", ".join(f"{code} ({times})" for code, times in sorted(codes.items(), key=lambda item: int(item[0]))) or "none"


def _row(cells: object) -> str:
    return "| " + " | ".join(cells) + " |"  # type: ignore[call-overload]
