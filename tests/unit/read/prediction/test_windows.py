"""A map does not depend on windows, strips, batches or interruptions where the model does not."""

import dataclasses

import numpy as np
import pytest

from gcn_luigi.classes import ClassTable
from gcn_luigi.errors import ConfigError, InputError
from gcn_luigi.prepare.chips.blending import shares_of, window_starts, window_weights
from gcn_luigi.read.prediction.card import ModelBand, ModelCard
from gcn_luigi.read.prediction.windows import Plan, finished_rows
from gcn_luigi.read.rasters import Raster

CLASSES = ClassTable.of([{"name": name, "value": value} for name, value in (("water", 3), ("ice", 7), ("rock", 200))])
BANDS = (ModelBand("a", "optical", "", 1, 0, 10.0, 4.0), ModelBand("b", "topo", "m", 1, 0, -3.0, 0.5))
CARD = ModelCard(BANDS, "int16", CLASSES, 16, 30.0, "d" * 64)
MATRIX = np.array([[0.5, -0.2], [0.1, 0.9], [-0.7, 0.3]], np.float32)


def image_of(shape, seed=0):
    return np.random.default_rng(seed).integers(-20, 40, (2, *shape)).astype(np.int16)


def raster_of(image, missing=None):
    gone = np.zeros(image.shape, bool) if missing is None else missing

    def read(rows, cols):
        return image[:, rows, cols], gone[:, rows, cols]

    return Raster(*image.shape[1:], read)


def plan_of(size=16, overlap=8, **more):
    return dataclasses.replace(Plan(size, overlap, "hann", 3, "any"), **more)


def by_pixel(images):
    """Score each pixel by itself, with operations that round alike wherever the pixel is."""
    return np.stack([row[0] * images[:, 0] + row[1] * images[:, 1] for row in MATRIX], axis=1)


def with_context(images):
    """Score each pixel from its neighbours within the window, so that the edge of the window matters."""
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    near = sum(padded[..., i : i + images.shape[-2], j : j + images.shape[-1]] for i in range(5) for j in range(5))
    return by_pixel(near / 25)


def whole_map(raster, plan, score, reached=None):
    classes = np.zeros((raster.height, raster.width), np.uint8)
    shares = np.full((3, raster.height, raster.width), -1, np.float32)
    done = [0.0]
    strips = list(plan.strips(raster.width))
    for rows, share in finished_rows(raster, CARD, plan, score, reached or {}):
        place = (
            slice(rows.first, rows.first + len(rows.classes)),
            slice(strips[rows.strip].first, strips[rows.strip].stop),
        )
        classes[place], shares[(slice(None), *place)] = rows.classes, rows.shares
        done.append(share)
    assert done == sorted(done)
    assert done[-1] == 1
    return classes, shares


def normalised(image):
    mean, std = CARD.scales
    return ((image - mean) / std).astype(np.float32)


