"""Draw the floors and rooms of the package from its code: ``python docs/make_architecture.py``.

Floors are read from the contracts in pyproject.toml, rooms and modules from the folders, arrows from the imports.
Written are docs/architecture.svg and the tables of docs/architecture.md.
"""
# ruff: noqa: INP001  a script, not a package

import ast
import html
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gcn_luigi"
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "architecture.svg"

# Of the picture, in px.
WIDTH, LEFT, GAP, ROW, BOX = 1180, 118, 10, 74, 54


@dataclass(frozen=True)
class Room:
    """A folder of modules, or a module at the top of the package.

    Attributes
    ----------
    name : str
        Below the package, with dots.
    purpose : str
        First sentence of its docstring.
    modules : tuple of str
        Of the folder itself, without those of folders in it; empty for a module.
    """

    name: str
    purpose: str
    modules: tuple[str, ...]

    @property
    def floor_name(self) -> str:
        """What the contracts call it."""
        return self.name.split(".")[0]


def floors() -> list[tuple[str, ...]]:
    """Return the names on each floor, the highest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [tuple(name.strip() for name in layer.split("|")) for layer in layers]


def _purpose(source: Path) -> str:
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


def rooms() -> list[Room]:
    """Return all rooms, floor by floor from the top."""
    found = []
    for names in floors():
        for name in names:
            folder = PACKAGE / name
            if not folder.is_dir():
                found.append(Room(name, _purpose(folder.with_suffix(".py")), ()))
                continue
            for inner in sorted([folder, *(path.parent for path in folder.rglob("*/__init__.py"))]):
                suffix = ".pyi" if name == "_core" else ".py"
                modules = sorted(path.stem for path in inner.glob(f"*{suffix}") if path.stem != "__init__")
                dotted = ".".join(inner.relative_to(PACKAGE).parts)
                found.append(Room(dotted, _purpose(inner / "__init__.py"), tuple(modules)))
    return found


def arrows(known: list[Room]) -> Counter[tuple[str, str]]:
    """Count the imports from each room into each other one."""
    graph = grimp.build_graph("gcn_luigi")
    names = sorted((room.name for room in known), key=len, reverse=True)

    def room_of(module: str) -> str:
        inner = module.removeprefix("gcn_luigi.")
        return next((name for name in names if inner == name or inner.startswith(f"{name}.")), "")

    pairs = (
        (room_of(importer), room_of(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    )
    return Counter((one, other) for one, other in pairs if one and other and one != other)


def draw(known: list[Room]) -> str:
    """Return the SVG: a row per floor, a box per room."""
    rows = [[room for room in known if room.floor_name in names] for names in floors()]
    height = ROW * len(rows) + 20
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>Floors and rooms of gcn_luigi: each imports only from below</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, row in enumerate(rows):
        top, fill = 10 + ROW * number, "#f4f7f9" if number % 2 else "#eaf0f4"
        parts.append(f'<rect x="0" y="{top}" width="{WIDTH}" height="{ROW - 6}" fill="{fill}"/>')
        parts.append(_text(10, top + ROW / 2, f"floor {len(rows) - number}", "start"))
        width = (WIDTH - LEFT - 10 - GAP * (len(row) - 1)) / len(row)
        for place, room in enumerate(row):
            x = LEFT + place * (width + GAP)
            folder, _, name = room.name.rpartition(".")
            parts.append(
                f'<rect x="{x:.1f}" y="{top + 7}" width="{width:.1f}" height="{BOX}" fill="#fff" stroke="#7f98aa"/>'
            )
            parts.append(_text(x + width / 2, top + 23, f"{folder}." * bool(folder)))
            parts.append(_text(x + width / 2, top + 38, name, size=12, colour="#12303f"))
            parts.append(_text(x + width / 2, top + 53, f"{len(room.modules)} modules" if room.modules else ""))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str = "middle", *, size: int = 10, colour: str = "#5a6b78") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{html.escape(text)}</text>'
    )


def tables(known: list[Room]) -> str:
    """Return a table of rooms for each floor, in Markdown."""
    into = arrows(known)
    parts = []
    for number, names in zip(range(len(floors()), 0, -1), floors(), strict=True):
        parts += [f"### Floor {number}: {', '.join(f'`{name}`' for name in names)}", ""]
        parts += ["| room | what it holds | modules | imports from |", "|---|---|---|---|"]
        for room in (room for room in known if room.floor_name in names):
            imported = [other.name for other in known if into[room.name, other.name]]
            modules = ", ".join(f"`{name}`" for name in room.modules)
            parts.append(f"| `{room.name}` | {room.purpose} | {modules} | {', '.join(imported)} |")
        parts.append("")
    return "\n".join(parts)


def filled(page: str) -> str:
    """Return the page with the text between its markers made from the code."""
    before, _, rest = page.partition("<!-- rooms -->")
    _, _, after = rest.partition("<!-- /rooms -->")
    return f"{before}<!-- rooms -->\n{tables(rooms())}<!-- /rooms -->{after}"


if __name__ == "__main__":
    PICTURE.write_text(draw(rooms()), encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
