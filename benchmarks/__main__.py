"""``python -m benchmarks``: measure everything, print the ratios, write results, table and plots."""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks import machine, peers_env, report
from benchmarks.plan import FULL, QUICK
from benchmarks.rows import LeftOut, first_line
from benchmarks.suite import NAMES

_ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the suites one after the other, each in a process of its own; return 1 if one of them failed."""
    given = _arguments()
    plan = QUICK if given.quick else FULL
    directory = given.directory.resolve() / plan.name
    results = given.results or (directory / "results" if given.quick else _ROOT / "benchmarks" / "results")
    page = given.page or (directory / "performance.md" if given.quick else _ROOT / "docs" / "performance.md")
    directory.mkdir(parents=True, exist_ok=True)
    if not given.quick and "onthefly" in given.suites:
        _say("the peers' environment")
        try:
            peers_env.make(directory.parent / "peers")
        except LeftOut as reason:
            _say(first_line(reason))
    failed = []
    for name in ("region", *given.suites):
        _say(name)
        command = [sys.executable, "-m", "benchmarks.suite", name, "--plan", plan.name]
        where = ["--directory", str(directory), "--out", str(results.resolve() / f"{name}.json")]
        done = subprocess.run([*command, *where], env=machine.limited_environment(), cwd=_ROOT, check=False)
        if done.returncode:
            failed.append(name)
            if name == "region":
                break
    found = report.read(results)
    sys.stdout.write(report.plain_table(found))
    report.write_page(page, found)
    if failed:
        _say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"any of {', '.join(NAMES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="tiny data, one round: does everything still run?")
    parser.add_argument("--directory", type=Path, default=_ROOT / "output" / "bench", help="of all data")
    parser.add_argument("--results", type=Path, help="directory of the JSON files")
    parser.add_argument("--page", type=Path, help="Markdown page whose generated part is written anew")
    given = parser.parse_args()
    if unknown := sorted(set(given.suites) - set(NAMES)):
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(NAMES)}")
    given.suites = given.suites or list(NAMES)
    return given


def _say(text: str) -> None:
    sys.stderr.write(f"benchmarks: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
