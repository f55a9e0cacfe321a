"""What `make sanitize` relies on: its flags stop a process at each kind of defect, and at nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
_C = """
#include <stdint.h>
int16_t at(const int16_t *run, long i) { return run[i]; }
void put(int16_t *run, long i) { run[i] = 1; }
int sum(int a, int b) { return a + b; }
int shifted(int a, int by) { return a << by; }
int8_t cast(double value) { return (int8_t)value; }
int32_t word(const char *bytes, long i) { return *(const int32_t *)(bytes + i); }
"""
_PROGRAM = """
import ctypes, sys
import numpy as np
defects = ctypes.CDLL(sys.argv[1])
defects.cast.argtypes = [ctypes.c_double]
heap = np.zeros(4000, np.int16)
run = ctypes.c_void_p(heap.ctypes.data)
{call}
print("went on")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return a library of small functions, built as the sanitized kernels are."""
    directory = tmp_path_factory.mktemp("defects")
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    if shutil.which("gcc") is None:
        pytest.skip("no gcc: another C compiler has other sanitizers")
    links = ["gcc", "-fsanitize=address,undefined", "-shared", "-fPIC", "-x", "c", "-", "-o", directory / "empty.so"]
    if subprocess.run(links, input="", text=True, check=False, env=plain, capture_output=True).returncode:
        pytest.skip("gcc's sanitizers are not installed: libasan and libubsan")
    flags = re.search(r"^SANITIZERS := (.+)$", _MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    # As Python builds its extensions: signed numbers wrap, unless the flags that follow say otherwise.
    command = ["gcc", "-fwrapv", "-O3", *flags, "-shared", "-fPIC", "-x", "c", "-", "-o", directory / "defects.so"]
    subprocess.run(command, input=_C, text=True, check=True, env=plain)
    return directory / "defects.so"


def _run(library, call):
    gcc = shutil.which("gcc")
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    runtimes = [
        subprocess.run([gcc, f"-print-file-name={name}"], capture_output=True, text=True, check=True, env=plain).stdout
        for name in ("libasan.so", "libubsan.so")
    ]
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(call=call), library],
        env={**plain, "LD_PRELOAD": " ".join(map(str.strip, runtimes)), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.fault
@pytest.mark.parametrize(
    ("call", "report"),
    [
        ("defects.at(run, 4000)", "heap-buffer-overflow"),
        ("defects.at(run, -1)", "heap-buffer-overflow"),
        ("defects.put(run, 4000)", "heap-buffer-overflow"),
        ("defects.sum(2**31 - 1, 1)", "signed integer overflow"),
        ("defects.shifted(1, 32)", "shift exponent 32 is too large"),
        ("defects.cast(300.0)", "outside the range of representable values"),
        ("defects.word(run, 1)", "misaligned address"),
    ],
)
def test_the_sanitizers_stop_at_a_defect(library, call, report):
    ended = _run(library, call)

    assert ended.returncode != 0
    assert report in ended.stderr
    assert "went on" not in ended.stdout


def test_the_sanitizers_let_sound_code_pass(library):
    calls = "defects.at(run, 3999); defects.put(run, 0); defects.sum(1, 1); defects.shifted(1, 30)"
    ended = _run(library, f"{calls}; defects.cast(100.0); defects.word(run, 4)")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "went on\n", "")
