"""The C of the kernels compiles without a warning, with gcc's checks of conversions on every line that is ours."""

import runpy
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GCC = shutil.which("gcc")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion")
pytestmark = pytest.mark.skipif(GCC is None, reason="no gcc: another compiler has other warnings")


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Return the C that Cython makes of each kernel as setup.py has it made, each line naming the line it is of."""
    build = pytest.importorskip("Cython.Build", reason="Cython is not installed: pip install -e '.[dev]'")
    asked = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("setuptools.setup", lambda **_: None)
        patch.setattr(build, "cythonize", lambda extensions, **options: asked.update(options, module_list=extensions))
        runpy.run_path("setup.py")
        patch.undo()
        patch.chdir(ROOT)
        place = {"build_dir": str(tmp_path_factory.mktemp("c")), "emit_linenums": True, "force": True, "quiet": True}
        made = build.cythonize(**asked | place)
        return {Path(extension.sources[0]).stem: ROOT / extension.sources[0] for extension in made}


def warnings_of(*arguments, code=None):
    """Return what gcc says of C code or of a file of it, one line a warning, none of them twice."""
    headers = ["-isystem", sysconfig.get_path("include"), "-I", ROOT / "_ext"]
    done = subprocess.run(
        [GCC, "-c", "-o", "/dev/null", *WARNINGS, *headers, *arguments],
        input=code, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line for line in done.stderr.splitlines() if " warning: " in line}


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "_ext").glob("*.pyx")))
def test_generated_code_compiles_without_a_warning(generated, name):
    # Lines of Cython's own, which it names so, need not spell conversions out.
    tolerated = ("-Wconversion]", "-Wsign-conversion]")

    said = warnings_of("-fsyntax-only", generated[name])

    assert {line for line in said if not (line.startswith("__pyx_") and line.endswith(tolerated))} == set()


@pytest.mark.long
@pytest.mark.parametrize("header", sorted(path.name for path in (ROOT / "_ext").glob("*.h")))
@pytest.mark.parametrize("version", ["-DGCN_BASELINE", "-DGCN_WIDE_ONLY", "-Wpedantic"])
def test_every_version_of_a_header_compiles_without_a_warning(header, version):
    # Optimised, so that gcc follows values from line to line.
    assert warnings_of("-O1", version, "-x", "c", "-", code=f'#include "{header}"\n') == set()


def test_a_conversion_that_is_not_spelt_out_is_noticed():
    (said,) = warnings_of("-x", "c", "-", code="unsigned char low(int value) { return value; }\n")

    assert "-Wconversion" in said
