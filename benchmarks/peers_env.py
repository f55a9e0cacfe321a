"""An environment of their own for the programs that gcn_luigi does not depend on: torchgeo and xbatcher."""

import subprocess
import sys
from pathlib import Path

from benchmarks.rows import LeftOut

# In this order: torch first, or torchgeo fetches one for graphics cards, several GB large; torchvision without what it
# asks for, for the same reason. torchgeo 0.8 needs requests and does not say so.
STEPS = (
    ("torch==2.13.0",),
    ("--no-deps", "torchvision==0.28.0"),
    ("torchgeo==0.8.1", "requests==2.34.2", "rioxarray==0.19.0", "xbatcher==0.4.0"),
)
_MARK = "ready.txt"


def make(directory: Path) -> None:
    """Make the environment unless it is there; what pip says goes to ``pip.log`` beside it.

    Raises
    ------
    LeftOut
        pip failed; the text says at which packages.
    """
    if is_ready(directory):
        return
    directory.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".log").open("w", encoding="utf-8") as log:
        commands = [(sys.executable, "-m", "venv", str(directory))]
        install = (str(_python(directory)), "-m", "pip", "install", "--disable-pip-version-check")
        commands += [(*install, *step) for step in STEPS]
        for command in commands:
            if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
                raise LeftOut(f"its environment could not be made: {' '.join(command[-2:])} failed")
    (directory / _MARK).write_text(_wanted(), encoding="utf-8")


def is_ready(directory: Path) -> bool:
    """Return whether the environment is there with the versions wanted now."""
    mark = directory / _MARK
    return mark.is_file() and mark.read_text(encoding="utf-8") == _wanted()


def python_of(directory: Path) -> Path:
    """Return the environment's Python.

    Raises
    ------
    LeftOut
        The environment is not there.
    """
    if not is_ready(directory):
        raise LeftOut("its environment is not there; a full run makes it")
    return _python(directory)


def _python(directory: Path) -> Path:
    return directory / "bin" / "python"


def _wanted() -> str:
    return "".join(f"{' '.join(step)}\n" for step in STEPS)
