"""A shard holds its chips bit for bit, in a file that anyone can open, and says so when it is damaged."""

import fcntl
import json
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pyproj import CRS

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ShardError
from gcn_luigi.io.shard.format import FORMATS, PIXELS, write_footer
from gcn_luigi.io.shard.reader import ShardReader
from gcn_luigi.io.shard.writer import create_shard
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.chips.metadata import empty_columns
from gcn_luigi.read.dataset import ChipReader
from tests.reference.shards import LATTICE, TABLES, append, make_columns, make_header, make_pixels, write_shard

# Codecs that need no plugin, as the tests here open shards with HDF5 alone; tests/integration/test_layouts.py has all.
CODECS = ["deflate", "none"]
# Numbers that every build of HDF5 knows.
PLAIN_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train-00000-of-00002.h5"


def reader_of(path, count):
    """Return a reader of all chips of one shard, as an index would make it."""
    index = pd.DataFrame({"chip_id": [f"chip{row}" for row in range(count)]})
    return ChipReader(path.parent, index.assign(shard=path.name, shard_row=range(count)))


def chunk_bytes(path, name):
    """Return where the stored chunks of one array lie in the file."""
    with h5py.File(path) as file:
        dataset = file[name].id
        infos = [dataset.get_chunk_info(number) for number in range(dataset.get_num_chunks())]
    return [(info.byte_offset, info.size) for info in infos]


def flip(path, position, bit=0):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


class TestContent:
    @pytest.mark.parametrize("codec", CODECS)
    @pytest.mark.parametrize(("count", "batches"), [(0, 1), (1, 1), (7, 1), (7, 3), (7, 7)])
    def test_chips_come_back_as_they_were(self, path, codec, count, batches):
        pixels = write_shard(path, count, codec=codec, batches=batches)

        with ShardReader(path) as shard:
            assert len(shard) == count
            assert {name: array.shape for name, array in shard.arrays.items()} == {
                name: values.shape for name, values in pixels.items()
            }
            for name in PIXELS:
                for row in range(count):
                    np.testing.assert_array_equal(shard.pixels(name, row), pixels[name][row])
        for name, values in pixels.items():
            with h5py.File(path) as file:
                np.testing.assert_array_equal(file[name][...], values)
                assert file[name].dtype == values.dtype

    @pytest.mark.parametrize("count", [0, 5])
    def test_columns_and_tables_come_back_as_they_were(self, path, count):
        write_shard(path, count, batches=2)

        with ShardReader(path) as shard:
            for name, values in make_columns(count).items():
                back = shard.column(name)
                assert back.tolist() == (values.astype(str) if values.dtype.kind == "S" else values).tolist()
                assert back.shape == values.shape
            for name, values in TABLES["statistics"].items():
                np.testing.assert_array_equal(shard.table("statistics")[name], values)
            assert list(shard.table("statistics")) == sorted(TABLES["statistics"])

    def test_it_says_what_it_is(self, path):
        write_shard(path, 2, number=1, fill=-1, nodata_mode="legacy")

        with ShardReader(path) as shard:
            said = shard.attributes
            assert shard.is_complete
        assert json.loads(said.pop("band_names")) == ["b1", "b2", "b3"]
        assert json.loads(said.pop("band_roles")) == ["optical", "optical", "topo"]
        assert said == {
            "Conventions": "CF-1.11",
            "title": "alps train chips, shard 1 of 2",
            "format": FORMATS["chips"],
            "layout": "chips",
            "chip_edge": "clamp",
            "fill": -1,
            "beyond_flags": 15,
            "region": "alps",
            "split": "train",
            "shard_number": 1,
            "shard_total": 2,
            "chip_size": 16,
            "chip_step": 8,
            "nodata_mode": "legacy",
            "complete": 1,
        }
        with h5py.File(path) as file:
            assert file["image"].attrs["missing_pixels_hold"] == -1
            assert file["label"].attrs["flag_values"].tolist() == [0, 1, 2, 255]
            assert file["label"].attrs["flag_meanings"] == b"none debris ice ignore"
            assert file["flags"].attrs["flag_masks"].tolist() == [1, 2, 4, 8, 16]
            assert len(file["flags"].attrs["flag_meanings"].split()) == 5

    def test_its_coordinate_system_is_the_regions(self, path):
        write_shard(path, 1)

        with h5py.File(path) as file:
            mapping = file["spatial_ref"].attrs
            assert mapping["grid_mapping_name"] == b"transverse_mercator"
            assert b'ID["EPSG",32606]' in mapping["crs_wkt"]
            assert file["image"].attrs["grid_mapping"] == b"spatial_ref"

    def test_one_chunk_is_one_chip(self, path):
        write_shard(path, 3)

        with h5py.File(path) as file:
            for name in PIXELS:
                assert file[name].chunks == (1, *file[name].shape[1:])
                assert file[name].id.get_num_chunks() == 3