@pytest.mark.parametrize("blending", ["hann", "linear"])
@pytest.mark.parametrize("shape", [(40, 53), (16, 16), (5, 70), (33, 7), (3, 4), (17, 1100)])
@pytest.mark.parametrize(("size", "overlap"), [(16, 8), (16, 0), (16, 15), (11, 3), (8, 5)])
def test_a_model_that_looks_at_single_pixels_gives_exactly_its_map(shape, size, overlap, blending):
    image = image_of(shape)
    wanted = shares_of(by_pixel(normalised(image)[np.newaxis])[0])

    classes, shares = whole_map(raster_of(image), plan_of(size, overlap, blending=blending, strip_pixels=1), by_pixel)

    np.testing.assert_array_equal(classes, CLASSES.value_array[wanted.argmax(axis=0)])
    np.testing.assert_allclose(shares, wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("scores", [(0, 0, 0), (0, 0, 1), (-5, 40, 3)])
def test_a_constant_model_stays_constant(scores):
    def constant(images):
        column = np.array(scores, np.float32)[:, np.newaxis, np.newaxis]
        return np.broadcast_to(column, (len(images), 3, *images.shape[2:]))

    classes, shares = whole_map(raster_of(image_of((37, 90))), plan_of(overlap=5), constant)

    assert np.unique(classes).tolist() == [CLASSES.values[int(np.argmax(scores))]]
    assert all(len(np.unique(plane)) == 1 for plane in shares)


@pytest.mark.parametrize(("size", "overlap"), [(16, 8), (16, 3), (12, 9)])
def test_windows_are_blended_as_in_a_plain_loop(size, overlap):
    image = image_of((45, 61), seed=2)
    weights = window_weights(size, overlap, "hann")
    sums, totals = np.zeros((3, 45, 61)), np.zeros((45, 61))
    for top in window_starts(45, size, size - overlap).tolist():
        for left in window_starts(61, size, size - overlap).tolist():
            at = slice(top, top + size), slice(left, left + size)
            sums[(slice(None), *at)] += weights * shares_of(
                with_context(normalised(image[(slice(None), *at)])[None])[0]
            )
            totals[at] += weights

    classes, shares = whole_map(raster_of(image), plan_of(size, overlap), with_context)

    np.testing.assert_array_equal(shares, (sums / totals).astype(np.float32))
    np.testing.assert_array_equal(classes, CLASSES.value_array[(sums / totals).argmax(axis=0)])


@pytest.mark.parametrize("change", [{"strip_pixels": 1}, {"batch": 1}, {"batch": 100}])
def test_a_pixel_depends_on_neither_strips_nor_batches(change):
    raster = raster_of(image_of((40, 1300), seed=3))
    classes, shares = whole_map(raster, plan_of(), with_context)
    others = whole_map(raster, plan_of(**change), with_context)

    np.testing.assert_array_equal(classes, others[0])
    np.testing.assert_array_equal(shares, others[1])


def test_going_on_from_any_row_gives_the_same_rows():
    raster, plan = raster_of(image_of((60, 600), seed=4)), plan_of(strip_pixels=1)
    pieces = [rows for rows, _ in finished_rows(raster, CARD, plan, with_context, {})]
    for number, piece in enumerate(pieces):
        reached = {}
        for done in pieces[:number]:
            reached[done.strip] = done.first + len(done.classes)
        rest = [rows for rows, _ in finished_rows(raster, CARD, plan, with_context, reached)]
        assert [(rows.strip, rows.first) for rows in rest] == [(rows.strip, rows.first) for rows in pieces[number:]]
        np.testing.assert_array_equal(rest[0].classes, piece.classes)
        np.testing.assert_array_equal(rest[0].shares, piece.shares)


def test_a_map_has_no_class_where_a_band_is_missing_or_where_all_are():
    image, gone = image_of((30, 40)), np.zeros((2, 30, 40), bool)
    gone[0, 4:9, 3:30], gone[1, 6:20, 20:35] = True, True
    for missing, wanted in (("any", gone.any(axis=0)), ("all", gone.all(axis=0))):
        classes, shares = whole_map(raster_of(image, gone), plan_of(missing=missing), by_pixel)
        np.testing.assert_array_equal(classes == 255, wanted)
        np.testing.assert_array_equal(np.isnan(shares), np.broadcast_to(wanted, shares.shape))


def test_missing_pixels_are_0_for_the_model_whatever_they_hold():
    image = image_of((16, 16)).astype(np.float32)
    gone = np.zeros(image.shape, bool)
    gone[0, 3, 3:7] = True
    image[0, 3, 3:7] = [np.nan, np.inf, -np.finfo(np.float32).max, -32768]
    seen = []

    def watching(images):
        seen.append(images.copy())
        return by_pixel(images)

    whole_map(raster_of(image, gone), plan_of(), watching)

    assert (seen[0][0, 0, 3, 3:7] == 0).all()
    assert np.isfinite(seen[0]).all()


def test_windows_without_a_pixel_of_the_map_are_not_computed():
    image, gone = image_of((64, 64)), np.ones((2, 64, 64), bool)
    gone[:, :4, :4] = False
    calls = []

    def counting(images):
        calls.append(len(images))
        return by_pixel(images)

    classes, _ = whole_map(raster_of(image, gone), plan_of(), counting)

    assert calls == [3]
    assert (classes != 255).sum() == 16


def test_the_model_always_gets_full_batches():
    shapes = set()

    def watching(images):
        shapes.add(images.shape)
        return by_pixel(images)

    whole_map(raster_of(image_of((40, 75))), plan_of(batch=4), watching)
    assert shapes == {(4, 2, 16, 16)}


@pytest.mark.parametrize("size", [16, 200])
def test_memory_does_not_depend_on_the_size_of_the_raster(size):
    largest = {}
    for edge in (20_000, 2_000_000):
        sizes = []

        def read(rows, cols, sizes=sizes):
            sizes.append((rows.stop - rows.start) * (cols.stop - cols.start))
            shape = (2, rows.stop - rows.start, cols.stop - cols.start)
            return np.zeros(shape, np.int16), np.ones(shape, bool)

        pieces = finished_rows(
            Raster(edge, edge, read), CARD, plan_of(size, size // 2, strip_pixels=1 << 17), by_pixel, {}
        )
        held = [rows.shares.nbytes for rows, _ in (next(pieces) for _ in range(3))]
        largest[edge] = max(sizes), max(held)
    assert largest[20_000] == largest[2_000_000]
    assert largest[20_000][0] < 1 << 19


@pytest.mark.parametrize(
    "wrong",
    [
        lambda images: by_pixel(images)[:, :2],
        lambda images: by_pixel(images)[..., 1:-1, 1:-1],
        lambda images: by_pixel(images)[0],
        lambda images: by_pixel(images).argmax(axis=1),
        lambda _images: None,
    ],
    ids=["classes", "smaller", "one", "labels", "nothing"],
)
def test_scores_of_another_shape_are_refused(wrong):
    with pytest.raises(ConfigError, match="the model returns") as refused:
        whole_map(raster_of(image_of((20, 20))), plan_of(), wrong)
    assert "3 classes" in refused.value.fix


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(value):
    def broken(images):
        scores = by_pixel(images)
        scores[0, 1, 2, 3] = value
        return scores

    with pytest.raises(InputError, match="not finite"):
        whole_map(raster_of(image_of((20, 20))), plan_of(), broken)


def test_shares_instead_of_scores_are_refused():
    with pytest.raises(ConfigError, match="softmax") as refused:
        whole_map(
            raster_of(image_of((20, 20))), plan_of(), lambda images: np.stack([*map(shares_of, by_pixel(images))])
        )
    assert "leave out its last softmax" in refused.value.fix


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_shares_of_half_precision_are_refused_as_well(kind):
    """Their sums differ from 1 by some thousandths."""
    rng = np.random.default_rng(1)

    def rounded(images):
        shares = np.stack([shares_of(one) for one in rng.normal(size=(len(images), 3, *images.shape[2:]))])
        if kind == "float16":
            return shares.astype(np.float16)
        bits = shares.astype(np.float32).view(np.uint32)
        return ((bits + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32)

    with pytest.raises(ConfigError, match="add up to 1"):
        list(finished_rows(raster_of(image_of((20, 20))), CARD, plan_of(), rounded, {}))
