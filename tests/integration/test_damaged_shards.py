"""Chips come out of a damaged shard as they were, or not at all: for every codec, both layouts and all ways to read."""

import shutil

import h5py
import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.config import load_region
from gcn_luigi.errors import ShardError
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.read.validate import validate
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.stages.dataset.summary import write_index, write_statistics
from tests.faults.flips import Flip, flip_one_bit

LAYOUTS = ("chips", "windows")
PLANES = ("image", "label", "flags")

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def stored(small_output, tmp_path_factory):
    """Return what gives a dataset of a layout and codec, made when first asked for."""
    made = {}

    def make(layout, codec):
        if (layout, codec) not in made:
            target = tmp_path_factory.mktemp("stored") / f"{layout}-{codec}"
            convert_dataset(small_output, target, layout, codec, lambda *_: None)
            made[layout, codec] = target
        return made[layout, codec]

    return make


@pytest.fixture(scope="module")
def expected(small_output):
    """Return all chips of each split, from the shards as they were built."""
    dataset = gcn_luigi.open_dataset(small_output)
    return {split: dataset.chips(split).batch(range(len(dataset.chips(split)))) for split in ("train", "dev")}


def everything_but_pixels(path):
    """Return what a shard says in its attributes, columns and tables."""
    with ShardReader(path) as shard:
        shard.check()
        columns = {f"{axis} {name}": values for axis in LAYOUTS for name, values in shard.columns(axis[:-1]).items()}
        tables = {f"{group} {name}": v for group, table in shard.tables().items() for name, v in table.items()}
        return {
            **shard.attributes,
            **columns,
            **tables,
            "shapes": {name: array.shape for name, array in shard.arrays.items()},
        }


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def is_refused_or_equal(read, wanted, refusal):
    """Return whether reading was refused; assert that it gave what it must where it was not."""
    try:
        found = read()
    except refusal:
        return True
    assert_equal(found, wanted)
    return False


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_flipped_bit_gives_an_error_wherever_it_is(stored, expected, layout, codec):
    directory = stored(layout, codec)
    dataset = gcn_luigi.open_dataset(directory)
    rng = np.random.default_rng([LAYOUTS.index(layout), CODECS.index(codec)])
    paths = sorted((directory / "shards").iterdir())
    # Pixels take most of the bytes: as many flips fall outside of them as anywhere.
    outside = {path: np.flatnonzero(~pixel_bytes(path)) for path in paths}
    said = {path: everything_but_pixels(path) for path in paths}
    refused = []
    for number in range(50):
        path = paths[number % len(paths)]
        if number % 4 < 2:
            flip = Flip(path, int(rng.choice(outside[path])), int(rng.integers(8)))
            flip.restore()
        else:
            flip = flip_one_bit(directory, rng, path)
        with flip:
            split = path.name.split("-")[0]
            reader = dataset.chips(split)
            chips = is_refused_or_equal(lambda r=reader: r.batch(range(len(r))), expected[split], ShardError)
            reader.close()
            is_refused_or_equal(lambda p=path: everything_but_pixels(p), said[path], OSError)
            refused.append(chips)

    assert refused == [True] * 50
    assert_equal(dataset.chips("train").batch(range(5)), {name: v[:5] for name, v in expected["train"].items()})


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "none"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_plain_h5py_refuses_what_is_damaged(stored, layout, codec):
    if codec in ("bitshuffle-lz4", "zstd"):
        pytest.importorskip("hdf5plugin")
    path = min((stored(layout, codec) / "shards").glob("train-*"))
    rng = np.random.default_rng(3)
    with ShardReader(path) as shard:
        arrays = shard.arrays
    for _ in range(20):
        name = PLANES[rng.integers(3)]
        row = int(rng.integers(arrays[name].shape[0]))
        place = int(arrays[name].offsets[row] + rng.integers(arrays[name].sizes[row]))
        with h5py.File(path, locking=False) as file:
            expected = file[name][row]
        flip = Flip(path, place, int(rng.integers(8)))
        flip.restore()
        with flip, h5py.File(path, locking=False) as file, pytest.raises(OSError, match=r"checksum|filter"):
            file[name][row]
        with h5py.File(path, locking=False) as file:
            np.testing.assert_array_equal(file[name][row], expected)


def pixel_bytes(path):
    covered = np.zeros(path.stat().st_size, bool)
    with ShardReader(path) as shard:
        for array in shard.arrays.values():
            for offset, size in zip(array.offsets.tolist(), array.sizes.tolist(), strict=True):
                covered[offset : offset + size] = True
    return covered