class TestEqualBytes:
    def test_the_clock_leaves_no_trace(self, tmp_path):
        write_shard(tmp_path / "now.h5", 9)
        written = time.time()
        # HDF5 would keep times in whole seconds.
        time.sleep(max(0.0, int(written) + 1.01 - time.time()))
        write_shard(tmp_path / "later.h5", 9)

        assert (tmp_path / "later.h5").read_bytes() == (tmp_path / "now.h5").read_bytes()

    @pytest.mark.parametrize("codec", CODECS)
    def test_any_number_of_threads_gives_the_same_file(self, tmp_path, codec):
        write_shard(tmp_path / "1.h5", 9, codec=codec, batches=2)
        for threads in (2, 4):
            with ThreadPoolExecutor(threads) as pool:
                write_shard(tmp_path / f"{threads}.h5", 9, codec=codec, pool=pool, batches=2)

            assert (tmp_path / f"{threads}.h5").read_bytes() == (tmp_path / "1.h5").read_bytes()


class TestOpenByOthers:
    @pytest.mark.parametrize("codec", CODECS)
    @pytest.mark.parametrize("count", [0, 3])
    def test_no_array_needs_a_plugin(self, path, codec, count):
        write_shard(path, count, codec=codec)
        used = []

        def look(_, node):
            if isinstance(node, h5py.Dataset):
                plist = node.id.get_create_plist()
                used.extend(plist.get_filter(number)[0] for number in range(plist.get_nfilters()))

        with h5py.File(path) as file:
            file.visititems(look)

        assert set(used) <= PLAIN_FILTERS
        with h5py.File(path) as file:
            plist = file["image"].id.get_create_plist()
            assert plist.get_nfilters() == (3 if codec == "deflate" else 0)

    def test_the_file_is_of_the_format_with_checksums(self, path):
        write_shard(path, 3)

        # Version 3 of the superblock: HDF5 1.10, of 2016, reads it.
        assert path.read_bytes()[:9] == b"\x89HDF\r\n\x1a\n\x03"

    @pytest.mark.parametrize("codec", CODECS)
    def test_every_chunk_but_plain_pixels_has_a_checksum_and_every_other_array_lies_in_its_header(self, path, codec):
        write_shard(path, 3, codec=codec)
        plain = []

        def look(name, node):
            if isinstance(node, h5py.Dataset) and not node.fletcher32:
                plain.append((name, node.id.get_create_plist().get_layout()))

        with h5py.File(path) as file:
            file.visititems(look)

        others = {(name, layout) for name, layout in plain if name not in PIXELS}
        assert {layout for _, layout in others} == {h5py.h5d.COMPACT}
        assert {name for name, _ in others} >= {"band", "x", "y", "affine", "spatial_ref"}
        assert {name for name, _ in plain} & set(PIXELS) == (set(PIXELS) if codec == "none" else set())

    @pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
    @pytest.mark.parametrize("count", [0, 1, 4])
    def test_xarray_names_the_axes(self, path, engine, count):
        pixels = write_shard(path, count)

        with xr.open_dataset(path, engine=engine) as dataset:
            assert dict(dataset.sizes) == {"chip": count, "band": 3, "y": 16, "x": 16, "affine": 6}
            assert dataset["image"].dims == ("chip", "band", "y", "x")
            assert dataset["label"].dims == dataset["flags"].dims == ("chip", "y", "x")
            assert dataset["transform"].dims == ("chip", "affine")
            assert dataset["valid_share"].dims == ("chip",)
            assert dataset["band"].to_numpy().tolist() == ["b1", "b2", "b3"]
            assert dataset["affine"].to_numpy().tolist() == list("abcdef")
            assert dataset["chip"].to_numpy().tolist() == list(range(count))
            np.testing.assert_array_equal(dataset["image"].to_numpy(), pixels["image"])
            np.testing.assert_array_equal(dataset["label"].to_numpy(), pixels["label"])
            ids = dataset["chip_id"].astype(str).to_numpy()
            np.testing.assert_array_equal(ids, make_columns(count)["chip_id"].astype(str))


