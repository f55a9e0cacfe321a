"""Sources and settings that change while a build reads them."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import rasterio

from tests.faults.arena import Arena
from tests.faults.figures import Figures
from tests.integration.builds import build_inline
from tests.integration.commands import PATIENCE_S, Running

# What Python needs to end, on a busy machine.
_LAST_MOMENT_S = 1.0
_KINDS = ("same content, new time", "other content", "other content, then back")


def changed(arena: Arena, rng: random.Random, count: int) -> Figures:
    """Rewrite a tile, the outlines or the settings at any moment; compare with a fresh build of the final input."""
    figures = Figures()
    for _ in range(count):
        own = arena.own()
        subject, kind = rng.choice(sorted(SUBJECTS)), rng.choice(_KINDS)
        what = f"{subject} rewritten during the build, {kind}"
        figures.faults[what] += 1
        path, other = SUBJECTS[subject](own, rng)
        output = own.fresh()
        running = own.start(output)
        _rewrite(running, path, other, kind, rng, own.seconds)
        rewritten = time.monotonic()
        running.process.wait(PATIENCE_S)
        was_last_moment = time.monotonic() - rewritten < _LAST_MOMENT_S
        ended = own.ends(running, figures, what)
        final = own.root / "reference"
        build_inline(own.task(final), page=True)
        if was_last_moment:
            # As good as after the end: nobody can have seen it.
            figures.faults["of these in the last moment of a build"] += 1
        else:
            own.honest(ended, output, figures, what)
        own.mends(output, figures, what)
        arena.drop(own.root)
    return figures


def _rewrite(running: Running, path: Path, other: bytes, kind: str, rng: random.Random, seconds: float) -> None:
    before = path.read_bytes()
    _sleep(running, rng.uniform(0, seconds))
    if kind == "same content, new time":
        path.write_bytes(before)
        return
    _replace(path, other, in_place=rng.random() < 0.5)
    if kind.endswith("back"):
        _sleep(running, rng.uniform(0, 0.3 * seconds))
        _replace(path, before, in_place=rng.random() < 0.5)


def _replace(path: Path, content: bytes, *, in_place: bool) -> None:
    if in_place:
        path.write_bytes(content)
        return
    draft = path.with_name(f"{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)


def _sleep(running: Running, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while running.process.poll() is None and time.monotonic() < deadline:
        time.sleep(min(0.05, seconds))


def _tile(own: Arena, rng: random.Random) -> tuple[Path, bytes]:
    """Return a tile that is read, and the same tile with other pixels."""
    path = rng.choice(sorted([*own.tiny.sources.rglob("*_ndsi.tif"), *own.tiny.sources.rglob("*_dem_*.tif")]))
    draft = own.root / "other.tif"
    draft.write_bytes(path.read_bytes())
    with rasterio.open(draft, "r+") as tile:
        pixels = tile.read()
        # Still within what the configuration allows.
        pixels[:, 40:90, 40:90] = pixels[:, 100:150, 100:150]
        tile.write(pixels)
    return path, draft.read_bytes()


def _outlines(own: Arena, rng: random.Random) -> tuple[Path, bytes]:
    """Return the outlines, and the same without some of the glaciers."""
    path = own.tiny.sources / "rgi" / "outlines.gpkg"
    glaciers = gpd.read_file(path)
    draft = own.root / "other.gpkg"
    glaciers.iloc[sorted(rng.sample(range(len(glaciers)), max(1, len(glaciers) - 2)))].to_file(draft, driver="GPKG")
    return path, draft.read_bytes()


def _toml(own: Arena, rng: random.Random) -> tuple[Path, bytes]:
    """Return the configuration, and one with another setting."""
    path = own.tiny.config / f"{own.tiny.region}.toml"
    text = path.read_text(encoding="utf-8")
    old, new = rng.choice([("seed = 8", "seed = 9"), ("valid_max = 1000", "valid_max = 700")])
    return path, text.replace(old, new, 1).encode()


SUBJECTS: dict[str, Callable[[Arena, random.Random], tuple[Path, bytes]]] = {
    "tile": _tile,
    "outlines": _outlines,
    "configuration": _toml,
}
