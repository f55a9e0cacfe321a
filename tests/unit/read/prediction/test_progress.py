"""Finished rows survive a killed writer, and rows of another map, or damaged ones, are never used."""

from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from gcn_luigi.errors import ConfigError, PublishError
from gcn_luigi.read.prediction.progress import Progress, Rows, opened_progress

IDENTITY = {"model": "a", "shape": [9, 5]}


class KilledError(Exception):
    """The end of a run."""


def rows_of(strip, first, n_rows=3):
    rng = np.random.default_rng(first + 100 * strip)
    shares = rng.random((2, n_rows, 5)).astype(np.float32)
    shares[:, 0, 0] = np.nan
    return Rows(strip, first, rng.integers(0, 255, (n_rows, 5)).astype(np.uint8), shares)


@contextmanager
def killed_run(path, identity=None):
    """Yield the progress of a run that does not come to its end."""
    with suppress(KilledError), opened_progress(path, identity or IDENTITY, 2) as progress:
        yield progress
        raise KilledError


@pytest.fixture
def path(tmp_path):
    """Return a file in which a killed run left three pieces of rows."""
    place = tmp_path / "new" / ".2004.rows"
    with killed_run(place) as progress:
        assert progress.reached() == {}
        for piece in (rows_of(0, 0), rows_of(0, 3), rows_of(1, 0)):
            progress.append(piece)
    return place


def left_in(path, identity=None):
    with killed_run(path, identity) as progress:
        return progress.reached(), list(progress.rows())


def test_rows_of_a_killed_run_are_found_again(path):
    reached, again = left_in(path)

    assert reached == {0: 6, 1: 3}
    for one, wanted in zip(again, (rows_of(0, 0), rows_of(0, 3), rows_of(1, 0)), strict=True):
        assert (one.strip, one.first) == (wanted.strip, wanted.first)
        np.testing.assert_array_equal(one.classes, wanted.classes)
        np.testing.assert_array_equal(one.shares, wanted.shares)


def test_a_file_cut_off_anywhere_goes_on_with_whole_pieces(path):
    whole = path.read_bytes()
    ends = set()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        reached, again = left_in(path)
        ends.add(tuple(sorted(reached.items())))
        assert len(again) == len(ends) - 1
    assert ends == {(), ((0, 3),), ((0, 6),)}


def test_what_is_appended_follows_whole_pieces(path):
    path.write_bytes(path.read_bytes()[:-1])
    with killed_run(path) as progress:
        assert progress.reached() == {0: 6}
        progress.append(rows_of(1, 0))
    assert left_in(path)[0] == {0: 6, 1: 3}


@pytest.mark.parametrize("place", [0.5, 0.8, 0.999])
def test_a_flipped_bit_ends_what_is_used(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(content)
    reached, _ = left_in(path)
    assert sum(reached.values()) < 9


def test_rows_of_something_else_are_not_used(path):
    assert left_in(path, {**IDENTITY, "model": "b"})[0] == {}
    assert left_in(path)[0] == {}


def test_a_finished_map_leaves_nothing_behind(path):
    with opened_progress(path, IDENTITY, 2) as progress:
        progress.reached()
    assert not path.exists()


def test_two_processes_do_not_write_one_map(path):
    with killed_run(path), pytest.raises(ConfigError, match="another process"), opened_progress(path, IDENTITY, 2):
        pass


def test_a_full_disk_is_a_plain_error(path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no full device here")
    with full.open("r+b", buffering=0) as file:
        progress = Progress(file, path, 2)
        with pytest.raises(PublishError, match="No space left") as refused:
            progress.append(rows_of(0, 0))
    assert refused.value.where == str(path)


def test_a_place_that_cannot_be_made_is_a_plain_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PublishError), opened_progress(tmp_path / "file" / "x", IDENTITY, 2):
        pass
