"""Say what this machine lacks for `make`, before anything is installed; a Python that is too old says so, too."""

import importlib.util
import os
import shlex
import shutil
import sys
import sysconfig

_OLDEST = (3, 11)


def lacking():
    """Return what is missing, and how to get it, one sentence for each."""
    found = []
    if sys.version_info < _OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        found.append(f"Python 3.11 or newer; {sys.executable} is {version}. Name another: make PYTHON=python3.12")
    # An environment of its own has pip already.
    if sys.prefix == sys.base_prefix and not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        found.append("Python's modules venv and ensurepip. Debian and Ubuntu: apt install python3-venv")
    # The one that Python was built with, unless CC names another.
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        found.append(f"a C compiler, {compiler}. Debian and Ubuntu: apt install gcc; or name yours: make CC=clang")
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):  # noqa: PTH110, PTH118
        found.append("the headers of Python (Python.h). Debian and Ubuntu: apt install python3-dev")
    return found


def main():
    """Write what is missing; return 1 where something is."""
    found = lacking()
    for sentence in found:
        sys.stderr.write(f"missing: {sentence}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
