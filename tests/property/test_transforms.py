"""The eight ways to lay a chip are the symmetry group of the square, and act on all planes as one."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.read.dataset import Chip
from gcn_luigi.read.transforms import N_DIHEDRAL, dihedral, dihedral_of

WAYS = range(N_DIHEDRAL)


def numbered(edge, n_bands=2):
    """Return a chip whose every pixel can be told from every other, in each plane."""
    pixels = np.arange(edge * edge).reshape(edge, edge)
    image = np.stack([pixels + 1000 * band for band in range(n_bands)]).astype(np.int16)
    return Chip(image=image, label=pixels.astype(np.uint8), flags=(pixels + 100).astype(np.uint8), chip_id="c")


def same(one, other):
    return all(np.array_equal(one[plane], other[plane]) for plane in ("image", "label", "flags"))


ways = st.sampled_from(WAYS)
edges = st.integers(1, 9)


@settings(max_examples=60, deadline=None)
@given(ways, ways, edges)
def test_one_way_after_another_is_again_one_of_the_eight(first, second, edge):
    chip = numbered(edge)

    composed = dihedral(dihedral(chip, first), second)

    assert any(same(composed, dihedral(chip, k)) for k in WAYS)


@pytest.mark.parametrize("edge", [2, 3, 8])
def test_the_eight_ways_differ(edge):
    laid = [dihedral(numbered(edge), k) for k in WAYS]

    assert not any(same(one, other) for one, other in itertools.combinations(laid, 2))


@pytest.mark.parametrize(("k", "undone_by"), list(enumerate([0, 3, 2, 1, 4, 5, 6, 7])))
def test_every_way_is_undone_by_its_inverse(k, undone_by):
    chip = numbered(5)

    assert same(dihedral(dihedral(chip, k), undone_by), chip)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(WAYS, WAYS)))
def test_mirror_and_turns_compose_as_in_the_group_of_the_square(first, second):
    turns, mirrored = first % 4, first >= 4
    # A mirror that follows turns them the other way round: m r = r^-1 m.
    expected = (second - turns) % 4 if second >= 4 else (second + turns) % 4
    expected += 4 * (mirrored != (second >= 4))
    chip = numbered(4)

    assert same(dihedral(dihedral(chip, first), second), dihedral(chip, expected))


@settings(max_examples=60, deadline=None)
@given(ways, edges, st.integers(1, 3))
def test_pixels_move_together_in_all_planes_and_none_is_made_up(k, edge, n_bands):
    chip = numbered(edge, n_bands)

    laid = dihedral(chip, k)

    assert sorted(laid["label"].ravel()) == sorted(chip["label"].ravel())
    np.testing.assert_array_equal(laid["flags"], laid["label"].astype(int) + 100)
    for band, plane in enumerate(laid["image"]):
        np.testing.assert_array_equal(plane, laid["label"].astype(int) + 1000 * band)


def test_the_ways_are_a_quarter_turn_to_the_left_and_a_mirror_from_left_to_right():
    chip = Chip(
        image=np.zeros((1, 2, 2), np.int16), label=np.array([[0, 1], [2, 255]], np.uint8),
        flags=np.zeros((2, 2), np.uint8), chip_id="c",
    )  # fmt: skip

    assert dihedral(chip, 1)["label"].tolist() == [[1, 255], [0, 2]]
    assert dihedral(chip, 4)["label"].tolist() == [[1, 0], [255, 2]]
    assert dihedral(chip, 5)["label"].tolist() == [[0, 2], [1, 255]]


@pytest.mark.parametrize("k", WAYS)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_result_is_new_and_ready_for_torch_whatever_the_dtype(k, dtype):
    chip = numbered(4)
    chip["image"] = chip["image"].astype(dtype)
    before = {plane: chip[plane].copy() for plane in ("image", "label", "flags")}

    laid = dihedral(chip, k)

    for plane, array in before.items():
        assert laid[plane].flags.c_contiguous
        assert laid[plane].dtype == array.dtype
        assert not np.shares_memory(laid[plane], chip[plane])
        np.testing.assert_array_equal(chip[plane], array)
    assert laid["chip_id"] == "c"


@pytest.mark.parametrize("k", [-1, 8, 100])
def test_there_is_no_ninth_way(k):
    with pytest.raises(ConfigError, match=str(k)):
        dihedral(numbered(2), k)


@pytest.mark.parametrize(("plane", "shape"), [("image", (2, 4, 5)), ("label", (3, 3)), ("flags", (4,))])
def test_planes_that_do_not_fit_are_refused(plane, shape):
    chip = numbered(4)
    chip[plane] = np.zeros(shape, chip[plane].dtype)

    with pytest.raises(InputError, match="is not square"):
        dihedral(chip, 1)


def test_the_choice_is_the_same_for_ever():
    drawn = [dihedral_of("columbia_train_p7_2010_r0_c32", epoch, 8) for epoch in range(12)]

    assert drawn == [dihedral_of("columbia_train_p7_2010_r0_c32", np.int64(epoch), np.int32(8)) for epoch in range(12)]
    assert drawn == [3, 6, 4, 1, 7, 0, 6, 6, 6, 2, 6, 7]


@pytest.mark.parametrize("vary", ["chip", "epoch", "seed"])
def test_each_way_is_drawn_equally_often_whatever_varies(vary):
    n = 8000
    draws = {
        "chip": (dihedral_of(f"chip_{i}", 0, 8) for i in range(n)),
        "epoch": (dihedral_of("chip", i, 8) for i in range(n)),
        "seed": (dihedral_of("chip", 0, i) for i in range(n)),
    }

    counts = np.bincount(list(draws[vary]), minlength=8)

    # Chi-squared with 7 degrees of freedom: 24.3 is exceeded once in a thousand.
    assert len(counts) == 8
    assert ((counts - n / 8) ** 2 / (n / 8)).sum() < 24.3


def test_a_choice_that_is_no_whole_number_is_refused():
    with pytest.raises(ValueError, match="format code"):
        dihedral_of("chip", 1.5, 8)
