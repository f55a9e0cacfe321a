"""Tables on disk."""

import json
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from gcn_luigi.errors import InputError
from gcn_luigi.io.tables import read_geoparquet, write_geopackage, write_geoparquet


def make_frame(n):
    boxes = shapely.box(np.arange(n) * 10.0, 0.0, np.arange(n) * 10.0 + 10.0, 10.0)
    table = {
        "partition": pd.array([f"p{i}" for i in range(n)], dtype="str"),
        "row": np.arange(n, dtype=np.int64),
        "year": pd.array([None if i % 3 == 0 else 2000 + i for i in range(n)], dtype="Int64"),
        "share": np.linspace(0.0, 1.0, n),
        "used": np.arange(n) % 2 == 0,
    }
    return gpd.GeoDataFrame(table, geometry=boxes, crs="EPSG:3338")


@pytest.mark.parametrize("n", [0, 1, 300])
def test_geoparquet_comes_back_as_it_was(tmp_path, n):
    write_geoparquet(tmp_path / "t.parquet", make_frame(n))

    pd.testing.assert_frame_equal(pd.DataFrame(read_geoparquet(tmp_path / "t.parquet")), pd.DataFrame(make_frame(n)))
    assert read_geoparquet(tmp_path / "t.parquet").crs == "EPSG:3338"


def test_geoparquet_is_1_1_with_wkb_zstd_and_a_bounding_box(tmp_path):
    write_geoparquet(tmp_path / "t.parquet", make_frame(5))

    parquet = pq.ParquetFile(tmp_path / "t.parquet")
    geo = json.loads(parquet.metadata.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    assert "bbox" in geo["columns"]["geometry"]["covering"]
    assert parquet.metadata.row_group(0).column(0).compression == "ZSTD"
    assert len(gpd.read_parquet(tmp_path / "t.parquet", bbox=(0, 0, 9, 9))) == 1


@pytest.mark.parametrize("n", [0, 1, 300])
def test_a_geopackage_comes_back_as_it_was(tmp_path, n):
    write_geopackage(tmp_path / ".a1b2c3.catalog.gpkg", make_frame(n), "catalog")

    assert pyogrio.list_layers(tmp_path / ".a1b2c3.catalog.gpkg").tolist() == [["catalog", "Polygon"]]
    back = pyogrio.read_dataframe(tmp_path / ".a1b2c3.catalog.gpkg")
    assert back.crs == "EPSG:3338"
    assert back["partition"].tolist() == make_frame(n)["partition"].tolist()
    assert back["year"].isna().tolist() == make_frame(n)["year"].isna().tolist()
    assert back.geometry.geom_equals(make_frame(n).geometry, align=False).all()


@pytest.mark.parametrize("n", [0, 300])
def test_two_writes_are_equal_to_the_byte_whatever_the_name_and_the_time(tmp_path, n):
    for i, name in enumerate((".a1b2c3.catalog", ".d4e5f6.catalog", "catalog")):
        if i == 1:
            time.sleep(1.1)
        write_geopackage(tmp_path / f"{name}.gpkg", make_frame(n), "catalog")
        write_geoparquet(tmp_path / f"{name}.parquet", make_frame(n))

    for suffix in ("gpkg", "parquet"):
        assert len({path.read_bytes() for path in tmp_path.glob(f"*.{suffix}")}) == 1


def test_an_existing_file_is_replaced_whole(tmp_path):
    path = tmp_path / "t.gpkg"
    write_geopackage(path, make_frame(300), "old")
    write_geopackage(path, make_frame(3), "new")
    write_geopackage(tmp_path / "fresh.gpkg", make_frame(3), "new")

    assert path.read_bytes() == (tmp_path / "fresh.gpkg").read_bytes()


@pytest.mark.parametrize("before", [None, "2001-01-01T00:00:00.000Z"])
def test_gdal_settings_are_left_as_they_were(tmp_path, before):
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})

    write_geopackage(tmp_path / "t.gpkg", make_frame(1), "catalog")

    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == before
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def test_what_is_no_geoparquet_is_named(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "plain.parquet")

    for name in ("t.parquet", "plain.parquet", "none.parquet"):
        with pytest.raises(InputError, match="not a GeoParquet file") as caught:
            read_geoparquet(tmp_path / name)
        assert name in caught.value.where


def test_a_table_with_a_broken_polygon_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    write_geoparquet(path, make_frame(1))
    table = pq.read_table(path)
    place = table.schema.get_field_index("geometry")
    wkb = bytearray(table["geometry"][0].as_py())
    # The last coordinate of the ring: it no longer closes.
    wkb[-9] ^= 0x40
    pq.write_table(table.set_column(place, table.schema.field("geometry"), pa.array([bytes(wkb)])), path)

    with pytest.raises(InputError, match="not a GeoParquet file") as caught:
        read_geoparquet(path)
    assert caught.value.where == str(path)


def test_a_table_with_a_text_that_is_none_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    write_geoparquet(path, make_frame(1).assign(name=["plain text"]))
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    path.write_bytes(path.read_bytes().replace(b"plain text", b"pl\xff\xfen text"))

    with pytest.raises(InputError, match="not a GeoParquet file") as caught:
        read_geoparquet(path)
    assert caught.value.where == str(path)
