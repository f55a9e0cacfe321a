"""Bands of cubes as GeoTIFFs: types, and rasters that do not fit into memory."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from gcn_luigi.settings import BandSettings
from gcn_luigi.stages.layers import cube_tiles

xr = pytest.importorskip("xarray", reason="xarray is an extra: pip install 'gcn-luigi[cubes]'")
pytest.importorskip("zarr", reason="zarr is an extra: pip install 'gcn-luigi[cubes]'")

YEARS = (2004, 2008)


def written(tmp_path, values, chunks=None, **attributes):
    """Write `values`, (time, y, x), as a cube and its tile; return the path of the tile."""
    _, height, width = values.shape
    made = xr.Dataset(
        {"a": (("time", "y", "x"), values, attributes)},
        {"time": list(YEARS), "y": 15.0 + 30 * np.arange(height), "x": 15.0 + 30 * np.arange(width)},
        {"crs": "EPSG:32606"},
    )
    made.to_zarr(tmp_path / "a.zarr", consolidated=False, encoding={"a": {"chunks": chunks}} if chunks else {})
    table = BandSettings(name="a", role="optical", path="a.zarr")
    region = SimpleNamespace(settings=SimpleNamespace(table_of={"a": table}.get, years=YEARS))
    said = []
    out = tmp_path / "a.tif"
    cube_tiles.write_cube_tile(region, "a", tmp_path / "a.zarr", out, lambda text, share: said.append((text, share)))
    assert said[-1] == (f"a.zarr: {height} of {height} rows", 1.0)
    return out


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_every_type_of_numbers_is_written_unchanged(tmp_path, dtype):
    values = np.arange(2 * 40 * 30).reshape(2, 40, 30).astype(dtype)

    with rasterio.open(written(tmp_path, values, _FillValue=np.dtype(dtype).type(9))) as tile:
        assert set(tile.dtypes) == {dtype}
        assert tile.nodata == 9
        # Rows of the cube rise.
        np.testing.assert_array_equal(tile.read(), values[:, ::-1])


@pytest.mark.parametrize("most_bytes", [1, 2 * 2 * 256 * 300, 2 * 2 * 256 * 700, 64 << 20])
def test_parts_of_any_size_give_the_same_bytes(tmp_path, monkeypatch, most_bytes):
    values = np.random.default_rng(3).integers(0, 9, (2, 600, 700)).astype(np.int16)
    whole = written(tmp_path / "whole", values).read_bytes()
    monkeypatch.setattr(cube_tiles, "_MOST_BYTES", most_bytes)

    out = written(tmp_path / "parts", values, (1, 300, 128))

    assert out.read_bytes() == whole
    with rasterio.open(out) as tile:
        np.testing.assert_array_equal(tile.read(), values[:, ::-1])
