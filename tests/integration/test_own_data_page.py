"""The commands of the page on your own data run on files of the shapes that it shows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from tests.contracts.fences import blocks
from tests.integration.user_files import YEARS, World, arrays_of, cube_of_all, scenes_of_two_zones

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/own-data.md"


def sections():
    """Return the lines of commands below each heading that has a tree of files."""
    page = PAGE.read_text(encoding="utf-8")
    starts = {
        page.count("\n", 0, found.start()) + 1: found[1] for found in re.finditer(r"^## (.+)$", page, re.MULTILINE)
    }
    found, trees = {}, set()
    for block in blocks(PAGE):
        heading = starts[max(line for line in starts if line <= block.line)]
        if block.kind == "":
            trees.add(heading)
        if block.kind == "sh":
            found.setdefault(heading, []).extend(block.text.splitlines())
    return {heading: lines for heading, lines in found.items() if heading in trees}


def earth_engine(world):
    for year in YEARS:
        stored = {"ndvi": world.planes["ndsi", year], "nbr": world.planes["nbr", year]}
        planes = {
            name: np.where(plane == -32768, np.nan, plane / 1000).astype("float32") for name, plane in stored.items()
        }
        height, width = planes["nbr"].shape
        for col in (0, 200):
            part = Window(col, 0, min(200, width - col), height)
            world.write(f"composite_{year}-0000000000-{col:010d}.tif", planes, part, nodata=None)
    world.elevation()


def whole_area(world):
    for name, band in {"ndvi": "ndsi", "nbr": "nbr"}.items():
        for year in YEARS:
            world.write(f"{name}_{year}.tif", {"#": world.planes[band, year]})
    world.elevation()
    mask = (world.planes["ndsi", 2008] > 500).astype("uint8")
    world.write("glacier_mask.tif", {"#": mask}, nodata=255)
    (world.files / "glims").mkdir()
    shutil.copy(world.sources / "rgi/outlines.gpkg", world.files / "glims/glaciers.gpkg")


def tile_tree(world):
    for directory in ("optical", "topo"):
        shutil.copytree(world.sources / directory, world.files / directory)


def two_zones(world):
    scenes_of_two_zones(world)


def cube(world):
    pytest.importorskip("zarr")
    cube_of_all(world, "kenai.zarr")


# The directory of each section, what and what writes it.
MADE = {
    "An Earth Engine export": ("exports", earth_engine),
    "Sentinel-2 in two zones": ("scenes", two_zones),
    "Whole-area rasters": ("rasters", whole_area),
    "A Zarr or netCDF cube": ("cube", cube),
    "A STEM tree of tiles": ("stem-tiles", tile_tree),
}
# The shapes of the others are built by other tests as well.
OFTEN = ("An Earth Engine export", "Whole-area rasters")
RUN = {heading: "long" if heading in OFTEN else "nightly" for heading in MADE}


def test_every_shape_of_the_page_is_known_here():
    assert set(sections()) == set(MADE)
    for heading, (directory, _) in MADE.items():
        assert sections()[heading][0].startswith(f"gcn init {directory} --region ")
        assert [line.split()[1] for line in sections()[heading]] == ["init", "plan", "run", "validate"]


@pytest.mark.parametrize(
    "heading", [pytest.param(heading, marks=getattr(pytest.mark, how)) for heading, how in RUN.items()]
)
def test_the_commands_of_a_section_give_a_valid_dataset(heading, tiny, tmp_path):
    directory, make = MADE[heading]
    world = World(tmp_path, tiny.sources, *arrays_of(tiny.sources), directory=directory)
    world.files.mkdir()
    make(world)
    if not (world.files / "glims").exists():
        world.votes_and_outlines()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    for line in sections()[heading]:
        command = f"{line} --local-scheduler" if line.startswith("gcn run") else line
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, (line, ended.stdout, ended.stderr)

    assert (tmp_path / "output").is_dir()
