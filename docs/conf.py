"""How the pages are built: ``make docs``. Nothing is fetched, and the built pages ask for nothing elsewhere."""
# ruff: noqa: INP001  read by Sphinx, not imported

import sys
from pathlib import Path
from typing import Any

from gcn_luigi import __version__

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parent)]

project = "gcn_luigi"
author = "The gcn_luigi contributors"
project_copyright = "The gcn_luigi contributors, Apache-2.0"
version = release = __version__
language = "en"
# Quotation marks stay what one types.
smartquotes = False

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_click", "family_pages", "key_pages"]
exclude_patterns = ["_ext", "_static", "**.ipynb_checkpoints"]
root_doc = "index"
nitpicky = True
# Names of other projects: their indices would have to be fetched.
nitpick_ignore_regex = [("py:obj", r".*")]
# A single backtick in a docstring names a thing of the package.
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# The notebook is stored with its outputs; `make notebook` runs it.
nb_execution_mode = "off"

autodoc_typehints = "none"
# Two classes build on these, which the pages are made without.
autodoc_mock_imports = ["lightning", "torchgeo"]
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"gcn_luigi {__version__}"
html_static_path = ["_static"]
html_css_files = ["wide_tables.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}


def plain_help(app: Any, context: Any, lines: list[str]) -> None:
    """Keep the asterisks of a command's help, ``config/*.toml`` for example: here they would begin emphasis."""
    del app, context
    lines[:] = [line.replace("*", r"\*") for line in lines]


def setup(app: Any) -> None:
    """Connect the events of this documentation."""
    app.connect("sphinx-click-process-description", plain_help)
