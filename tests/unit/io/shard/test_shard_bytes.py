"""The bytes of a shard are decided by its chips, not by what else the process does with frames, garbage and handles."""

import gc
import hashlib
import sys
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.prepare.chips.metadata import empty_columns
from tests.reference.shards import LATTICE, TABLES, append, make_columns, make_header, write_shard

COUNT = 60


def write_chips(path, codec):
    write_shard(path, COUNT, codec=codec, batches=6)


def write_windows(path, codec):
    """Write a shard of partitions, some chips in each."""
    height, width = 24, 40
    rng = np.random.default_rng(4)
    pixels = {
        "image": rng.integers(-32768, 32768, (COUNT, 3, height, width)).astype(np.int16),
        "label": rng.choice(np.array([0, 1, 2, 255], np.uint8), (COUNT, height, width)),
        "flags": rng.integers(0, 32, (COUNT, height, width)).astype(np.uint8),
    }
    numbers = np.arange(COUNT, dtype=np.int32)
    windows = {
        "window_partition": np.array([f"r{number:04d}" for number in numbers], "S64"),
        "window_year": np.full(COUNT, 2004, np.int16),
        "window_height": np.full(COUNT, height, np.int32),
        "window_width": np.full(COUNT, width, np.int32),
        "window_transform": np.column_stack([numbers * 0.5] * 6),
    }
    header = make_header(layout="windows", window=(height, width))
    with create_shard(path, header, codec) as writer:
        for part in np.array_split(np.arange(COUNT), 6):
            columns = {name: values[part] for name, values in make_columns(COUNT).items()}
            columns["in_window"] = numbers[part]
            append(
                writer,
                {name: values[part] for name, values in pixels.items()},
                columns,
                {name: values[part] for name, values in windows.items()},
            )
        empty = {**empty_columns("alps", "train", LATTICE), "in_window": np.empty(0, np.int32)}
        writer.finish(empty, TABLES, {name: values[:0] for name, values in windows.items()})


WRITERS = {"chips": write_chips, "windows": write_windows}


@contextmanager
def watched(look):
    """Call `look` with every frame of Python that is entered or left."""
    before = sys.getprofile()
    sys.setprofile(lambda frame, *_: look(frame))
    try:
        yield
    finally:
        sys.setprofile(before)


@contextmanager
def frames_held():
    """Keep every frame, and so all that its variables hold."""
    kept = []
    with watched(kept.append):
        yield
    assert len(kept) > 1000


@contextmanager
def frames_let_go_at_random(seed=1):
    """Keep frames, and forget them all now and then."""
    kept, rng = [], np.random.default_rng(seed)

    def look(frame):
        kept.append(frame)
        if rng.random() < 0.002:
            kept.clear()

    with watched(look):
        yield


@contextmanager
def garbage_collected_at_random(seed=1):
    """Leave circles of frames to the collector, and let it work at random moments alone."""
    rng = np.random.default_rng(seed)

    def look(frame):
        # A circle: nothing but the collector frees the frame, and with it what its variables hold.
        circle = [frame]
        circle.append(circle)
        if rng.random() < 0.001:
            gc.collect(0)

    was_on = gc.isenabled()
    gc.disable()
    try:
        with watched(look):
            yield
    finally:
        if was_on:
            gc.enable()


WAYS = {
    "frames held": frames_held,
    "frames let go at random": frames_let_go_at_random,
    "frames let go at other moments": lambda: frames_let_go_at_random(2),
    "garbage collected at random": garbage_collected_at_random,
    "garbage collected at other moments": lambda: garbage_collected_at_random(2),
}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("layout", WRITERS)
def test_whatever_keeps_frames_alive_a_shard_has_the_same_bytes(tmp_path, layout, codec):
    WRITERS[layout](tmp_path / "plain.h5", codec)
    expected = digest(tmp_path / "plain.h5")

    for number, (way, held) in enumerate(WAYS.items()):
        path = tmp_path / f"{number}.h5"
        with held():
            WRITERS[layout](path, codec)
        assert digest(path) == expected, way


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("layout", WRITERS)
def test_no_object_of_a_finished_shard_is_open_before_its_file_is_closed(tmp_path, layout, codec, monkeypatch):
    left, close = [], h5py.File.close

    def closed(file):
        if file.id.valid and file.mode == "r+":
            every = h5py.h5f.OBJ_LOCAL | h5py.h5f.OBJ_DATASET | h5py.h5f.OBJ_GROUP | h5py.h5f.OBJ_ATTR
            left.append(h5py.h5f.get_obj_count(file.id, every | h5py.h5f.OBJ_DATATYPE))
        close(file)

    monkeypatch.setattr(h5py.File, "close", closed)
    with frames_held():
        WRITERS[layout](tmp_path / "a.h5", codec)

    assert left == [0]