def by_torch(reader, map_style):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from gcn_luigi.read.torch import ChipDataset, ChipStream, collate  # noqa: PLC0415  torch is an extra

    if not map_style:
        return list(ChipStream(reader, 7))
    return list(torch.utils.data.DataLoader(ChipDataset(reader), batch_size=7, collate_fn=collate))


WAYS = {
    "one by one": list,
    "a batch": lambda reader: reader.batch(range(len(reader))),
    "a batch by threads": lambda reader: reader.batch(range(len(reader))),
    "batches": lambda reader: list(reader.batches(7)),
    "batches in groups": lambda reader: list(reader.batches(7, reader.order(seed=3, group=2))),
    "memory": lambda reader: reader.preload(),
    "memory by threads": lambda reader: reader.preload(),
    "torch stream": lambda reader: by_torch(reader, map_style=False),
    "torch dataset": lambda reader: by_torch(reader, map_style=True),
}


class TestNames:
    @pytest.fixture(params=LAYOUTS)
    def damaged(self, request, stored, tmp_path):
        """Return a dataset with one damaged row of pixels, the shard's name, and the chips that lie in the row."""
        directory = shutil.copytree(stored(request.param, "deflate"), tmp_path / "copy")
        path = sorted((directory / "shards").glob("train-*"))[1]
        with ShardReader(path) as shard:
            row = shard.arrays["label"].shape[0] * 2 // 3
            array = shard.arrays["image"]
            offset = int(array.offsets[row] + array.sizes[row] // 2)
            chips = np.flatnonzero(shard.places[:, 0] == row)
            ids = shard.column("chip_id")[chips].tolist()
        Flip(path, offset, 5).restore()
        return directory, path, dict(zip(ids, chips.tolist(), strict=True))

    @pytest.mark.parametrize("way", WAYS)
    def test_every_way_to_read_names_shard_chip_and_row(self, damaged, way):
        directory, path, victims = damaged
        reader = gcn_luigi.open_dataset(directory).chips("train", threads=3 if "threads" in way else 1)

        with pytest.raises(ShardError) as caught:
            WAYS[way](reader)

        (named,) = [name for name in victims if f"chip {name} " in caught.value.what]
        assert caught.value.where == f"{path}, row {victims[named]}"
        assert "gcn run --deep" in caught.value.fix
        reader.close()

    def test_a_deep_look_names_the_chips_in_a_shard_that_is_damaged_twice(self, damaged):
        directory, path, victims = damaged
        (shallow,) = validate(directory)
        assert shallow == f"shards/{path.name}: its bytes changed (SHA-256 differs)"

        first, told = validate(directory, deep=True)

        assert first == shallow
        assert told.startswith(f"{path.name}: ")
        assert "image: the checksum of a chunk is wrong: it is damaged" in told
        assert all(name in told for name in list(victims)[:3])

    def test_where_the_shards_list_of_chips_is_damaged_the_shard_is_named(self, damaged):
        directory, path, _ = damaged
        Flip(path, int(np.flatnonzero(~pixel_bytes(path))[100]), 1).restore()

        _, told = validate(directory, deep=True)

        assert told.startswith(f"{path.name}: cannot be read: the shard is damaged outside its pixels")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_the_codec_a_sound_dataset_is_sound_to_the_bottom(stored, layout, codec):
    assert list(validate(stored(layout, codec), deep=True)) == []


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("index.parquet", "chip_table"),
        ("catalog.parquet", "partition_table"),
        ("statistics.json", "statistics"),
    ],
)
def test_a_table_whose_bytes_changed_is_not_read(stored, tmp_path, name, table):
    directory = shutil.copytree(stored("windows", "deflate"), tmp_path / "copy")
    dataset = gcn_luigi.open_dataset(directory)
    flip_one_bit(directory, np.random.default_rng(1), directory / name)

    with pytest.raises(ShardError, match="its bytes changed") as caught:
        getattr(dataset, table)

    assert caught.value.where == str(directory / name)


@pytest.mark.parametrize("stage", [write_index, write_statistics])
def test_a_stage_that_meets_a_damaged_shard_names_it(small_output, tmp_path, tiny, stage):
    directory = shutil.copytree(small_output, tmp_path / "copy")
    (path,) = (directory / "shards").glob("dev-*")
    Flip(path, int(np.flatnonzero(~pixel_bytes(path))[-1]), 0).restore()
    settings = load_region(tiny.config / f"{tiny.region}.toml").settings
    out = [tmp_path / name for name in ("a", "b", "c")][: 3 if stage is write_index else 1]

    with pytest.raises(ShardError, match="the shard") as caught:
        stage(settings, DatasetPaths(directory), *out)

    assert caught.value.where == str(path)
