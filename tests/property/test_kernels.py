"""Kernels and their fronts against the references, over shapes, sentinels and policies."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gcn_luigi.bands import Band, BandSchema, Role
from gcn_luigi.classes import ClassTable
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.chips.chips import chip_offsets, chip_origins, coverage, cut_chips, gather_chips
from gcn_luigi.prepare.chips.selection import count_chips
from gcn_luigi.prepare.layers.labels import count_classes
from gcn_luigi.prepare.missing.fill import Corrected, flag_outside, outside_flags, strict_nodata
from gcn_luigi.prepare.missing.legacy import legacy_nodata
from gcn_luigi.prepare.statistics.histograms import PixelHistograms, weighted_classes
from gcn_luigi.prepare.statistics.statistics import ks_distance, summarise
from gcn_luigi.settings import NodataSettings
from tests.reference import chips as reference_chips
from tests.reference import nodata as reference_nodata
from tests.reference import statistics as reference_statistics

EDGES = ("legacy", "clamp", "drop", "pad")
# Values of float32 alone: half numbers, the mark of saturation, and what a conversion never leaves in a stack.
FLOAT_SPECIAL = (0.5, -0.5, float(np.finfo(np.float32).max), float(np.finfo(np.float32).min), np.nan, np.inf, -np.inf)
SPECIAL = (-32768, -9999, -5, -3, -1, 0, 1, 2, 3, 4, 5, 7, 255, 32766, 32767)

shapes = st.tuples(st.integers(0, 4), st.integers(0, 9))
# One row longer than any vector register, so that the unrolled part of a loop is met too.
wide_shapes = st.one_of(shapes, st.tuples(st.just(1), st.integers(30, 90)))


@st.composite
def stacks(draw, n_bands, dtype):
    """A stack (band, y, x), most of its samples special values."""
    seed = draw(st.integers(0, 2**32 - 1))
    special = SPECIAL if dtype == "int16" else (*SPECIAL, *FLOAT_SPECIAL)
    return np.random.default_rng(seed).choice(np.array(special, dtype), (draw(n_bands), *draw(wide_shapes)))


@st.composite
def schemas(draw):
    """Any number of bands of a role, each with its own nodata and range."""
    roles = [
        *[Role.OPTICAL] * draw(st.integers(0, 3)),
        *[Role.TOPO] * draw(st.integers(0, 3)),
        Role.LABEL,
        *[Role.DISTANCE] * draw(st.integers(0, 1)),
    ]
    limit = st.one_of(st.none(), st.integers(-40000, 40000), st.floats(-10, 10))
    return BandSchema(
        tuple(
            Band(
                f"b{number}",
                role,
                nodata=draw(st.sampled_from((-32768, -9999, 0, 2, 255))),
                valid_min=draw(limit),
                valid_max=draw(limit),
            )
            for number, role in enumerate(roles)
        )
    )


windows = st.one_of(
    st.none(), st.builds(Window, st.integers(-3, 5), st.integers(-3, 9), st.integers(0, 6), st.integers(0, 12))
)


@st.composite
def stacks_with_schemas(draw):
    schema = draw(schemas())
    schema = BandSchema(schema.bands, draw(st.sampled_from(("int16", "float32"))))
    return draw(stacks(st.just(len(schema)), schema.dtype)), schema


@st.composite
def legacy_cases(draw):
    """A stack, its schema and settings of mode legacy."""
    stack, schema = draw(stacks_with_schemas())
    bands = st.integers(-len(schema), len(schema) - 1)
    probed = {"optical_band": draw(bands), "topo_band": draw(bands), "alt_topo_band": draw(st.none() | bands)}
    return stack, schema, NodataSettings(mode="legacy", fill=draw(st.sampled_from((0, 7, -32768))), legacy=probed)


@settings(max_examples=300, deadline=None)
@given(legacy_cases())
def test_legacy_is_the_reference_to_the_bit(case):
    stack, schema, options = case
    expected = reference_nodata.legacy_nodata(
        stack,
        class_band=schema.label_index,
        topo_start=len(schema.indices(Role.OPTICAL)),
        fill=options.fill,
        **options.legacy.model_dump(),
    )

    made = legacy_nodata(stack, schema, options)

    assert made is stack
    assert made.tobytes() == expected.tobytes()


@settings(max_examples=250, deadline=None)
@given(stacks_with_schemas(), windows, st.sampled_from((0, 7, -1)), st.booleans())
def test_strict_is_the_reference_to_the_bit(case, inside, fill, reuse):
    stack, schema = case
    buffers = None
    if reuse:
        buffers = Corrected.empty(schema, stack.shape[1:])
        for field in dataclasses.fields(buffers):
            getattr(buffers, field.name)[...] = 77

    made = strict_nodata(stack, schema, inside=inside, fill=fill, out=buffers)

    expected = reference_nodata.strict_nodata(stack, schema, inside, fill)
    for field, wanted in zip(dataclasses.fields(made), expected, strict=True):
        actual = getattr(made, field.name)
        assert actual.dtype == wanted.dtype
        assert actual.tobytes() == wanted.tobytes(), field.name


@settings(max_examples=100, deadline=None)
@given(stacks_with_schemas(), windows, st.integers(0, 2**32 - 1), st.sampled_from((0.0, 0.3, 1.0)), st.booleans())
def test_pixels_without_a_tile_are_missing_in_every_role(case, inside, seed, share, is_legacy):
    stack, schema = case
    outside = np.random.default_rng(seed).random(stack.shape[1:]) < share
    before = strict_nodata(stack, schema, inside=inside, fill=5)
    made = strict_nodata(stack, schema, inside=inside, fill=5)

    assert flag_outside(made, schema, outside, fill=None if is_legacy else 6) is made

    image, label = (before.image, before.label) if is_legacy else (np.int64(6), np.uint8(255))
    np.testing.assert_array_equal(made.image, np.where(outside, image, before.image))
    np.testing.assert_array_equal(made.label, np.where(outside, label, before.label))
    flags = before.flags | np.uint8(outside_flags(schema))
    np.testing.assert_array_equal(made.flags, np.where(outside, flags, before.flags))
    np.testing.assert_array_equal(made.out_of_range, before.out_of_range)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(("uint8", "int16", "float32")),
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 6), st.integers(1, 80)),
    st.tuples(st.integers(1, 4), st.sampled_from((1, 3, 32, 70))),
    st.sampled_from(("legacy", "pad")),
    st.data(),
)
def test_chips_are_gathered_as_they_are_cut_from_each_partition(dtype, shape, size, edge, data):
    stored = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    rows, cols = st.integers(0, shape[2]), st.integers(0, shape[3])
    extents = np.array(data.draw(st.lists(st.tuples(rows, cols), min_size=shape[0], max_size=shape[0])), np.int64)
    place = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, 8), st.integers(0, 90))
    places = np.array(data.draw(st.lists(place, max_size=4)), np.int64).reshape(-1, 3)
    out = np.empty((len(places), shape[1], *size), dtype)

    assert gather_chips(stored, places, out, edge=edge, extents=extents, fill=9) is out

    for chip, (partition, row, col) in zip(out, places, strict=True):
        height, width = extents[partition]
        part = stored[partition, :, :height, :width]
        np.testing.assert_array_equal(chip, reference_chips.cut_window(part, row, col, size, edge, 9))
    planes = np.empty((len(places), *size), dtype)
    gather_chips(np.ascontiguousarray(stored[:, 0]), places, planes, edge=edge, extents=extents, fill=9)
    np.testing.assert_array_equal(planes, out[:, 0])


@pytest.mark.parametrize("inside", [None, Window(0, 1, 70, 128), Window(3, 0, 66, 130)], ids=["all", "part", "rows"])
def test_stacks_longer_than_a_block_are_marked_whole(inside):
    # 9 100 pixels: two blocks and a rest, in one run or row by row.
    random = np.random.default_rng(3)
    bands = [Band("a", Role.OPTICAL, valid_min=-5, valid_max=300), Band("b", Role.TOPO, nodata=-9999)]
    schema = BandSchema((*bands, Band("label", Role.LABEL), Band("d", Role.DISTANCE, valid_max=4.5)))
    stack = random.choice(np.array(SPECIAL, np.int16), (4, 70, 130))

    made = strict_nodata(stack, schema, inside=inside, fill=9)

    expected = reference_nodata.strict_nodata(stack, schema, inside, 9)
    for field, wanted in zip(dataclasses.fields(made), expected, strict=True):
        assert getattr(made, field.name).tobytes() == wanted.tobytes(), field.name
    assert made.out_of_range.any()


lengths = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50)).map(
    lambda given: (max(given[:2]), min(given[:2]), given[2])
)


@settings(deadline=None)
@given(lengths, st.sampled_from(EDGES))
def test_offsets_are_those_of_the_reference(length, edge):
    assert chip_offsets(*length, edge) == reference_chips.chip_offsets(*length, edge)


@settings(deadline=None)
@given(lengths.filter(lambda length: length[2] <= length[1]), st.sampled_from(("clamp", "pad", "legacy")))
def test_chips_that_touch_see_every_pixel(length, edge):
    extent, size, step = length

    seen = {pixel for offset in chip_offsets(extent, size, step, edge) for pixel in range(offset, offset + size)}

    assert seen >= set(range(extent))


@st.composite
def cuts(draw):
    """Origins made for a declared shape, and the smaller or larger shape that is really there."""
    size, step = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    declared = (draw(st.integers(size, 12)), draw(st.integers(size, 12)))
    edge = draw(st.sampled_from(EDGES))
    actual = declared
    if edge in ("legacy", "pad"):
        actual = (draw(st.integers(1, 14)), draw(st.integers(1, 14)))
    return chip_origins(declared, size, step, edge), size, edge, actual


@settings(max_examples=150, deadline=None)
@given(cuts(), st.sampled_from(("uint8", "int16", "float32")), st.integers(0, 3), st.sampled_from((0, 7, 255)))
def test_chips_are_cut_as_in_the_reference(cut, dtype, n_bands, fill):
    origins, size, edge, shape = cut
    stack = np.random.default_rng(0).integers(0, 250, (n_bands, *shape)).astype(dtype)

    chips = cut_chips(stack, origins, size, edge=edge, fill=fill)

    assert chips.shape == (len(origins), n_bands, size, size)
    for chip, (row, col) in zip(chips, origins, strict=True):
        np.testing.assert_array_equal(chip, reference_chips.cut_chip(stack, row, col, size, edge, fill))


@st.composite
def large_cuts(draw):
    """Planes of several strips, and rows of chips longer than the unrolled part of a copy."""
    size = draw(st.sampled_from((1, 31, 32, 37, 64, 128)))
    shape = (draw(st.integers(1, 150)), draw(st.integers(1, 200)))
    origins = draw(hnp.arrays(np.int64, (3, 2), elements=st.integers(0, 160)))
    return origins, size, draw(st.sampled_from(("legacy", "pad"))), shape


@settings(max_examples=60, deadline=None)
@given(large_cuts(), st.sampled_from(("uint8", "int16", "float32")))
def test_chips_of_large_planes_are_cut_as_in_the_reference(cut, dtype):
    origins, size, edge, shape = cut
    stack = np.random.default_rng(0).integers(0, 250, (2, *shape)).astype(dtype)

    chips = cut_chips(stack, origins, size, edge=edge, fill=7)

    for chip, (row, col) in zip(chips, origins, strict=True):
        np.testing.assert_array_equal(chip, reference_chips.cut_chip(stack, row, col, size, edge, 7))


@pytest.mark.parametrize("shift", [0, 2])
def test_chips_too_many_for_the_cache_are_those_of_the_reference(shift):
    # Beyond 32 MiB chips are written past the caches where they are aligned, and through them where not.
    stack = np.random.default_rng(0).integers(-9, 9, (2, 144, 160)).astype(np.int16)
    origins = np.random.default_rng(1).integers(0, 40, (530, 2))
    raw = np.empty(len(origins) * 2 * 128 * 128 * 2 + 64, np.uint8)
    start = -raw.ctypes.data % 64 + shift
    out = raw[start : start + len(raw) - 64].view(np.int16).reshape(len(origins), 2, 128, 128)

    cut_chips(stack, origins, 128, edge="pad", fill=-1, out=out)

    assert out.nbytes > 2**25
    for chip, (row, col) in zip(out, origins, strict=True):
        np.testing.assert_array_equal(chip, reference_chips.cut_chip(stack, row, col, 128, "pad", -1))


@settings(max_examples=150, deadline=None)
@given(cuts(), st.integers(0, 2**32 - 1), st.sampled_from((0, 8, 15, 31)))
def test_counts_are_those_of_the_cut_chips(cut, seed, beyond):
    origins, size, edge, shape = cut
    random = np.random.default_rng(seed)
    label = random.choice(np.array([0, 1, 2, 255, 7], np.uint8), shape)
    flags = random.integers(0, 32, shape, np.uint8)

    counts = count_chips(label, flags, origins, size, edge=edge, beyond=beyond)

    columns = reference_chips.count_columns(counts)
    for row, (top, left) in zip(columns.tolist(), origins, strict=True):
        chip = reference_chips.cut_chip(label[None], top, left, size, edge, 255)[0]
        missing = reference_chips.cut_chip(flags[None], top, left, size, edge, beyond)[0]
        assert row == reference_chips.count_chip(chip, missing)
    assert (columns[:, :4].sum(axis=1) == size**2).all()


@pytest.mark.parametrize("size", [1, 60, 256, 300])
def test_counts_in_tall_planes_are_those_of_the_cut_chips(size):
    # More rows than a byte can count, with and without a window that begins or ends in between.
    random = np.random.default_rng(4)
    label = np.where(random.random((600, 5)) < 0.9, 1, 255).astype(np.uint8)
    flags = random.choice(np.array([0, 3], np.uint8), (600, 5), p=(0.1, 0.9))
    origins = np.array([[0, 0], [300, 1], [290, 4], [599, 0], [700, 0]])

    counts = count_chips(label, flags, origins, size, edge="pad", beyond=8)

    columns = reference_chips.count_columns(counts)
    for row, (top, left) in zip(columns.tolist(), origins, strict=True):
        chip = reference_chips.cut_chip(label[None], top, left, size, "pad", 255)[0]
        missing = reference_chips.cut_chip(flags[None], top, left, size, "pad", 8)[0]
        assert row == reference_chips.count_chip(chip, missing)


@settings(deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(0, 200)), elements=st.sampled_from((0, 1, 2, 3, 255)))
)
def test_classes_are_those_of_numpy(label):
    expected = reference_chips.count_classes(label)

    assert count_classes(label).tolist() == expected
    # Whatever the order in memory.
    assert count_classes(label.T).tolist() == expected


# As many as there may be, with the smallest and largest values.
tables = st.lists(st.integers(0, 254), min_size=2, max_size=32, unique=True).map(
    lambda values: ClassTable.of({"name": f"c{value}", "value": value} for value in values)
)


@settings(deadline=None)
@given(cuts(), tables, st.integers(0, 2**32 - 1))
def test_counts_of_any_classes_are_those_of_the_cut_chips(cut, table, seed):
    origins, size, edge, shape = cut
    random = np.random.default_rng(seed)
    label = random.choice(np.array([*table.values, 255, 99], np.uint8), shape)
    flags, weight = random.integers(0, 32, shape, np.uint8), random.integers(0, 5, shape, np.uint32)

    counts = count_chips(label, flags, origins, size, edge=edge, beyond=8, classes=table)

    for row, (top, left) in zip(reference_chips.count_columns(counts).tolist(), origins, strict=True):
        chip = reference_chips.cut_chip(label[None], top, left, size, edge, 255)[0]
        missing = reference_chips.cut_chip(flags[None], top, left, size, edge, 8)[0]
        assert row == reference_chips.count_chip(chip, missing, table.values)
    assert count_classes(label, table).tolist() == reference_chips.count_classes(label, table.values)
    of_each = [label == value for value in table.values]
    expected = [[int((weight[here] > 0).sum()), int(weight[here].sum())] for here in of_each]
    assert weighted_classes(label, weight, table).tolist() == expected


def test_classes_are_counted_beyond_what_a_byte_holds():
    label = np.random.default_rng(5).choice(np.array([0, 1, 2, 255], np.uint8), (301, 65))
    label[:290] = 2

    assert count_classes(label).tolist() == reference_chips.count_classes(label)


@settings(deadline=None)
@given(cuts())
def test_coverage_is_the_sum_over_chips(cut):
    origins, size, _, shape = cut

    np.testing.assert_array_equal(coverage(origins, size, shape), reference_chips.coverage(origins, size, shape))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 2), st.integers(0, 5), st.integers(0, 9))), st.data())
def test_summaries_are_those_of_the_repeated_samples(image, data):
    plane = image.shape[1:]
    flags = data.draw(hnp.arrays(np.uint8, plane, elements=st.integers(0, 3)))
    weight = data.draw(hnp.arrays(np.uint32, plane, elements=st.integers(0, 30)))
    bits = np.array([1, 2], np.uint8)[: len(image)]
    histograms = PixelHistograms(len(image))

    histograms.add(image, flags, bits, weight)

    for band, bit, once in zip(image, bits, histograms.once, strict=True):
        values = reference_statistics.samples(band, flags, bit, weight > 0)
        np.testing.assert_array_equal(once, np.bincount(values.astype(int) + 32768, minlength=65536))
    for band, bit, counted in zip(image, bits, histograms.weighted, strict=True):
        values = reference_statistics.samples(band, flags, bit, weight)
        summary = summarise(counted)
        assert summary.count == len(values)
        if len(values):
            assert (summary.min, summary.max) == (values.min(), values.max())
            np.testing.assert_allclose(summary.mean, values.mean(dtype=np.float64), rtol=1e-12, atol=1e-9)
            np.testing.assert_allclose(summary.std, values.std(dtype=np.float64), rtol=1e-9, atol=1e-9)
            assert summary.p1 == reference_statistics.percentile(values, 1)
            assert summary.p99 == reference_statistics.percentile(values, 99)


@settings(max_examples=40, deadline=None)
@given(st.lists(hnp.arrays(np.int16, (1, 2, 5)), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_merging_changes_nothing(images, random):
    plane = np.zeros((2, 5), np.uint8)
    together, parts = PixelHistograms(1), []
    for image in images:
        alone = PixelHistograms(1)
        for histograms in (together, alone):
            histograms.add(image, plane, np.ones(1, np.uint8), np.ones((2, 5), np.uint32))
        parts.append(alone.once)
    random.shuffle(parts)

    np.testing.assert_array_equal(sum(parts), together.once)
    assert summarise(sum(parts)[0]) == summarise(together.weighted[0])


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(0, 70), st.integers(0, 90)), st.integers(0, 2**32 - 1))
def test_images_longer_than_a_block_are_counted_whole(shape, seed):
    random = np.random.default_rng(seed)
    image = random.integers(-32768, 32768, (3, *shape)).astype(np.int16)
    flags, weight = random.integers(0, 8, shape, np.uint8), random.integers(0, 9, shape, np.uint32)
    label = random.choice(np.array([0, 1, 2, 255], np.uint8), shape)
    bits = np.array([1, 1, 4], np.uint8)
    histograms = PixelHistograms(3)

    histograms.add(image, flags, bits, weight)

    for number, bit in enumerate(bits):
        for counted, by in ((histograms.once, weight > 0), (histograms.weighted, weight)):
            values = reference_statistics.samples(image[number], flags, bit, by)
            np.testing.assert_array_equal(counted[number], np.bincount(values.astype(int) + 32768, minlength=65536))
    expected = [[int((weight[label == k] > 0).sum()), int(weight[label == k].sum())] for k in range(3)]
    assert weighted_classes(label, weight).tolist() == expected


samples = hnp.arrays(np.int64, st.integers(1, 12), elements=st.integers(-4, 4))


@settings(max_examples=60, deadline=None)
@given(samples, samples)
def test_the_distance_of_distributions_is_that_of_their_samples(a, b):
    histograms = [np.bincount(x + 32768, minlength=65536) for x in (a, b)]

    np.testing.assert_allclose(ks_distance(*histograms), reference_statistics.ks_distance(a, b), atol=1e-12)
