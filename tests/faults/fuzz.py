"""Try broken inputs by the thousand, in processes that may crash or hang; every one is refused or read right.

``python -m tests.faults.fuzz`` runs the long form: some 6,000 inputs in a few minutes. A single input is tried again
by its kind, seed and number: ``python -m tests.faults.fuzz_worker KIND DIRECTORY SEED NUMBER 1``.
"""

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.faults.fuzz_worker import keep, kept_at
from tests.faults.kinds import KINDS

# Importing the libraries and making the samples, on a busy machine.
_START_S = 180.0
_LISTENER = "fuzz-listener"
_REPOSITORY = Path(__file__).resolve().parents[2]

# Inputs of the long form, by kind.
LONG: Mapping[str, int] = MappingProxyType(
    {
        "tile": 1600,
        "topo": 400,
        "votes": 300,
        "label": 300,
        "distance": 300,
        "outlines": 800,
        "grid": 300,
        "exclusions": 200,
        "rejects": 300,
        "toml": 600,
        "luigi_cfg": 400,
        "params": 300,
        "shard": 800,
        "dataset": 400,
        "graph": 30,
    }
)


@dataclass
class FuzzFigures:
    """What came of the broken inputs of a kind.

    Attributes
    ----------
    kind : str
        Of input.
    seed : int
        That all of them follow from.
    tried : int
        Inputs.
    refused : Counter of str
        Inputs refused, by class of the error.
    equal : int
        Inputs accepted, and read as a plain reader reads them.
    seconds : float
        Wall time.
    problems : list of str
        Everything else, with kind, seed and number of the input and where it is kept.
    """

    kind: str
    seed: int
    tried: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    equal: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def fuzz(kind: str, count: int, seed: int, directory: Path) -> FuzzFigures:
    """Try `count` broken inputs of a kind.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    count : int
        Inputs, with the numbers from 0.
    seed : int
        The same seed makes the same inputs.
    directory : Path
        For samples and for inputs that something is wrong with, which are kept in ``problems``.

    Returns
    -------
    FuzzFigures
        Crashes and hangs are among the problems: the input is named, and the rest is tried all the same.
    """
    figures, start = FuzzFigures(kind, seed), time.monotonic()
    while figures.tried < count:
        for line in _verdicts(kind, directory, seed, figures.tried, count - figures.tried):
            figures.tried = line["number"] + 1
            match line["verdict"]:
                case "refused":
                    figures.refused[line["detail"]] += 1
                case "equal":
                    figures.equal += 1
                case _:
                    figures.problems.append(_told(kind, seed, directory, line))
    figures.seconds = time.monotonic() - start
    return figures


def _verdicts(kind: str, directory: Path, seed: int, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield what one process says of its inputs; when it dies or hangs, that is said of the input in turn."""
    command = [sys.executable, "-m", "tests.faults.fuzz_worker", kind, directory, seed, first, count]
    log = directory / f"{kind}.log"
    directory.mkdir(parents=True, exist_ok=True)
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            [str(word) for word in command],
            cwd=_REPOSITORY,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        lines, listener = _lines_of(process)
        begun: dict[str, Any] | None = None
        left, limit = count, _START_S
        try:
            while left:
                line = lines.get(timeout=limit)
                limit = KINDS[kind].limit_s
                if line is None:
                    said = _ending(process.wait(), log)
                    if begun is None:
                        raise RuntimeError(f"the process for {kind} did not start: {said}")
                    keep(directory, kind, seed, begun["number"])
                    yield {**begun, "verdict": "problem", "detail": said}
                    return
                if "verdict" in line:
                    left, begun = left - 1, None
                    yield line
                else:
                    begun = line
        except queue.Empty:
            if begun is None:
                raise RuntimeError(f"the process for {kind} did not start in {limit:g} s") from None
            process.kill()
            process.wait()
            keep(directory, kind, seed, begun["number"])
            yield {**begun, "verdict": "problem", "detail": f"hangs: nothing came of it in {limit:g} s"}
        finally:
            process.kill()
            # It reads to the end of the pipe, which is closed as soon as this block ends.
            listener.join()


def _lines_of(
    process: "subprocess.Popen[bytes]",
) -> "tuple[queue.SimpleQueue[dict[str, Any] | None], threading.Thread]":
    """Return a queue of what a process writes, and of None at its end; and the thread that fills it."""
    lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            # A killed process may leave half a line.
            if line.endswith(b"\n"):
                lines.put(json.loads(line))
        lines.put(None)

    thread = threading.Thread(target=listen, name=_LISTENER, daemon=True)
    thread.start()
    return lines, thread


def _ending(code: int, log: Path) -> str:
    last = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    return f"crashes the process: {signal.Signals(-code).name if code < 0 else f'exit {code}'}\n{last}"


def _told(kind: str, seed: int, directory: Path, line: dict[str, Any]) -> str:
    number, changes = line["number"], ", ".join(line["changes"])
    place = kept_at(directory, kind, seed, number)
    return f"{kind}, seed {seed}, number {number} ({line['sample']}: {changes}), kept in {place}: {line['detail']}"


def fuzz_all(counts: Mapping[str, int], seed: int, directory: Path, at_once: int = 2) -> list[FuzzFigures]:
    """Try inputs of many kinds, as many kinds at once as there are cores; the longest first."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda kind: fuzz(kind, counts[kind], seed, directory), counts))


def table(all_figures: list[FuzzFigures]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| kind | inputs | refused | accepted and equal | problems | seconds |", "|---|---|---|---|---|---|"]
    for one in all_figures:
        refused = ", ".join(f"{count} {name}" for name, count in one.refused.most_common()) or "0"
        lines.append(
            f"| {one.kind} | {one.tried} | {refused} | {one.equal} | {len(one.problems)} | {one.seconds:.0f} |"
        )
    tried = sum(one.tried for one in all_figures)
    refused = sum(one.refused.total() for one in all_figures)
    equal, problems = sum(one.equal for one in all_figures), sum(len(one.problems) for one in all_figures)
    return "\n".join([*lines, f"| all | {tried} | {refused} | {equal} | {problems} | |"])


def main() -> int:
    """Run the long form, or a part of it; print the figures and every problem."""
    parser = argparse.ArgumentParser(description="Try broken inputs.")
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="only these")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="inputs of each kind")
    parser.add_argument(
        "--directory", type=Path, help="kept, for a second look; otherwise a new one below the system's"
    )
    said = parser.parse_args()
    counts = {kind: said.count or count for kind, count in LONG.items() if not said.kinds or kind in said.kinds}
    directory = said.directory or Path(tempfile.mkdtemp(prefix="gcn-fuzz-"))
    all_figures = fuzz_all(counts, said.seed, directory)
    problems = [problem for one in all_figures for problem in one.problems]
    sys.stdout.write("\n\n".join([*problems, table(all_figures)]) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
