"""Shards and chips in xarray, with both engines and in both layouts: what a user of it reaches for first."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
import rasterio
import xarray as xr

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.prepare.partitions.query import Selection
from gcn_luigi.read.export.export import Request, export
from gcn_luigi.read.xarray import as_xarray, locate
from gcn_luigi.stages.dataset.convert import convert_dataset

ENGINES = ("h5netcdf", "netcdf4")


@pytest.fixture(scope="module", params=["chips", "windows"])
def made(small_output, request, tmp_path_factory):
    """Return the small dataset in either layout."""
    if request.param == "chips":
        return gcn_luigi.open_dataset(small_output)
    target = tmp_path_factory.mktemp("xarray") / "tiny"
    convert_dataset(small_output, target, "windows", None, lambda *_: None)
    return gcn_luigi.open_dataset(target)


def _shards(made, split):
    return sorted(made.paths.shards.glob(f"{split}-*.h5"))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_band_is_chosen_by_name_and_whole_numbers_stay_whole(made, engine):
    with xr.open_dataset(_shards(made, "train")[0], engine=engine) as shard:
        dem = shard.image.sel(band="dem")

        assert dem.dtype == np.int16
        assert shard.label.dtype == shard.flags.dtype == np.uint8
        # A fill value would have xarray turn whole numbers into floats, and a real 0 into NaN.
        assert shard.image.encoding.get("_FillValue") is None
        assert shard.image.attrs["missing_pixels_hold"] == made.description["configuration"]["nodata"]["fill"]
        np.testing.assert_array_equal(dem, shard.image[:, list(shard.band.values).index("dem")])


@pytest.mark.parametrize("engine", ENGINES)
def test_meanings_of_values_and_the_crs_are_those_of_cf(made, engine):
    with xr.open_dataset(_shards(made, "dev")[0], engine=engine) as shard:
        label = dict(zip(shard.label.flag_meanings.split(), shard.label.flag_values.tolist(), strict=True))
        flags = dict(zip(shard.flags.flag_meanings.split(), shard.flags.flag_masks.tolist(), strict=True))

        assert label == {"none": 0, "debris": 1, "ice": 2, "ignore": 255}
        assert flags["outside_mosaic"] == 8
        assert flags["optical_missing"] == 1
        assert shard[shard.image.attrs["grid_mapping"]].attrs["crs_wkt"].startswith("PROJCRS")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_chip_is_chosen_by_its_id_whatever_the_engine_makes_of_texts(made, engine):
    with xr.open_dataset(_shards(made, "train")[0], engine=engine) as shard:
        named = shard.assign_coords(chip=shard.chip_id.astype(str))
        chip_id = str(named.chip[2].item())

        assert named.year.sel(chip=chip_id) == shard.year[2]
        np.testing.assert_array_equal(named.transform.sel(chip=chip_id), shard.transform[2])


@pytest.mark.parametrize("engine", ENGINES)
def test_shards_are_joined_along_their_rows(made, engine):
    parts = [xr.open_dataset(path, engine=engine) for path in _shards(made, "train")]
    axis = parts[0].label.dims[0]
    rest = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "combine_attrs": "drop_conflicts"}

    joined = xr.concat([part[["image", "label", "spatial_ref"]] for part in parts], dim=axis, join="outer", **rest)

    assert joined.sizes[axis] == sum(part.sizes[axis] for part in parts)
    assert joined.spatial_ref.dims == ()
    assert joined.attrs["split"] == "train"
    assert "shard_number" not in joined.attrs
    if axis == "chip":
        np.testing.assert_array_equal(
            joined.image, np.concatenate([chip["image"][np.newaxis] for chip in made.chips("train")])
        )
    for part in parts:
        part.close()


def test_chips_look_the_same_in_both_layouts_and_equal_the_readers(made):
    index = made.chip_table
    ids = index["chip_id"].sample(9, random_state=1).tolist()
    read = {chip["chip_id"]: chip for split in ("train", "dev") for chip in made.chips(split)}

    chips = as_xarray(made, ids)

    assert chips.image.dims == ("chip", "band", "y", "x")
    assert chips.chip.values.tolist() == ids
    for name in ids:
        for layer in ("image", "label", "flags"):
            np.testing.assert_array_equal(chips[layer].sel(chip=name), read[name][layer])
    assert chips.unit.sel(band="dem") == "m"
    assert chips.year.values.tolist() == index.set_index("chip_id").loc[ids, "year"].tolist()
    assert chips.image.where(chips.role == "topo", drop=True).band.values.tolist() == ["dem"]


def test_missing_pixels_are_nan_in_the_bands_that_lack_them_and_in_no_other(made):
    ids = made.chip_table.sort_values("valid_share")["chip_id"].iloc[:4].tolist()
    plain, masked = as_xarray(made, ids), as_xarray(made, ids, masked=True)
    bit = {"optical": 1, "topo": 2, "distance": 16}

    lost = 0
    for band, role in zip(plain.band.values, plain.role.values, strict=True):
        missing = ((plain.flags & (bit[role] | 8)) > 0).values
        image = masked.image.sel(band=band).values
        np.testing.assert_array_equal(np.isnan(image), missing)
        np.testing.assert_array_equal(image[~missing], plain.image.sel(band=band).values[~missing])
        lost += missing.sum()
    assert lost > 0


def test_one_chip_lies_where_its_geotiff_does_and_is_drawn_with_north_up(made, tmp_path):
    name = made.chip_table["chip_id"].iloc[5]
    export(made, tmp_path / "out", Request(Selection(chips=(name,))), lambda *_: None)

    chip = as_xarray(made, [name])

    with rasterio.open(tmp_path / "out" / f"{name}.tif") as file:
        for row, col in ((0, 0), (3, 7)):
            assert file.xy(row, col) == pytest.approx((chip.x[col].item(), chip.y[row].item()))
        assert file.descriptions == tuple(chip.band.values)
    assert (np.diff(chip.y) < 0).all()
    with mpl.rc_context({"backend": "agg"}):
        drawn = chip.image.sel(band="dem", chip=name).plot.imshow()
        bottom, top = drawn.axes.get_ylim()
        assert bottom < top
        drawn.figure.clear()


def test_a_chip_of_several_is_placed_when_it_is_chosen_and_several_are_not(made):
    ids = made.chip_table["chip_id"].iloc[:3].tolist()
    chips = as_xarray(made, ids)

    xr.testing.assert_identical(locate(chips.sel(chip=[ids[1]])), as_xarray(made, [ids[1]]))
    assert locate(chips.sel(chip=ids[1])).x.attrs["units"] == "m"
    with pytest.raises(ConfigError, match="3 chips do not have one common position"):
        locate(chips)


def test_what_is_not_there_is_told(made, monkeypatch):
    with pytest.raises(ConfigError, match="no chip nowhere"):
        as_xarray(made, ["nowhere"])
    with pytest.raises(ConfigError, match="no chip is given"):
        as_xarray(made, [])
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ConfigError, match="xarray is not installed"):
        as_xarray(made, made.chip_table["chip_id"].iloc[:1])
