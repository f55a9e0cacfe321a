"""Rasters that a model or an index of applicability reads: what would be misread is refused, whatever the file says."""

import dataclasses

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import Affine, from_origin

from gcn_luigi.bands import Band, Role
from gcn_luigi.errors import ConfigError
from gcn_luigi.lattice import Lattice
from gcn_luigi.read.rasters import opened

BANDS = (
    Band("red", Role.OPTICAL, nodata=-9),
    Band("dem", Role.TOPO, nodata=-8, unit="m"),
    Band("far", Role.DISTANCE, nodata=-7),
)
NORTH_UP = from_origin(300_000, 1_200_000, 30, 30)
EVERYTHING = slice(0, 5), slice(0, 7)


@dataclasses.dataclass(frozen=True)
class Expected:
    bands: tuple
    dtype: str
    lattice: Lattice


EXPECTED = Expected(BANDS, "int16", Lattice("EPSG:3338", 0, 0, 30.0, 5, 7))


def image_of(count=3, dtype=np.int16):
    return np.random.default_rng(0).integers(1, 99, (count, 5, 7)).astype(dtype)


def written(path, image, names=("red", "dem", "far"), **more):
    profile = {"height": image.shape[1], "width": image.shape[2], "count": len(image), "dtype": image.dtype.name}
    with rasterio.open(
        path, "w", driver="GTiff", **profile, **{"crs": "EPSG:3338", "transform": NORTH_UP, **more}
    ) as f:
        f.write(image)
        if names:
            f.descriptions = names
    return path


def read(source, bands=None, nodata=None):
    with opened(source, EXPECTED, bands, nodata) as raster:
        return raster.read(*EVERYTHING)


@pytest.mark.parametrize("crs", ["EPSG:2263", "EPSG:4326"])
def test_pixels_in_feet_or_degrees_are_not_taken_for_metres(crs, tmp_path):
    with pytest.raises(ConfigError, match=r"but those of the dataset are 30 m|degrees"):
        read(written(tmp_path / "a.tif", image_of(), crs=crs))


def test_pixels_in_feet_that_are_as_large_are_read(tmp_path):
    foot = 12 / 39.37
    place = from_origin(300_000, 100_000, 30 / foot, 30 / foot)

    values, _ = read(written(tmp_path / "a.tif", image_of(), crs="EPSG:2263", transform=place))

    np.testing.assert_array_equal(values, image_of())


@pytest.mark.parametrize(
    "turn",
    [Affine.scale(1, -1), Affine.scale(-1, 1), Affine.rotation(180), Affine.rotation(90), Affine.rotation(20),
     Affine(1, 0.01, 0, 0, 1, 0)],
)  # fmt: skip
def test_rasters_that_are_not_north_up_are_refused(turn, tmp_path):
    with pytest.raises(ConfigError, match="north"):
        read(written(tmp_path / "a.tif", image_of(), transform=NORTH_UP * turn))


def test_a_name_that_several_bands_have_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"2 bands .* red"):
        read(written(tmp_path / "a.tif", image_of(4), ("red", "dem", "far", "red")))
    with pytest.raises(ConfigError, match=r"2 bands .* dem"):
        read(image_of(4), bands=["red", "dem", "far", "dem"])
    # Others do not matter.
    values, _ = read(image_of(5), bands=["x", "x", "far", "dem", "red"])
    np.testing.assert_array_equal(values, image_of(5)[[4, 3, 2]])


def test_names_of_a_data_array_are_names_even_if_one_is_missing():
    array = xr.DataArray(image_of(), dims=("band", "y", "x"), coords={"band": ["dem", "red", "Far"]})
    with pytest.raises(ConfigError, match="lacks the bands far"):
        read(array)
    # Numbers are none.
    values, _ = read(array.assign_coords(band=[1, 2, 3]))
    np.testing.assert_array_equal(values, image_of())


def placed(x, y):
    return xr.DataArray(image_of(), dims=("band", "y", "x"), coords={"x": x, "y": y})


