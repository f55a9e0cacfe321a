"""`make mutants`: put small faults into the science and the kernels, one at a time, and see if the tests notice."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.mutation import kernels, report, worker
from tests.mutation.choosing import Recording, own_first
from tests.mutation.mutant import Mutant
from tests.mutation.report import Result
from tests.mutation.workshop import Workshop

ROOT = Path(__file__).resolve().parents[2]
# Processor time for importing what the tests use; and a mutant may make a test slower.
_START_SECONDS = 30.0
_TIMES_SLOWER = 3.0


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--per-module", type=int, default=7, metavar="N", help="mutants per module of prepare")
    parser.add_argument("--per-kernel", type=int, default=4, metavar="N", help="mutants per compiled kernel")
    parser.add_argument("--seed", type=int, default=20, help="of the draw")
    parser.add_argument("--only", action="append", metavar="TEXT", help="only files whose path has this text")
    parser.add_argument("--again", type=Path, metavar="REPORT", help="the mutants of this report instead of a draw")
    parser.add_argument("--missed", action="store_true", help="with --again: only those that the tests missed")
    parser.add_argument("--select", default="", metavar="MARKEXPR", help="only tests that pytest -m would run")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the tests of one mutant may take")
    parser.add_argument("--minutes", type=float, default=60.0, help="no mutant is started later")
    parser.add_argument("--recording", type=Path, metavar="FILE", help="which lines each test runs; made if missing")
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "mutants.json", help="where the results go")
    parser.add_argument(
        "--tests",
        nargs="+",
        default=["tests/unit", "tests/property", "tests/contracts"],
        metavar="PATH",
        help="tests to choose from",
    )
    return parser.parse_args(arguments)


def drawn(options: argparse.Namespace) -> list[Mutant]:
    """Return the mutants of all modules and kernels."""
    # An extra of its own: only a new draw needs it.
    from tests.mutation import python_code  # noqa: PLC0415

    found = []
    for folder, pattern, count in (
        ("gcn_luigi/prepare", "*.py", options.per_module),
        ("_ext", "*.pyx", options.per_kernel),
    ):
        for path in sorted((ROOT / folder).rglob(pattern)):
            name, source = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
            draw = kernels.drawn if path.suffix == ".pyx" else python_code.drawn
            if not options.only or any(text in name for text in options.only):
                found += draw(name, source, count, options.seed)
    return found


def wanted(options: argparse.Namespace) -> list[Mutant]:
    """Return the mutants to test: a draw, or those of an earlier report."""
    if options.again is None:
        return drawn(options)
    return [
        result.mutant
        for result in report.read(options.again)
        if (not options.missed or result.result in report.MISSED)
        and (not options.only or any(text in result.mutant.path for text in options.only))
    ]


def tested(
    mutants: list[Mutant], shop: Workshop, recording: Recording, options: argparse.Namespace
) -> Iterator[Result]:
    """Yield what became of each mutant, until the time is up."""
    deadline = time.monotonic() + 60 * options.minutes
    unfit: dict[str, set[str]] = {}
    _check(mutants, shop, recording)
    for number, mutant in enumerate(mutants):
        if time.monotonic() > deadline:
            print(f"the time is up: {len(mutants) - number} mutants are left out", flush=True)
            return
        source = (ROOT / mutant.path).read_text(encoding="utf-8")
        if mutant.found_in(source) is None:
            yield Result(mutant, "gone")
            continue
        names = recording.chosen(mutant, source, options.seconds)
        if mutant.path.endswith(".pyx"):
            if mutant.path not in unfit:
                unfit[mutant.path] = _unfit(shop, mutant.path, source, recording, names)
            names = [name for name in names if name not in unfit[mutant.path]]
        yield _judged(mutant, source, names, shop, recording)


def _check(mutants: list[Mutant], shop: Workshop, recording: Recording) -> None:
    """Stop if the tests that will run most do not pass on the copy as it is: they would seem to notice everything."""
    sources = {mutant.path: (ROOT / mutant.path).read_text(encoding="utf-8") for mutant in mutants}
    names = sorted({name for mutant in mutants for name in recording.chosen(mutant, sources[mutant.path], 0.0)})
    outcome = shop.tested(names, _limit(recording, names), to_the_end=True)
    if outcome.result != "survived":
        raise RuntimeError(f"tests fail without a mutant ({outcome.result}): {', '.join(outcome.failed)}")


def _limit(recording: Recording, names: list[str]) -> float:
    return _START_SECONDS + _TIMES_SLOWER * recording.duration(names)


def _unfit(shop: Workshop, path: str, source: str, recording: Recording, names: list[str]) -> set[str]:
    """Return which tests of a kernel fail on its checked build even without a mutant."""
    kernel = Path(path).stem
    built = kernels.build(ROOT, kernel, source, shop.builds)
    if built is None:
        raise RuntimeError(f"{path} does not compile as it is")
    # All mutants of a kernel have the same tests.
    limit = _limit(recording, names)
    outcome = shop.judged(shop.compiled(kernel), built.read_bytes(), names, limit, to_the_end=True)
    return set(outcome.failed)


def _judged(mutant: Mutant, source: str, names: list[str], shop: Workshop, recording: Recording) -> Result:
    path, changed = mutant.path, mutant.applied_to(source)
    content: str | bytes = changed
    if path.endswith(".pyx"):
        built = kernels.build(ROOT, Path(path).stem, changed, shop.builds)
        if built is None:
            return Result(mutant, "uncompilable")
        path, content = shop.compiled(Path(path).stem), built.read_bytes()
    for part in own_first(mutant, names):
        outcome = shop.judged(path, content, part, _limit(recording, part))
        if outcome.result != "survived":
            return Result(mutant, outcome.result, len(names), outcome.failed[0] if outcome.failed else "")
    return Result(mutant, "survived" if names else "unreached", len(names))


def checked(results: list[Result], shop: Workshop, recording: Recording) -> list[str]:
    """Return the tests that killed a mutant of a module and fail without one, too. There should be none."""
    names = sorted({each.killed_by for each in results if each.killed_by and each.mutant.path.endswith(".py")})
    names = [name for name in names if "::" in name]
    return list(shop.tested(names, _limit(recording, names), to_the_end=True).failed) if names else []


def main() -> int:
    """Run; 1 if the tests now miss a mutant that they noticed in the earlier report, or if a test is not sound."""
    options = parsed(sys.argv[1:])
    options.report.parent.mkdir(parents=True, exist_ok=True)
    said = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    mutants = wanted(options)
    earlier = report.read(options.again) if options.again else []
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="gcn-mutants-") as folder:
        shop = Workshop(ROOT, Path(folder))
        file = (options.recording or Path(folder) / "recording.json").resolve()
        if not file.exists():
            print("recording which lines each test runs", flush=True)
            shop.record(options.tests, options.select, file)
        recording = Recording.read(file)
        worker.preload()
        print(f"{len(mutants)} mutants, {len(recording.tests)} tests to choose from", flush=True)
        for result in tested(mutants, shop, recording, options):
            results.append(result)
            # Each time: a run that is interrupted has a report, too.
            report.write(options.report, results, said)
            print(
                f"{len(results)} {report.described(result) if result.result in report.MISSED else result.result}",
                flush=True,
            )
        unsound = checked(results, shop, recording)
    print(report.summary(results))
    for name in unsound:
        print(f"fails without a mutant: {name}")
    worse = report.lost(earlier, results)
    for result in worse:
        print(f"no longer noticed: {report.described(result)}")
    return 1 if worse or unsound else 0


if __name__ == "__main__":
    raise SystemExit(main())