class TestChecksums:
    @pytest.mark.parametrize("count", [0, 5])
    def test_what_is_not_compressed_has_a_column_of_checksums(self, path, count):
        pixels = write_shard(path, count, codec="none", batches=2)

        with h5py.File(path) as file:
            for name, values in pixels.items():
                sums = [zlib.crc32(chip.tobytes()) for chip in values]
                assert file[f"{name}_crc32"][...].tolist() == sums
                assert file[f"{name}_crc32"].dims[0][0].name == "/chip"

    def test_other_codecs_have_none(self, path):
        write_shard(path, 2)

        with h5py.File(path) as file:
            assert not any(name.endswith("crc32") for name in file)

    @pytest.mark.fault
    @pytest.mark.parametrize(
        "spoil", [lambda file: file.__delitem__("image_crc32"), lambda file: file["image_crc32"].resize(1, 0)]
    )
    def test_lost_checksums_are_noticed(self, path, spoil):
        write_shard(path, 2, codec="none")
        with h5py.File(path, "r+") as file:
            spoil(file)
        write_footer(path)

        with pytest.raises(ShardError, match="checksum"):
            reader_of(path, 2)[0]


class TestWriting:
    def test_a_shard_that_was_never_finished_is_not_complete(self, path):
        with create_shard(path, make_header(), "deflate") as writer:
            append(writer, make_pixels(2), make_columns(2))

        with ShardReader(path) as shard:
            assert not shard.is_complete
        with pytest.raises(ShardError, match="never finished"):
            reader_of(path, 2)[0]

    def test_a_shard_whose_writing_failed_is_no_shard(self, path):
        def interrupted():
            with create_shard(path, make_header(), "deflate") as writer:
                append(writer, make_pixels(2), make_columns(2))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()

        with pytest.raises(OSError, match="no footer"):
            ShardReader(path)

    @pytest.mark.parametrize("codec", CODECS)
    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("image", lambda values: values.astype(np.int32)),
            ("image", lambda values: values.astype(">i2")),
            ("image", lambda values: values.astype(np.float32)),
            ("image", lambda values: values[:, :2]),
            ("image", lambda values: values[..., :8]),
            ("label", lambda values: values.astype(np.int8)),
            ("label", lambda values: values[:1]),
            ("flags", lambda values: values[:, None]),
        ],
        ids=["int32", "big-endian", "float", "a band less", "narrow", "signed", "a chip less", "an axis more"],
    )
    def test_pixels_that_do_not_fit_are_refused_before_anything_is_written(self, path, codec, name, change):
        pixels = make_pixels(2)
        pixels[name] = change(pixels[name])

        with create_shard(path, make_header(), codec) as writer:
            with pytest.raises(ShardError, match=name) as caught:
                append(writer, pixels, make_columns(2))
            append(writer, make_pixels(1), make_columns(1))
            writer.finish(empty_columns("alps", "train", LATTICE), {})

        assert "shard 0 of 2" in caught.value.where
        np.testing.assert_array_equal(reader_of(path, 1)[0]["image"], make_pixels(1)["image"][0])

    def test_columns_of_another_length_are_refused(self, path):
        columns = make_columns(2) | {"row": np.zeros(3, np.int32)}

        with create_shard(path, make_header(), "deflate") as writer, pytest.raises(ShardError, match="row"):
            append(writer, make_pixels(2), columns)

    def test_columns_of_other_names_are_refused(self, path):
        with create_shard(path, make_header(), "deflate") as writer:
            append(writer, make_pixels(2), make_columns(2))
            fewer = {name: values for name, values in make_columns(2).items() if name != "year"}
            with pytest.raises(ShardError, match="year"):
                append(writer, make_pixels(2), fewer)
            with pytest.raises(ShardError, match="year"):
                writer.finish({name: values[:0] for name, values in fewer.items()}, {})