@pytest.mark.parametrize(
    ("step", "fall", "what"), [(10, -10, "10 x 10"), (30, 30, "north"), (-30, -30, "north"), (30, -10, "30 x 10")]
)
def test_coordinates_of_a_data_array_say_how_large_pixels_are(step, fall, what):
    with pytest.raises(ConfigError, match=what):
        read(placed(500.0 + step * np.arange(7), 900.0 + fall * np.arange(5)))


def test_coordinates_that_fit_or_only_count_are_taken():
    for array in (placed(500.0 + 30 * np.arange(7), 900.0 - 30 * np.arange(5)), placed(np.arange(7), np.arange(5))):
        values, _ = read(array)
        np.testing.assert_array_equal(values, image_of())


def test_a_band_that_declares_nothing_has_the_nodata_of_the_dataset_though_others_declare_theirs(tmp_path):
    image = image_of()
    image[:, 1, 1] = -9, -8, -7
    written(tmp_path / "a.tif", image)
    names = "".join(
        f'<VRTRasterBand dataType="Int16" band="{at}"><Description>{band.name}</Description>'
        + ("<NoDataValue>-9</NoDataValue>" if at == 1 else "")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{at}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for at, band in enumerate(BANDS, 1)
    )
    place = "<GeoTransform>300000, 30, 0, 1200000, 0, -30</GeoTransform>"
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="7" rasterYSize="5"><SRS>EPSG:3338</SRS>{place}{names}</VRTDataset>', encoding="utf-8"
    )

    _, missing = read(tmp_path / "a.vrt")

    assert missing[:, 1, 1].tolist() == [True, True, True]
    assert np.count_nonzero(missing) == 3


@pytest.mark.parametrize("kind", ["mask", "alpha"])
@pytest.mark.parametrize("nodata", [None, -5])
def test_what_a_mask_or_alpha_hides_is_missing_also_if_a_nodata_value_is_given(kind, nodata, tmp_path):
    path, hidden = tmp_path / "a.tif", np.full((5, 7), 255, np.uint8)
    hidden[2, 3] = 0
    image = image_of()
    image[:, 0, 0] = -5
    if kind == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            written(path, image)
            with rasterio.open(path, "r+") as file:
                file.write_mask(hidden)
    else:
        image = image.astype(np.int32)
        written(path, np.concatenate([image, hidden[np.newaxis].astype(np.uint16)]), ("red", "dem", "far", "alpha"))
        with rasterio.open(path, "r+") as file:
            file.colorinterp = [*file.colorinterp[:3], rasterio.enums.ColorInterp.alpha]

    _, missing = read(path, nodata=nodata)

    assert missing[:, 2, 3].all()
    assert missing[:, 0, 0].all() == (nodata is not None)
    assert np.count_nonzero(missing) == (3 if nodata is None else 6)


def test_values_that_are_no_real_numbers_are_refused(tmp_path):
    for source in (image_of().astype(np.complex64), written(tmp_path / "a.tif", image_of(dtype=np.complex64))):
        with pytest.raises(ConfigError, match="complex64"):
            read(source)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_any_real_type_is_read_and_nan_is_missing(dtype, tmp_path):
    image = image_of(dtype=np.dtype(dtype))
    if image.dtype.kind == "f":
        image[0, 0, 0], image[1, 0, 1] = np.nan, np.inf
    values, missing = read(written(tmp_path / "a.tif", image))
    np.testing.assert_array_equal(values, image)
    np.testing.assert_array_equal(missing, ~np.isfinite(image.astype(float)))


def test_scales_that_a_file_declares_are_those_of_the_dataset(tmp_path):
    path = written(tmp_path / "a.tif", image_of())
    with rasterio.open(path, "r+") as file:
        file.scales = (0.0001, 1.0, 1.0)
    with pytest.raises(ConfigError, match=r"red .*0.0001"):
        read(path)


@pytest.mark.parametrize("source", [image_of()[:, :0], image_of()[..., :0], None, [[1]]])
def test_what_has_no_pixels_is_refused(source):
    with pytest.raises(ConfigError, match="no pixels"):
        read(source)
