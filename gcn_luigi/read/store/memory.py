"""How much memory is free, and how far a long read is, without libraries that reading alone does not install."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")


def free_bytes(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return how many bytes of memory new data can take without swapping.

    Linux estimates this itself as ``MemAvailable``. On other systems it is all memory of the machine, an upper limit.
    """
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kilobytes) * 1024


def with_progress(items: Iterable[_T], total: int) -> Iterator[_T]:
    """Yield `items` and say on standard error how many of `total` are read: each percent in a terminal, or each tenth.

    A terminal shows one line that changes and disappears at the end. A log gets lines.
    """
    is_terminal = sys.stderr.isatty()
    start, end, steps = ("\r", "", 100) if is_terminal else ("", "\n", 10)
    said = -1
    for done, item in enumerate(items, start=1):
        yield item
        if (step := done * steps // total) > said:
            said = step
            sys.stderr.write(f"{start}reading: {step * 100 // steps} %{end}")
            sys.stderr.flush()
    if is_terminal:
        sys.stderr.write("\r\x1b[K")
