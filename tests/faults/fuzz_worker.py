"""Try broken inputs, one after another, in this process, which may die of them; `tests.faults.fuzz` starts it.

``python -m tests.faults.fuzz_worker KIND DIRECTORY SEED FIRST COUNT`` tries the inputs with the numbers FIRST to
FIRST + COUNT - 1. One line of JSON is written when an input is begun and one when it is judged.
"""

import json
import logging
import os
import random
import resource
import shutil
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn_luigi.errors import GcnLuigiError
from tests.faults.kind import Kind, Sample, WrongError
from tests.faults.kinds import KINDS
from tests.faults.mutate import Broken, mutate

# Sources here hold some kilobytes each: whoever wants gigabytes for one believed a broken header.
_MOST_BYTES = 3_000_000_000
_MOST_GROWTH_KB = 700_000


def broken_input(kind: str, samples: Sequence[Sample], seed: int, number: int) -> tuple[Sample, Broken]:
    """Return what is tried under a number: the sample, and its bytes broken."""
    rng = random.Random(f"{seed}/{kind}/{number}")
    sample = rng.choice(samples)
    return sample, mutate(sample.data, rng)


def judge(kind: Kind, lasting: Path, tree: Path, sample: Sample) -> tuple[str, str]:
    """Return ``refused`` and the error's class, ``equal``, or ``problem`` and what is wrong."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        kind.attempt(lasting, tree, sample)
    except GcnLuigiError as error:
        if not (error.what.strip() and error.where.strip() and error.fix.strip()):
            return "problem", f"refused without what, where or fix: {error!r}"
        verdict = "refused", type(error).__name__
    except WrongError as error:
        return "problem", f"wrong: {error}"
    except MemoryError:
        return "problem", f"out of memory\n{traceback.format_exc()}"
    except Exception:  # noqa: BLE001  whatever escapes is what is looked for
        return "problem", f"escaped\n{traceback.format_exc()}"
    else:
        verdict = "equal", ""
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return ("problem", f"took {grown} kB of memory") if grown > _MOST_GROWTH_KB else verdict


def main(name: str, directory: Path, seed: int, first: int, count: int) -> None:
    """Try inputs; what libraries print goes to the standard error stream, verdicts to the output."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    logging.disable()
    kind = KINDS[name]
    samples = kind.prepare(directory)
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    # rasterio with affine 3, as in pyproject.toml.
    warnings.filterwarnings("ignore", "Use `@` matmul", PendingDeprecationWarning)
    for number in range(first, first + count):
        sample, broken = broken_input(name, samples, seed, number)
        tree = fresh_tree(directory, f"{name}-{seed}", sample, broken.data)
        line: dict[str, Any] = {"number": number, "sample": sample.name, "changes": broken.changes}
        told.write(json.dumps(line) + "\n")
        verdict, detail = judge(kind, directory, tree, sample)
        if verdict == "problem":
            keep(directory, name, seed, number)
        told.write(json.dumps({**line, "verdict": verdict, "detail": detail}) + "\n")


def kept_at(directory: Path, name: str, seed: int, number: int) -> Path:
    """Return where an input that something is wrong with is kept."""
    return directory / "problems" / f"{name}-{seed}-{number}"


def keep(directory: Path, name: str, seed: int, number: int) -> None:
    """Copy the input in turn to where it is kept, links as they are."""
    place = kept_at(directory, name, seed, number)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(directory / f"{name}-{seed}-now", place, symlinks=True)


def fresh_tree(directory: Path, name: str, sample: Sample, data: bytes) -> Path:
    """Return the directory of the input in turn, which holds the broken file alone. Jobs have different names."""
    tree = directory / f"{name}-now"
    shutil.rmtree(tree, ignore_errors=True)
    path = tree / sample.place
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return tree


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]))
