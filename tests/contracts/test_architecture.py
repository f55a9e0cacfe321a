"""The pages that are made from the code say what the code says now."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def script(name: str) -> ModuleType:
    """Return a script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def architecture() -> ModuleType:
    return script("make_architecture")


def test_the_page_lists_the_rooms_as_they_are(architecture):
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert architecture.filled(page) == page, "run: python docs/make_architecture.py"


def test_the_picture_draws_the_floors_as_they_are(architecture):
    drawn = (DOCS / "architecture.svg").read_text(encoding="utf-8")
    assert architecture.draw(architecture.rooms()) == drawn, "run: python docs/make_architecture.py"


def test_no_folder_holds_more_than_fourteen_modules(architecture):
    crowded = {room.name: len(room.modules) for room in architecture.rooms() if len(room.modules) > 14}
    assert crowded == {}


def test_no_module_has_more_than_four_hundred_lines():
    package = DOCS.parent / "gcn_luigi"
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in package.rglob("*.py")}
    assert {path.relative_to(package).as_posix(): n for path, n in lines.items() if n > 400} == {}
