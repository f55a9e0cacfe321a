"""The pages' Python and shell blocks run, and print what the pages show."""

import os
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import pytest

from tests.contracts.fences import Block, blocks, differs
from tests.torchgeo_apart import import_torchgeo

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# Commands that look and change nothing but their own directory; what builds is tried elsewhere.
LOOKS = ("gcn status", "gcn why", "gcn validate", "ls", "mkdir", "sed")
SHOWING = ("tutorial.md", "howto/xarray.md", "howto/train.md", "howto/predict.md")
PAGES = (*SHOWING, "howto/publish.md", "dataset.md", "reading.md")


def run_python(block: Block, names: dict[str, object]) -> str:
    """Run a block; return what it printed."""
    printed = StringIO()
    # The line of the page, so that a traceback leads there.
    code = compile("\n" * block.line + block.text, "the page", "exec")
    with redirect_stdout(printed):
        exec(code, names)  # noqa: S102  the pages are ours
    return printed.getvalue()


def run_shell(block: Block, place: Path) -> str | None:
    """Run the lines that only look; return what they printed, errors included, or None where there is no such line."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lines = [line for line in block.text.splitlines() if line.startswith(LOOKS)]
    told = [
        subprocess.run(
            ["bash", "-c", line],
            cwd=place,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        for line in lines
    ]
    return "".join(one.stdout + one.stderr for one in told) if lines else None


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
# Worker processes of a DataLoader are forked beside the threads of libraries.
@pytest.mark.filterwarnings("default::DeprecationWarning")
# Lightning warns about its surroundings, such as an installed SLURM that is not used.
@pytest.mark.filterwarnings("default::UserWarning", "default:.*LeafSpec:FutureWarning")
def test_a_page_prints_what_it_shows(page, demo_output, tmp_path, monkeypatch):
    for name in ("xarray", "torch"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    if page == "howto/train.md":
        pytest.importorskip("lightning.pytorch", reason="lightning is not installed: pip install -e '.[lightning]'")
        import_torchgeo()
    mpl.use("Agg")
    if page == "dataset.md":
        # It shows how to read the other layout, and names the command that makes it.
        (tmp_path / "output").mkdir()
        (tmp_path / "output" / "demo").symlink_to(demo_output)
        convert = [Path(sys.executable).with_name("gcn"), "convert", demo_output, "output/demo-windows"]
        subprocess.run([*convert, "--layout", "windows"], cwd=tmp_path, check=True, capture_output=True)
    else:
        (tmp_path / "output").symlink_to(demo_output.parent)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    compared = 0
    for block in blocks(DOCS / page):
        if block.kind == "python":
            printed = run_python(block, names)
        elif block.kind == "sh":
            printed = run_shell(block, tmp_path)
        else:
            continue
        if printed is None:
            continue
        if block.shown is not None:
            assert differs(block.shown, printed) == "", f"{page}, line {block.line}"
            compared += 1
        else:
            assert printed == "" or block.kind == "sh", (
                f"{page}, line {block.line}: it prints what the page does not show"
            )
    assert compared >= 1 or page not in SHOWING


def test_a_wrong_output_is_noticed():
    assert differs("37 of 37: .../demo\n", "37 of 37: /x/demo\n") == ""
    assert differs("37 of 37: .../demo\n", "36 of 37: /x/demo\n") != ""


def test_only_commands_that_look_are_run(tmp_path):
    block = Block("sh", "gcn run demo\nls\nrm -r output\n", None, 1)
    (tmp_path / "output").mkdir()

    assert run_shell(block, tmp_path) == "output\n"
