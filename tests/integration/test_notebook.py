"""The notebook of the documentation runs, and stores what it prints."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "docs" / "notebooks" / "open_a_dataset.ipynb"
MOST_BYTES = 400_000
# The kernel is told so by the tests' own settings as well; both come from Jupyter.
pytestmark = pytest.mark.filterwarnings("default:::(jupyter|zmq|nbclient|traitlets)")


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    pytest.importorskip("nbclient", reason="nbclient is not installed: pip install -e '.[docs]'")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install -e '.[docs]'")
    spec = importlib.util.spec_from_file_location("make_notebook", ROOT / "docs" / "make_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(notebook) -> list[tuple[str, str]]:
    """Return each code cell and the text of its outputs; pictures count by their kind alone."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            told = [
                output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs
            ] + [kind for output in cell.outputs for kind in sorted(output.get("data", {}))]
            found.append((cell.source, "\n".join(told)))
    return found


@pytest.mark.long
def test_it_prints_what_is_stored(maker, demo_output):
    stored = maker.nbformat.read(STORED, as_version=4)

    assert texts(maker.executed(stored, demo_output)) == texts(stored)


def test_it_is_stored_with_outputs_and_nothing_of_the_machine(maker):
    stored = maker.nbformat.read(STORED, as_version=4)
    text = STORED.read_text(encoding="utf-8")

    assert STORED.stat().st_size < MOST_BYTES
    assert [cell.execution_count for cell in stored.cells if cell.cell_type == "code"] == list(
        range(1, 1 + sum(cell.cell_type == "code" for cell in stored.cells))
    )
    assert sum("image/png" in told for _, told in texts(stored)) == 2
    assert not any(output.output_type == "error" for cell in stored.cells for output in cell.get("outputs", []))
    assert not re.search(r"/(home|root|tmp|Users|work)/| at 0x[0-9a-f]+>", text)
