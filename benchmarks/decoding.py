"""How many bytes of blocks a run decodes, and how many there are: `gcn` with a count of every block it decodes.

``python -m benchmarks.decoding RECORD run config/demo.toml ...`` runs the command and appends a line to RECORD for each
decoded block. Each task is a process that imports this main module again, and so begins to count as well.
"""

import os
import sys
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from gcn_luigi.io.tiff.opened import BlockCache
from gcn_luigi.tasks.base import RegionTask

_RECORD = "GCN_BENCHMARK_DECODED"


def count(record: Path) -> None:
    """Append a line for each block that this process decodes from now on: the task, the bytes, and which block."""
    put, make = BlockCache.put, RegionTask.make_here
    family = ""

    @wraps(put)
    def counted(cache: BlockCache, key: Any, block: Any) -> None:
        line = "\t".join(map(str, (family, block.nbytes, *key))) + "\n"
        # One write of a short line to a file that is opened for appending is never torn.
        handle = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(handle, line.encode())
        os.close(handle)
        put(cache, key, block)

    @wraps(make)
    def named(task: RegionTask) -> None:
        nonlocal family
        family = type(task).__name__
        make(task)

    for owner, name, function in ((BlockCache, "put", counted), (RegionTask, "make_here", named)):
        setattr(owner, name, function)


def table(record: Path) -> dict[str, Any]:
    """Return the table of a record: by task, the bytes that were decoded and those of the blocks, each taken once."""
    decoded: dict[str, int] = {}
    blocks: dict[str, dict[str, int]] = {}
    for family, n_bytes, block in _lines(record):
        for name in (family, "all tasks"):
            decoded[name] = decoded.get(name, 0) + n_bytes
            blocks.setdefault(name, {})[block] = n_bytes
    rows = []
    for name in sorted(decoded, key=lambda one: (one == "all tasks", -decoded[one])):
        there = sum(blocks[name].values())
        rows.append([name, round(decoded[name] / 1e6, 1), round(there / 1e6, 1), round(decoded[name] / there, 2)])
    return {
        "title": "Bytes that were decoded, and bytes of the same blocks if each were decoded once "
        "(what GDAL reads itself is not counted)",
        "head": ["task", "decoded, MB", "there are, MB", "times"],
        "rows": rows,
    }


def _lines(record: Path) -> Iterator[tuple[str, int, str]]:
    for line in record.read_text(encoding="utf-8").splitlines():
        family, n_bytes, block = line.split("\t", 2)
        yield family, int(n_bytes), block


def main() -> None:
    """Run the command that is given after the record."""
    from gcn_luigi.command import main as command  # noqa: PLC0415  it reads the arguments

    record, *arguments = sys.argv[1:]
    os.environ[_RECORD] = str(Path(record).resolve())
    sys.argv = ["gcn", *arguments]
    command()


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":
    count(Path(os.environ[_RECORD]))
