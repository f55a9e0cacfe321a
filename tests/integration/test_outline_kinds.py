"""Outlines and grids as they come in the field, through label and catalog; compared by shapely and rasterio."""

import json
import shutil
from collections import Counter

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

from gcn_luigi.errors import ConfigError, GcnLuigiError
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.tasks import ClassLabel, DistanceRaster, GridComparison, PartitionCatalog
from gcn_luigi.tasks.partitions import GridReport
from tests.integration.builds import build_inline, dataset, small_config

OUTLINES = 'path = "rgi/outlines.gpkg"'


@pytest.fixture(scope="module")
def world(small_world, tmp_path_factory):
    return shutil.copytree(small_world, tmp_path_factory.mktemp("world") / "input")


@pytest.fixture(scope="module")
def outlines(world):
    return pyogrio.read_dataframe(world / "rgi/outlines.gpkg")


@pytest.fixture
def made(world, tmp_path):
    """Return a function that builds one task of the small region; it returns the layout."""

    def make(task, *replacements):
        root = dataset("small", tmp_path / "out", world, small_config(tmp_path / "config", "small", *replacements))
        build_inline(root.clone(task))
        return root.paths

    return make


def written(world, name, frame):
    """Write a file of outlines beside the others; return what names it in the configuration."""
    pyogrio.write_dataframe(frame, world / f"rgi/{name}.gpkg", driver="GPKG")
    return (OUTLINES, f'path = "rgi/{name}.gpkg"')


def told(paths):
    return json.loads(paths.split_audit.read_text(encoding="utf-8"))["notes"]


def burnt(shapes, source):
    return rasterize(list(shapes), out_shape=source.shape, transform=source.transform, dtype="uint8").astype(bool)


def glims(outlines):
    """Return outlines as GLIMS hands them out: one row a line, nunataks as rows of their own."""
    rows = []
    for number, shape in enumerate(outlines.geometry):
        whole = shapely.Polygon(max(shapely.get_parts(shape), key=shapely.area).exterior)
        rock = whole.representative_point().buffer(200.0).intersection(whole)
        debris = whole.intersection(shapely.box(*whole.bounds[:2], whole.centroid.x, whole.bounds[3]))
        for kind, line in (("glac_bound", whole), ("intrnl_rock", rock), ("debris_cov", debris)):
            rows.append((kind, f"G{number:06d}E61000N", "2009-07-01T00:00:00", line))
    columns = ["line_type", "glac_id", "src_date", "geometry"]
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=columns), crs=outlines.crs)


def test_rock_of_a_glims_download_is_no_glacier(world, outlines, made):
    frame = glims(outlines)

    paths = made(PartitionCatalog, written(world, "glims", frame))

    with rasterio.open(paths.label) as source:
        label = source.read(1)
        rock = burnt(frame.geometry[frame["line_type"] == "intrnl_rock"], source)
        cut = shapely.difference(
            frame.geometry[frame["line_type"] == "glac_bound"].to_numpy(),
            frame.geometry[frame["line_type"] == "intrnl_rock"].to_numpy(),
        )
        expected = burnt(cut, source)
    glacier = np.isin(label, (1, 2))
    assert rock.sum() > 1000
    # The centre of a pixel may lie on the edge.
    assert glacier[rock].sum() < 5
    np.testing.assert_array_equal(glacier | (label == 255), expected | (label == 255))
    assert [note.split(":")[0] for note in told(paths)["outlines"]] == [
        "rows left out as no outlines of glaciers",
        f"{len(outlines)} rows of rock subtracted from {len(outlines)} glaciers",
    ]


def test_analyses_of_glims_are_told_apart_by_date(world, outlines, made):
    old = gpd.GeoDataFrame({"glac_id": outlines["RGIId"], "src_date": "1999-08-01"}, geometry=outlines.geometry)
    new = old.assign(src_date="2009-08-01").set_geometry(outlines.geometry.buffer(-60.0))
    keep = (~new.geometry.is_empty).to_numpy()
    both = pd.concat([old[keep], new[keep]], ignore_index=True).set_crs(outlines.crs, allow_override=True)
    chosen = written(world, "series", both)

    with pytest.raises(GcnLuigiError, match="outlines of several dates"):
        made(ClassLabel, chosen)
    newest = made(PartitionCatalog, chosen, ("[label]", 'analyses = "newest"\n\n[label]'))

    catalog = read_geoparquet(newest.catalog)
    assert set(catalog["outline_year"].dropna()) == {2009}
    with rasterio.open(newest.label) as source:
        label, expected = source.read(1), burnt(new.geometry[keep], source)
    np.testing.assert_array_equal(np.isin(label, (1, 2)) | (label == 255), expected | (label == 255))
    assert expected.sum() < burnt(old.geometry[keep], rasterio.open(newest.label)).sum()


