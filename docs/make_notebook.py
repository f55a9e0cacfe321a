"""Run the notebook on a finished demo and store it: ``python docs/make_notebook.py output/demo``.

What is stored is the same at every run: no times, no versions, no paths of this machine.
"""
# ruff: noqa: INP001  a script, not a package

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parent / "notebooks" / "open_a_dataset.ipynb"
TIMEOUT_S = 300


def executed(notebook: nbformat.NotebookNode, dataset: Path) -> nbformat.NotebookNode:
    """Run the notebook again and return it, in a directory in which ``output/demo`` is `dataset`.

    Parameters
    ----------
    notebook : NotebookNode
        Its outputs are thrown away.
    dataset : Path
        A finished demo.

    Returns
    -------
    NotebookNode
        Fit to be stored.

    Raises
    ------
    CellExecutionError
        A cell failed.
    """
    fresh = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "output" / "demo"
        link.parent.mkdir()
        link.symlink_to(dataset.resolve())
        NotebookClient(
            fresh, timeout=TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": place}}
        ).execute()
    fresh.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(fresh.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
    return fresh


def main() -> None:
    """Run and store."""
    made = executed(nbformat.read(NOTEBOOK, as_version=4), Path(sys.argv[1]))
    nbformat.validate(made)
    NOTEBOOK.write_text(nbformat.writes(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
