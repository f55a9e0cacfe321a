"""One suite in a process of its own: ``python -m benchmarks.suite reading --plan full --directory DIR --out FILE``."""

import argparse
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.plan import PLANS
from benchmarks.region import Ground

NAMES = (
    "wholerun",
    "endtoend",
    "stacks",
    "shapes",
    "warping",
    "kernels",
    "writing",
    "reading",
    "loading",
    "device",
    "onthefly",
    "curves",
)


def main() -> None:
    """Measure one suite and write its JSON file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=("region", *NAMES))
    parser.add_argument("--plan", choices=tuple(PLANS), required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    ground = Ground(given.directory.resolve(), PLANS[given.plan])
    if given.name == "region":
        ground.make()
        return
    suite = importlib.import_module(f"benchmarks.{given.name}")
    machine.pin(suite.CORES)
    bystanders = machine.Bystanders()
    rows = suite.rows(ground)
    content = {
        "suite": given.name,
        "plan": given.plan,
        "cores": suite.CORES,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.described(ground.directory),
        "other_programs_cores": round(bystanders.cores(), 2),
        "versions": machine.versions(),
        "rows": [row.plain() for row in rows],
        # Of what has no ratio; few suites have any.
        "tables": suite.tables(ground) if hasattr(suite, "tables") else [],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
