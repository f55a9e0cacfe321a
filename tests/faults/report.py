"""The page that says what was tried and what was found, made from the figures of one long run."""

import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

from tests.faults.figures import Figures

HEAD = ("scenario", "faults", "disturbed builds", "exit codes", "files compared", "bytes compared", "found")
BAD = (
    "orphan",
    "temporary file",
    "wrong dataset",
    "dishonest code",
    "traceback",
    "hang",
    "refused again",
    "unnoticed flip",
    "broken input",
)
# Begins the lines about scenarios that were done again later.
_AGAIN = "Done again later:"
_PROGRAMS = ("luigi", "rasterio", "h5py", "numpy")
_HEADING = """\
# Reliability

Whatever happens to a build (a killed worker, a full disk, a flipped bit, a changed source), the next run must produce
exactly the dataset of an undisturbed run. The command below tests this and writes this page. [Decision
28](adr/0028-faults.md) says what it simulates, and what it does not.
"""
_CHECKS = """
## Scenarios
After every disturbed build, all its processes must have ended and its exit code must be correct: 0 only if the dataset
is finished. Then the build runs again, undisturbed. It must end with 0, leave no temporary file and give a valid
dataset. Every file must equal the file of the undisturbed dataset byte for byte, including sidecars and manifest.
Damaged outputs are repaired in one process; there, inodes and file times also show that nothing else was rebuilt.
"""


def page(
    results: Mapping[str, Figures], *, command: str, seed: int, minutes: float, left_out: int, later: Sequence[str] = ()
) -> str:
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
    later : sequence of str
        Lines about scenarios that were done again later.

    Returns
    -------
    str
        Markdown.
    """
    total = Figures()
    for figures in results.values():
        total.add(figures)
    programs = ", ".join(f"{name} {version(name)}" for name in _PROGRAMS)
    named = f"gcn-luigi {version('gcn-luigi')}, Python {platform.python_version()}, {programs}"
    without = f", {left_out} jobs left out" if left_out else ""
    later = [*later, f"* Versions: {named}; {platform.system()} {platform.release()}."]
    return _page(results, total, [f"* Command: `{command}`, seed {seed}, {minutes:.0f} minutes{without}.", *later])


def refreshed(text: str, results: Mapping[str, Figures], said: str) -> str:
    """Return a page on which the scenarios of `results` were done again; `said` tells how."""
    figures = {name: results.get(name, one) for name, one in figures_of(text).items()}
    figures.update((name, one) for name, one in results.items() if name not in figures)
    total = Figures()
    for one in figures.values():
        total.add(one)
    lines = text.partition("\n## ")[0].splitlines()
    for note in (line[2:].rstrip(".") for line in lines if line.startswith("* ")):
        if not note.startswith(("Command:", "Versions:", _AGAIN)):
            total.note(note[0].lower() + note[1:])
    named = [line for line in lines if line.startswith(("* Command:", f"* {_AGAIN}"))]
    versions = [line for line in lines if line.startswith("* Versions:")]
    return _page(figures, total, [*named, f"* {_AGAIN} {said}.", *versions])


def figures_of(text: str) -> dict[str, Figures]:
    """Return what a page says about each scenario, without notes and problems."""
    found = {}
    for name, row in read_rows(text).items():
        codes = Counter(
            {code: _number(times) for code, times in re.findall(r"(-?\d+) \(([\d,]+)\)", row["exit codes"])}
        )
        bad = Counter({kind: _number(times) for kind, times in re.findall(r"([a-z ]+) ([\d,]+)(?:; |$)", row["found"])})
        files, compared = _number(row["files compared"]), _number(row["bytes compared"])
        found[name] = Figures(_number(row["disturbed builds"]), Counter(), codes, files, compared, bad)
    found.pop("**all**")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0] in found:
            found[cells[0]].faults[cells[1]] = _number(cells[2])
    return found


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _page(results: Mapping[str, Figures], total: Figures, head: Sequence[str]) -> str:
    kinds = [(name, kind, times) for name, one in results.items() for kind, times in sorted(one.faults.items())]
    bad = (*BAD, *sorted(set(total.found) - set(BAD)))
    lines = [
        _HEADING,
        *head,
        *(f"* {note[0].upper()}{note[1:]}." for note in sorted(total.notes)),
        _CHECKS,
        *_table(HEAD, (*(_cells(name, one) for name, one in results.items()), _cells("**all**", total))),
        "\n## Faults by kind\n",
        *_table(("scenario", "fault", "times"), ((name, kind, f"{times:,}") for name, kind, times in kinds)),
        "\n## Results that must not occur\n",
        *_table(("found", "times"), ((kind, str(total.found[kind])) for kind in bad)),
        "",
    ]
    if total.problems:
        lines += ["## Open\n", *(f"* {' '.join(problem.split())[:400]}" for problem in total.problems), ""]
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
    """Return exit codes and how often each was seen; negative ones are signals."""
    told = [f"{code} ({times})" for code, times in sorted(codes.items(), key=lambda item: int(item[0]))]
    return ", ".join(told) or "none"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *(_row(cells) for cells in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
