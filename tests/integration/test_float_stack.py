"""A dataset of float32 stacks, in every form in which it can be stored, read and exported."""

import json

import h5py
import numpy as np
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.io.shard.codecs import CODECS
from gcn_luigi.lattice import Window
from gcn_luigi.prepare.partitions.query import Selection
from gcn_luigi.read.checks.shards import index_problems
from gcn_luigi.read.export.export import Request, export
from gcn_luigi.read.validate import validate
from gcn_luigi.read.xarray import as_xarray
from gcn_luigi.report.served.shard import shard_page
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.tasks.partitions import PartitionFiles
from gcn_luigi.tasks.rasters import StackFiles
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny
from tests.reference import nodata as reference_nodata

FLOAT = ("[grid]\n", '[stack]\ndtype = "float32"\n\n[grid]\n')
SCALED = ('name = "ndsi"\n', 'name = "ndsi"\nscale = 0.001\n')
PLANES = ("image", "label", "flags")


def _silent(_message, _share):
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return the root task of a finished float32 dataset, with its quality page."""
    place = tmp_path_factory.mktemp("float")
    tiny = make_tiny(place, "tiny", FLOAT, SCALED)
    task = dataset("tiny", place / "out", tiny.sources, tiny.config)
    build_inline(task, page=True)
    return task


@pytest.fixture(scope="module")
def made(root):
    return gcn_luigi.open_dataset(root.paths.root)


def _chips(made):
    return {chip["chip_id"]: chip for split in ("train", "dev") for chip in made.chips(split)}


def _are_equal(ours, theirs):
    assert list(ours) == list(theirs)
    for name, chip in ours.items():
        for plane in PLANES:
            assert chip[plane].dtype == theirs[name][plane].dtype
            np.testing.assert_array_equal(chip[plane], theirs[name][plane])


def test_a_plain_hdf5_reader_sees_floats(made):
    for name in sorted(set(made.chip_table["shard"])):
        with h5py.File(made.paths.shards / name) as shard:
            assert shard["image"].dtype == "<f4"
            assert shard["image"].attrs["missing_pixels_hold"].dtype == np.float32
            assert np.isfinite(shard["image"][...]).all()
            assert (shard["label"].dtype, shard["flags"].dtype) == (np.uint8, np.uint8)
    fractions = made.chips("train")[0]["image"][0] % 1
    assert ((fractions > 0) & (fractions < 1)).any()


def test_the_page_the_card_and_the_styles_show_fractions(made):
    page, card = made.paths.report.read_text(), made.paths.readme.read_text()
    mean = made.statistics["bands"]["ndsi"]["mean"]

    assert 0 < abs(mean) < 1
    assert f"{mean:.6g}" in card
    assert "(band, y, x) float32" in card
    assert f"{abs(mean):.4g}"[:6] in page
    assert "chips" in shard_page(next(made.paths.shards.glob("train-*.h5")))
    style = made.paths.style(made.paths.stack(2004)).read_text()
    assert f">{made.statistics['bands']['ndsi']['p1']!r}<" in style


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("layout", ["chips", "windows"])
def test_every_layout_and_codec_holds_the_same_chips(made, tmp_path, layout, codec):
    convert_dataset(made.paths.root, tmp_path / "tiny", layout, codec, _silent)

    converted = gcn_luigi.open_dataset(tmp_path / "tiny")
    assert list(validate(tmp_path / "tiny", deep=True)) == []
    _are_equal(_chips(converted), _chips(made))
    assert converted.statistics == made.statistics


@pytest.mark.parametrize("form", ["chips", "mosaic"])
def test_exported_images_are_floats_with_the_readers_pixels(made, tmp_path, form):
    wanted = made.chip_table[made.chip_table["year"] == made.chip_table["year"].iloc[0]].iloc[:3]
    export(made, tmp_path / "out", Request(Selection(chips=tuple(wanted["chip_id"])), form), _silent)
    chips = _chips(made)

    for row in wanted.itertuples():
        name = row.chip_id if form == "chips" else f"tiny_{row.year}"
        with rasterio.open(tmp_path / f"out/{name}.tif") as file:
            assert set(file.dtypes) == {"float32"}
            window = rasterio.windows.from_bounds(row.left, row.bottom, row.right, row.top, file.transform)
            np.testing.assert_array_equal(file.read(window=window.round()), chips[row.chip_id]["image"])


def test_xarray_gives_floats_and_nan_on_request(made):
    ids = list(made.chip_table["chip_id"][:5])
    plain, masked = as_xarray(made, ids), as_xarray(made, ids, masked=True)

    assert plain["image"].dtype == masked["image"].dtype == np.float32
    kept = ~np.isnan(masked["image"].values)
    np.testing.assert_array_equal(masked["image"].values[kept], plain["image"].values[kept])
    optical = (plain["flags"].values & 1) > 0
    np.testing.assert_array_equal(np.isnan(masked["image"].values[:, 0]), optical | (plain["flags"].values & 8 > 0))


def test_torch_gives_floats(made):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from gcn_luigi.read.torch import ChipDataset, ChipStream  # noqa: PLC0415  torch is an extra

    reader = made.chips("train").preload()
    sample, batch = ChipDataset(reader)[1], next(iter(ChipStream(reader, 4)))

    assert sample["image"].dtype is batch["image"].dtype is torch.float32
    np.testing.assert_array_equal(batch["image"][1].numpy(), reader[1]["image"])
    assert torch.equal(sample["image"], batch["image"][1])


def test_a_batch_of_another_type_is_refused(made):
    reader = made.chips("dev")
    batch = reader.batch([0])
    assert reader.batch([0], batch) is not None

    with pytest.raises(gcn_luigi.errors.InputError, match="float32"):
        reader.batch([0], {**batch, "image": batch["image"].astype(np.int16)})


def test_stacks_and_partitions_are_written_as_floats_on_request(root, made):
    build_inline(root.clone(StackFiles))
    build_inline(root.clone(PartitionFiles))

    schema = root.configured.settings.schema_bands
    for year in (2004, 2008):
        with rasterio.open(made.paths.stack(year)) as stack, rasterio.open(made.paths.stack_file(year)) as copy:
            assert set(stack.dtypes) == set(copy.dtypes) == {"float32"}
            for band, wanted, plane in zip(schema, stack.read(), copy.read(), strict=True):
                np.testing.assert_array_equal(plane, np.where(wanted == band.nodata, -32768, wanted))
    catalog, chips = made.partition_table.set_index("partition"), _chips(made)
    compared = 0
    for row in made.chip_table.itertuples():
        window = rasterio.windows.Window(row.col, row.row, 32, 32)
        with rasterio.open(made.paths.partition(row.partition, row.year)) as file:
            planes = file.read(window=window)
        assert catalog.loc[row.partition, "used"]
        np.testing.assert_array_equal(np.delete(planes, schema.label_index, axis=0), chips[row.chip_id]["image"])
        compared += 1
    assert compared == len(chips)


def test_the_published_rule_is_applied_to_floats(tmp_path):
    legacy = (
        ('mode = "strict"', 'mode = "legacy"\nlegacy = { topo_band = 1, alt_topo_band = "none" }'),
        ("enabled = true", "enabled = false"),
        ("min_valid_label_share = 0.5", "min_valid_label_share = 0.0\nmin_valid_optical_share = 0.0"),
        ("min_valid_topo_share = 0.5", "min_valid_topo_share = 0.0"),
    )
    tiny = make_tiny(tmp_path, "tiny", FLOAT, SCALED, *legacy)
    build_inline(dataset("tiny", tmp_path / "out", tiny.sources, tiny.config))
    made = gcn_luigi.open_dataset(tmp_path / "out/tiny")
    assert list(validate(made.paths.root, deep=True)) == []
    catalog, chips = made.partition_table.set_index("partition"), _chips(made)

    n_filled = 0
    for row in made.chip_table.itertuples():
        whole = catalog.loc[row.partition]
        window = Window(int(whole["row"]), int(whole["col"]), int(whole["height"]), int(whole["width"]))
        with rasterio.open(made.paths.stack(row.year)) as source:
            inside = Window(0, 0, source.height, source.width).intersection(window)
            stack = np.full((source.count, window.height, window.width), -32768, np.float32)
            first, left = inside.row - window.row, inside.col - window.col
            stack[:, first : first + inside.height, left : left + inside.width] = source.read(window=inside.ranges)
        stack[2][stack[2] == 255] = -32768
        published = reference_nodata.legacy_nodata(stack, class_band=2, topo_band=1, topo_start=1)
        expected = published[:, row.row : row.row + 32, row.col : row.col + 32]
        np.testing.assert_array_equal(chips[row.chip_id]["image"], expected[:2])
        n_filled += int((expected[0] == 0).sum())
    assert n_filled > 0


def test_the_configuration_states_the_type_only_if_it_is_given(made, tiny_output):
    plain = json.loads((tiny_output / "tiny/dataset.json").read_text())["configuration"]

    assert made.description["configuration"]["stack"] == {"dtype": "float32"}
    assert "stack" not in plain
    assert not any("use_tags" in band for band in plain["bands"])


def test_a_shard_of_another_type_is_found(made, root):
    assert made.dtype == "float32"
    other = gcn_luigi.open_dataset(root.paths.root)
    other.description["configuration"]["stack"]["dtype"] = "int16"

    problems = list(index_problems(other, sorted(set(made.chip_table["shard"]))))

    assert len(problems) == made.chip_table["shard"].nunique()
    assert all("image is float32, but the stack of the dataset is int16" in problem for problem in problems)
