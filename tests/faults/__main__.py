"""`make faults`: all scenarios on two processes, within a time limit; the long form writes docs/reliability.md."""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from tests.faults.arena import make_arena
from tests.faults.figures import Figures
from tests.faults.jobs import Job, run_job
from tests.faults.report import page, refreshed
from tests.faults.scenarios import Scenario, scenarios

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
_MAY_MOUNT = "GCN_FAULTS_MAY_MOUNT"
_UNSHARE = "/usr/bin/unshare"


def jobs_of(chosen: list[Scenario], options: argparse.Namespace) -> list[Job]:
    """Return all jobs, the scenarios taking turns: when time runs out, none is left out wholly."""
    found = []
    for scenario in chosen:
        jobs = scenario.quick_jobs if options.quick else max(1, round(scenario.jobs * options.scale))
        count = options.count or (scenario.quick_count if options.quick else scenario.count)
        numbers = range(jobs) if options.job is None else (options.job,)
        found += [(number / max(1, jobs), Job(scenario.name, number, count, options.seed)) for number in numbers]
    return [job for _, job in sorted(found, key=lambda item: item[0])]


def run_jobs(jobs: list[Job], root: Path, options: argparse.Namespace) -> tuple[dict[str, Figures], int]:
    """Do jobs on several processes until the time is up; return the figures, and how many jobs were left out."""
    print("undisturbed build", flush=True)
    seconds = make_arena(root)
    print(f"undisturbed build: {seconds:.0f} s", flush=True)
    results = {job.scenario: Figures() for job in jobs}
    deadline = time.monotonic() + 60 * options.minutes
    waiting, running = list(reversed(jobs)), {}
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        while running or (waiting and time.monotonic() < deadline):
            while waiting and len(running) < options.jobs and time.monotonic() < deadline:
                job = waiting.pop()
                running[pool.submit(run_job, job, root, seconds)] = (job, time.monotonic())
            done: set[Future[Figures]] = wait(running, return_when=FIRST_COMPLETED).done
            for future in done:
                job, began = running.pop(future)
                _tell(job, future.result(), time.monotonic() - began)
                results[job.scenario].add(future.result())
    return results, len(waiting)


def _tell(job: Job, figures: Figures, seconds: float) -> None:
    found = ", ".join(f"{kind} {times}" for kind, times in sorted(figures.found.items())) or "nothing"
    print(
        f"{job.scenario} {job.number}: {sum(figures.faults.values())} faults, {figures.builds} builds, "
        f"exit {dict(figures.codes)}, found: {found} ({seconds:.0f} s)",
        flush=True,
    )
    for problem in figures.problems:
        print(f"  {problem}", flush=True)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's worth")
    parser.add_argument("--seed", type=int, default=20, help="of all random numbers")
    parser.add_argument("--only", action="append", help="scenario by name; several times for several")
    parser.add_argument("--job", type=int, help="only this job of each scenario")
    parser.add_argument("--count", type=int, help="what each job does")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many jobs")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--minutes", type=float, default=40.0, help="no job is started later")
    parser.add_argument("--refresh", action="store_true", help="put what --only names into docs/reliability.md")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--page", type=Path, help="where the page goes; docs/reliability.md in the long form")
    return parser.parse_args(arguments)


def enter_namespace() -> None:
    """Start again where file systems can be mounted that nobody else sees and that vanish with this process."""
    if _MAY_MOUNT in os.environ:
        return
    way = "-m" if os.geteuid() == 0 else "-Urm"
    probe = [_UNSHARE, way, "mount", "-t", "tmpfs", "none", "/tmp"]  # noqa: S108  in a namespace that ends at once
    can = Path(_UNSHARE).exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    os.environ[_MAY_MOUNT] = "1" if can else "0"
    command = [sys.executable, "-m", "tests.faults", *sys.argv[1:]]
    if can:
        os.execv(_UNSHARE, [_UNSHARE, way, *command])  # noqa: S606  no shell is meant


def main() -> int:
    """Run; 1 if anything was found that must not be."""
    options = parsed(sys.argv[1:])
    enter_namespace()
    known = scenarios()
    chosen = [scenario for scenario in known if not options.only or scenario.name in options.only]
    root = Path(tempfile.mkdtemp(prefix="gcn-faults-"))
    began = time.monotonic()
    try:
        results, left_out = run_jobs(jobs_of(chosen, options), root, options)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if options.refresh:
        named = " ".join(f"--only '{name}'" for name in results)
        said = f"`python -m tests.faults {named} --refresh`, seed {options.seed}, "
        minutes = (time.monotonic() - began) / 60
        PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8"), results, f"{said}{minutes:.0f} minutes"))
    if options.json:
        options.json.write_text(json.dumps({name: figures.to_dict() for name, figures in results.items()}))
    out = options.page or (None if options.quick or options.only or options.job is not None else PAGE)
    if out:
        command = " ".join(["python -m tests.faults", *sys.argv[1:]]) if sys.argv[1:] else "make faults"
        minutes = (time.monotonic() - began) / 60
        out.write_text(page(results, command=command, seed=options.seed, minutes=minutes, left_out=left_out))
    problems = sum(len(figures.problems) for figures in results.values())
    print(f"{problems} problems, seed {options.seed}, {left_out} jobs left out")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