class TestDamage:
    @pytest.mark.fault
    @pytest.mark.parametrize("codec", CODECS)
    def test_every_flipped_bit_in_a_chip_is_noticed_and_the_chip_named(self, path, codec):
        pixels = write_shard(path, 4, codec=codec)
        whole, rng = path.read_bytes(), np.random.default_rng(8)
        places = [(row, *place) for name in PIXELS for row, place in enumerate(chunk_bytes(path, name))]

        for _ in range(60):
            row, start, length = places[rng.integers(len(places))]
            flip(path, start + int(rng.integers(length)), int(rng.integers(8)))
            reader = reader_of(path, 4)
            with pytest.raises(ShardError) as caught:
                reader[row]
            assert f"chip{row} " in caught.value.what
            assert path.name in caught.value.where
            other = reader[(row + 1) % 4]
            np.testing.assert_array_equal(other["image"], pixels["image"][(row + 1) % 4])
            reader.close()
            path.write_bytes(whole)

    @pytest.mark.fault
    @pytest.mark.parametrize(
        ("is_written", "zeros"), [(False, True), (True, False)], ids=["no chunk", "a chunk without its filters"]
    )
    def test_a_chip_that_the_files_own_index_has_lost_is_noticed(self, path, is_written, zeros):
        pixels = write_shard(path, 4)
        with h5py.File(path, "r+") as file:
            image = file["image"]
            image.resize(3, axis=0)
            image.resize(4, axis=0)
            if is_written:
                image.id.write_direct_chunk((3, 0, 0, 0), pixels["image"][3].tobytes(), filter_mask=0b111)
        write_footer(path)
        with h5py.File(path) as file:
            # What HDF5 itself makes of it, without an error.
            assert file["image"][3].any() != zeros

        with pytest.raises(ShardError, match="the image of 1 chips is lost"):
            reader_of(path, 4)[3]

    @pytest.mark.fault
    @pytest.mark.parametrize("said", ["gcn_luigi chips 3", "gcn_luigi windows 3", "gcn_luigi chips 5"])
    def test_a_shard_of_another_version_is_not_called_damaged(self, path, said):
        write_shard(path, 2)
        with h5py.File(path, "r+") as file:
            file.attrs["format"] = said
        write_footer(path)

        with pytest.raises(ShardError, match=f"has the format '{said}', but this version of gcn_luigi reads") as caught:
            reader_of(path, 2)[0]

        assert "damaged" not in caught.value.what

    @pytest.mark.fault
    @pytest.mark.parametrize("changed", [{"dtype": ">i2", "fletcher32": True}, {"dtype": "<i2"}], ids=str)
    def test_pixels_stored_otherwise_are_noticed(self, path, changed):
        write_shard(path, 2)
        with h5py.File(path, "r+") as file:
            values = file["image"][...]
            del file["image"]
            file.create_dataset("image", data=values, chunks=(1, *values.shape[1:]), **changed)
        write_footer(path)

        with pytest.raises(ShardError, match="image is not stored as <i2"):
            reader_of(path, 2)[0]

    @pytest.mark.fault
    @pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
    def test_a_shard_cut_short_is_refused(self, path, share):
        write_shard(path, 6)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

        with pytest.raises(ShardError) as caught:
            reader_of(path, 6)[5]

        assert str(path) in caught.value.where
        assert "chip5" in caught.value.what

    @pytest.mark.fault
    @pytest.mark.parametrize("content", [None, b"<html>not found</html>"], ids=["gone", "a web page"])
    def test_what_is_no_shard_is_refused(self, path, content):
        write_shard(path, 2)
        path.unlink()
        if content is not None:
            path.write_bytes(content)

        with pytest.raises(ShardError) as caught:
            reader_of(path, 2)[0]

        assert str(path) in caught.value.where

    @pytest.mark.fault
    def test_any_other_hdf5_file_is_refused(self, path):
        with h5py.File(path, "w") as file:
            file.attrs["complete"] = 1
            file["image"] = np.zeros((2, 3))

        with pytest.raises(ShardError):
            reader_of(path, 2)[0]

    @pytest.mark.fault
    def test_a_shard_with_the_mark_of_completeness_removed_is_refused(self, path):
        write_shard(path, 2)
        with h5py.File(path, "r+") as file:
            del file.attrs["complete"]
        write_footer(path)

        with pytest.raises(ShardError, match="never finished") as caught:
            reader_of(path, 2)[0]

        assert "again" in caught.value.fix


def test_a_shard_is_read_without_a_lock(path):
    write_shard(path, 1)

    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

        with pytest.raises(BlockingIOError):
            h5py.File(path, locking=True)
        with ShardReader(path) as shard:
            assert len(shard) == 1


def test_a_shard_of_another_sensor_is_a_shard(path):
    lattice = Lattice("EPSG:2056", 2_600_000.0, 1_200_000.0, 2.5, 99, 99)
    bands = tuple(Band(name, Role.OPTICAL) for name in ("B02", "B03", "B04", "B08", "B11"))
    header = make_header(size=33, bands=bands, crs=lattice.crs, region="valais")

    with create_shard(path, header, "deflate") as writer:
        append(writer, make_pixels(2, 5, 33), make_columns(2, 33))
        writer.finish(empty_columns("valais", "train", lattice), {})

    np.testing.assert_array_equal(reader_of(path, 2)[1]["image"], make_pixels(2, 5, 33)["image"][1])
    # CF cannot describe a rotated oblique Mercator: the text is whole, and no half of it stands beside.
    with h5py.File(path) as file:
        said = dict(file["spatial_ref"].attrs)
    assert CRS.from_wkt(said.pop("crs_wkt").decode()) == CRS.from_user_input("EPSG:2056")
    assert said == {}