def test_all_analyses_count_as_one_glacier_in_catalog_and_audit(world, outlines, made):
    old = gpd.GeoDataFrame({"glac_id": outlines["RGIId"], "src_date": "1999-08-01"}, geometry=outlines.geometry)
    both = pd.concat([old, old.assign(src_date="2009-08-01")], ignore_index=True).set_crs(
        outlines.crs, allow_override=True
    )

    paths = made(
        PartitionCatalog,
        written(world, "all", both),
        ("[label]", 'analyses = "all"\n\n[label]'),
        ("max_gap_years = 5", "max_gap_years = 9"),
    )

    catalog, audit = read_geoparquet(paths.catalog), json.loads(paths.split_audit.read_text())
    named = {name for names in catalog["rgi_ids"] for name in names.split(";") if name}
    assert named <= set(outlines["RGIId"])
    assert set(audit["shared_glaciers"]) <= set(outlines["RGIId"])
    seen = catalog[catalog["n_outlines"] > 0]
    assert set(seen["outline_year_min"]) == {1999}
    assert set(seen["outline_year_max"]) == {2009}


def test_glacier_share_is_the_area_of_the_union(world, outlines, made):
    doubled = pd.concat([outlines, outlines.assign(RGIId=outlines["RGIId"] + "b")], ignore_index=True)

    paths = made(PartitionCatalog, written(world, "doubled", doubled))

    catalog = read_geoparquet(paths.catalog)
    whole = shapely.union_all(outlines.geometry.to_numpy())
    boxes = catalog.geometry.to_numpy()
    expected = shapely.area(shapely.intersection(boxes, whole)) / shapely.area(boxes)
    np.testing.assert_allclose(catalog["glacier_share"], expected, atol=1e-7)
    assert ((expected > 0.1) & (expected < 0.4)).any()


def test_dates_out_of_reach_name_the_gap_and_its_key(world, outlines, made):
    with pytest.raises(ConfigError, match=r"no partition can be used: .* x year gap") as caught:
        made(PartitionCatalog, written(world, "early", outlines.assign(BgnDate="19500701")))

    assert "set [year] max_gap_years = 50" in caught.value.fix


def test_outlines_without_dates_name_the_columns_and_the_key(world, outlines, made):
    with pytest.raises(ConfigError, match=r"no partition can be used: .* x no dated outline") as caught:
        made(PartitionCatalog, written(world, "undated", outlines.drop(columns="BgnDate")))

    assert "[outlines] date_field" in caught.value.fix
    assert "[year] no_year" in caught.value.fix


def test_composites_reach_the_outlines_only_where_they_choose_among_analyses(world, tmp_path):
    for analyses, keys in (("newest", {"outlines"}), ("nearest", {"outlines", "years"})):
        changed = ("[label]", f'analyses = "{analyses}"\n\n[label]')
        root = dataset("small", tmp_path / "out", world, small_config(tmp_path / "config", "small", changed))
        for task in (ClassLabel, DistanceRaster, GridComparison, GridReport):
            named = set(root.clone(task).dependencies(root.paths.label).settings)
            assert named & {"outlines", "years"} == keys, task


# ---- A grid that was joined with outlines ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grid(world, outlines, tmp_path_factory):
    """Return a grid with one row a cell and outline, as a spatial join in a GIS makes it."""
    work = tmp_path_factory.mktemp("grid")
    root = dataset("small", work / "out", world, small_config(work / "config", "small"))
    build_inline(root.clone(PartitionCatalog))
    cells = pyogrio.read_dataframe(root.paths.grid)[["partition", "geometry"]].rename(columns={"partition": "label"})
    joined = cells.sjoin(outlines[["RGIId", "BgnDate", "geometry"]], how="left", predicate="intersects")
    joined["year"] = joined["BgnDate"].str[:4].astype("float")
    pyogrio.write_dataframe(joined.drop(columns="index_right"), world / "grid.gpkg", driver="GPKG")
    return joined


GRID = ('origin = "lattice"', 'origin = "lattice"\npath = "grid.gpkg"')
FROM_GRID = ('rule = "nearest"', 'rule = "nearest"\nsource = "grid"')


def test_a_cell_takes_the_commonest_year_of_its_rows(grid, made):
    paths = made(PartitionCatalog, GRID, FROM_GRID)

    years = read_geoparquet(paths.catalog).set_index("partition")
    several = 0
    for label, rows in grid.groupby("label"):
        counts = Counter(rows["year"].dropna().astype(int))
        several += len(counts) > 1
        wanted = min(counts, key=lambda year: (-counts[year], year), default=None)
        found = years.loc[str(label), ["outline_year", "outline_year_min", "outline_year_max"]].tolist()
        assert found == ([wanted, min(counts), max(counts)] if counts else [pd.NA] * 3)
    assert several > 3
    assert f"{several} cells whose rows state several years" in told(paths)["grid"]


@pytest.mark.usefixtures("grid")
def test_weights_by_area_are_refused_where_the_grid_states_none(made):
    with pytest.raises(ConfigError, match=r"\d+ of \d+ cells have several years but no areas") as caught:
        made(PartitionCatalog, GRID, ('rule = "nearest"', 'rule = "area-weighted"\nsource = "grid"'))

    assert 'rule = "nearest"' in caught.value.fix
