"""Columns written block by block are what was appended, however it came."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcn_luigi.io.shard.writer import ColumnWriter


def columns(first, count):
    numbers = np.arange(first, first + count)
    return {
        "chip_id": np.array([f"chip {number}" for number in numbers], dtype="S128"),
        "row": numbers.astype(np.int32),
        "share": (numbers / 7).astype(np.float32),
        "transform": np.column_stack([numbers * 0.5] * 6),
    }


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as made:
        made.create_dataset("chip", (0,), "<i4", chunks=(4096,), maxshape=(None,)).make_scale("chip")
        made.create_dataset("affine", data=np.arange(6)).make_scale("affine")
        yield made


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 3000), max_size=8))
def test_all_rows_are_there_in_order(lengths):
    with h5py.File("nowhere.h5", "w", driver="core", backing_store=False) as made:
        made.create_dataset("chip", (0,), "<i4", chunks=(4096,), maxshape=(None,)).make_scale("chip")
        made.create_dataset("affine", data=np.arange(6)).make_scale("affine")
        writer, first = ColumnWriter(made, "chip"), 0
        for length in lengths:
            writer.append(columns(first, length), length)
            first += length
        writer.finish(columns(0, 0))

        for name, values in columns(0, first).items():
            np.testing.assert_array_equal(made[name][...], values)
            assert made[name].dtype == values.dtype
        assert made["chip"][...].tolist() == list(range(first))
        assert made["transform"].dims[1][0].name == "/affine"


def test_memory_holds_no_more_than_a_block(file):
    writer = ColumnWriter(file, "chip")

    for first in range(0, 30_000, 289):
        writer.append(columns(first, 289), 289)
        written = len(file["row"]) if "row" in file else 0
        assert len(writer) - written <= 4096

    assert len(writer) == 289 * len(range(0, 30_000, 289))


def test_long_texts_take_little_room(file):
    writer = ColumnWriter(file, "chip")
    writer.append(columns(0, 9000), 9000)
    writer.finish(columns(0, 0))

    assert file["chip_id"].id.get_storage_size() < 0.2 * 9000 * 128


def test_another_length_and_other_names_are_told(file):
    writer = ColumnWriter(file, "chip")
    writer.append(columns(0, 5), 5)

    assert list(writer.misfits(columns(5, 4), 5)) == [
        f"column {name} has 4 chips, not 5" for name in ("chip_id", "row", "share", "transform")
    ]
    assert list(writer.misfits({"row": np.zeros(5)}, 5)) == [
        f"column {name} does not exist for every chip" for name in ("chip_id", "share", "transform")
    ]
    assert list(writer.misfits(columns(5, 5), 5)) == []
