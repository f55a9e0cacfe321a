"""No text for a name gives a path outside of its directory."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcn_luigi.errors import ConfigError, InputError, ShardError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.safe_names import inside, is_name
from gcn_luigi.prepare.partitions.grid import cell_id
from gcn_luigi.tasks import Dataset, TileQuality

ROOT = Path("/data/output/tiny")
HOSTILE = st.lists(
    st.sampled_from(["..", ".", "/", "\\", "a", "x.h5", "\0", "~", "//", " ", "\n", "%2e%2e", "é", "$(id)", "<b>"])
    | st.text(max_size=4),
    max_size=8,
).map("".join)


def lies_within(path, root):
    """Return whether a path is below a directory, by its text alone."""
    depth = 0
    for part in path.relative_to(root).parts:
        depth += -1 if part == ".." else 1
        if depth <= 0:
            return False
    return depth > 0 and "\0" not in str(path)


@given(HOSTILE)
def test_a_listed_name_stays_below_its_directory_or_is_refused(name):
    try:
        path = inside(ROOT, name, where=ROOT)
    except ShardError:
        return
    assert lies_within(path, ROOT)


@given(HOSTILE, st.integers(1900, 2100))
def test_whatever_becomes_part_of_a_path_stays_in_its_directory_or_is_refused(name, year):
    paths = DatasetPaths(ROOT)
    for make, directory in (
        (lambda: paths.partition(name, year), ROOT / "partitions"),
        (lambda: paths.tile_quality(name), ROOT / "tile_quality"),
        (lambda: paths.shard(name, 0, 1), ROOT / "shards"),
    ):
        try:
            path = make()
        except InputError:
            assert not is_name(name)
            continue
        assert path.parent == directory
        assert lies_within(path, directory)


@given(HOSTILE)
def test_the_id_of_any_imported_cell_is_a_name_or_is_refused(label):
    made = cell_id(label)
    assert "/" not in made
    if is_name(made):
        assert lies_within(DatasetPaths(ROOT).partition(made, 2004), ROOT / "partitions")
    else:
        with pytest.raises(InputError):
            DatasetPaths(ROOT).partition(made, 2004)


@given(HOSTILE)
def test_any_text_for_a_region_or_band_is_a_name_or_is_refused(text):
    try:
        root = Dataset(region=text, output_root="/data/output").paths.root
        assert lies_within(root, Path("/data/output"))
    except ConfigError:
        pass
    try:
        task = TileQuality(region="tiny", band=text)
    except ConfigError:
        return
    assert lies_within(task.paths.tile_quality(task.band), task.paths.root)
