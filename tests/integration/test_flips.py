"""Every flipped bit in a finished dataset is found, whichever file it is in, and finding changes nothing."""

import shutil

import numpy as np
import pytest

from gcn_luigi.read.validate import unrecorded, validate
from gcn_luigi.tasks.partitions import PartitionFiles
from gcn_luigi.tasks.rasters import StackFiles
from tests.faults.flips import files_of, flip_one_bit
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import state_of

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def finished(tiny_output, tiny, tmp_path_factory):
    """Return a dataset of its own, with all that is made on request."""
    place = tmp_path_factory.mktemp("flips")
    # As deep as before: the mosaics hold relative paths to the tiles.
    shutil.copytree(tiny_output, place / "out")
    root = dataset(tiny.region, place / "out", tiny.sources, tiny.config)
    build_inline(root)
    build_inline(root.clone(PartitionFiles))
    build_inline(root.clone(StackFiles))
    return place / "out" / tiny.region


def bytes_of(directory):
    return {path: path.read_bytes() for path in files_of(directory)}


def names(problems, name):
    """Return whether a file is named; where only its sidecar speaks of it, either may be the damaged one."""
    return any(problem.startswith(f"{name}: ") or problem.endswith(f"; according to {name}") for problem in problems)


def test_what_is_sound_has_no_problem_and_is_left_as_it_is(finished):
    before, times = bytes_of(finished), state_of(finished)
    names = {path.relative_to(finished).as_posix() for path in before}
    assert {"stacks/2004.tif", "partitions/partitions.csv", ".gcn/stacks/2004.tif.json", "dataset.json"} <= names

    assert list(validate(finished, deep=True)) == []
    assert list(unrecorded(finished)) == []

    assert bytes_of(finished) == before
    assert state_of(finished) == times


@pytest.mark.long
def test_a_flipped_bit_anywhere_is_found_and_its_file_named(finished):
    rng = np.random.default_rng(20240611)
    before = bytes_of(finished)
    # Each file once, and then as the bits fall.
    chosen = [*before, *[None] * max(150 - len(before), 40)]
    missed = []
    for path in chosen:
        with flip_one_bit(finished, rng, path) as flip:
            name = flip.path.relative_to(finished).as_posix()
            problems = list(validate(finished, deep=True))
            if not names(problems, name):
                missed.append((flip, problems))

    assert missed == []
    assert bytes_of(finished) == before


def test_looking_at_one_file_finds_what_is_wrong_with_it_alone(finished):
    rng = np.random.default_rng(7)
    files = sorted(bytes_of(finished))
    for path, other in zip(files, [*files[1:], files[0]], strict=True):
        name, another = (one.relative_to(finished).as_posix() for one in (path, other))
        with flip_one_bit(finished, rng, path):
            assert names(validate(finished, deep=True, only=[name]), name)
            # The seal is always read; a sidecar is looked at with its file.
            is_apart = "dataset.json" not in (name, another) and not name.startswith(f".gcn/{another}")
            if is_apart and not another.startswith(f".gcn/{name}"):
                assert list(validate(finished, deep=True, only=[another])) == []
