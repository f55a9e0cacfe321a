"""Broken outlines, grids, polygons and lists of ids: refused, or read as pyogrio and a plain loop read them."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
import shapely.affinity

from gcn_luigi.io.inputs.vector import read_grid, read_outlines, read_polygons, read_reject_ids
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.partitions.grid import import_grid
from gcn_luigi.settings import GridSettings, OutlineSettings
from tests.faults.kind import Kind, Sample, must

_CRS = "EPSG:32606"
_LATTICE = Lattice(_CRS, 600_000.0, 7_000_000.0, 10.0, 64, 64)
_CELL = 16
# Drivers and their options, by the suffix of what they write.
_DRIVERS = {
    "gpkg": {"driver": "GPKG", "layer": "outlines"},
    "geojson": {"driver": "GeoJSON"},
    "shp": {"driver": "ESRI Shapefile", "encoding": "UTF-8"},
}
_PARTS = ("shp", "shx", "dbf", "prj", "cpg")
_SMALLEST_M2 = 1.0


def _glaciers() -> gpd.GeoDataFrame:
    rng = np.random.default_rng(8)
    shapes = [
        shapely.Polygon([(x + r * np.cos(a), y + r * np.sin(a)) for a in np.sort(rng.uniform(0, 6.28, 9))])
        for x, y, r in zip(
            rng.uniform(600_000, 640_000, 9), rng.uniform(6_960_000, 7e6, 9), rng.uniform(200, 4000, 9), strict=True
        )
    ]
    shapes[3] = shapely.MultiPolygon(
        [shapely.box(601_000, 6_970_000, 602_000, 6_971_000), shapely.box(603_000, 6_970_000, 604_000, 6_972_000)]
    )
    shapes[4] = shapely.box(606_000, 6_975_000, 608_000, 6_978_000).difference(
        shapely.box(606_500, 6_976_000, 607_000, 6_977_000)
    )
    names = [f"RGI60-01.{number:05d}" for number in range(1, 10)]
    # Two parts of one glacier, of one date.
    names[8], shapes[8] = names[7], shapely.affinity.translate(shapes[7], 500.0)
    dates = ["20090906", "20069999", "-9999999", "20050801", "19990701", "20100815", "20040706", "20070101", "20070101"]
    return gpd.GeoDataFrame({"RGIId": names, "BgnDate": dates, "Name": ["Ä glacier"] * 9}, geometry=shapes, crs=_CRS)


def _cells() -> gpd.GeoDataFrame:
    step = _CELL * _LATTICE.pixel_size
    boxes = [
        (
            _LATTICE.left + c * step,
            _LATTICE.top - (r + 1) * step,
            _LATTICE.left + (c + 1) * step,
            _LATTICE.top - r * step,
        )
        for r in range(4)
        for c in range(4)
    ]
    sides = dict(zip(("left", "bottom", "right", "top"), np.array(boxes).T, strict=True))
    columns = {"label": np.arange(100.0, 116.0), "split": ["train", "dev"] * 8, "year": [2004] * 16, **sides}
    return gpd.GeoDataFrame(columns, geometry=shapely.box(*np.array(boxes).T), crs=_CRS)


def _samples(frame: Callable[[], gpd.GeoDataFrame]) -> Callable[[Path], list[Sample]]:
    """Return a function that writes a table in every format; each part of a shapefile is broken in its turn."""

    def write(_: Path) -> list[Sample]:
        table = frame()
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            for suffix, options in _DRIVERS.items():
                pyogrio.write_dataframe(table, directory / f"source.{suffix}", **options)
            table.to_parquet(directory / "source.parquet")
            parts = ("gpkg", "geojson", "parquet", *_PARTS)
            return [Sample(part, f"source.{part}", (directory / f"source.{part}").read_bytes()) for part in parts]

    return write


def _source(tree: Path, sample: Sample, frame: Callable[[], gpd.GeoDataFrame]) -> Path:
    """Return the file to read; the other parts of a shapefile are put beside the broken one."""
    if sample.name not in _PARTS:
        return tree / sample.place
    whole = tree.parent / f"sound-{frame.__name__}"
    if not whole.exists():
        whole.mkdir()
        pyogrio.write_dataframe(frame(), whole / "source.shp", **_DRIVERS["shp"])
    for part in _PARTS:
        if part != sample.name:
            (tree / f"source.{part}").write_bytes((whole / f"source.{part}").read_bytes())
    return tree / "source.shp"


def _plain(path: Path) -> gpd.GeoDataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".parquet":
            return gpd.read_parquet(path)
        try:
            return pyogrio.read_dataframe(path)
        except UnicodeDecodeError:
            # Names that are not what the .cpg file says are no reason to refuse a shapefile.
            return pyogrio.read_dataframe(path, encoding="cp1252")


def _usable(frame: gpd.GeoDataFrame, *, mended: bool) -> set[int]:
    """Return the rows whose geometry has an area, by shapely alone."""
    shapes = shapely.force_2d(frame.geometry.to_numpy())
    areas = [0.0 if shape is None else shapely.area(shapely.make_valid(shape) if mended else shape) for shape in shapes]
    return {row for row, area in enumerate(areas) if area > _SMALLEST_M2}


def _outlines(_: Path, tree: Path, sample: Sample) -> None:
    path = _source(tree, sample, _glaciers)
    found = read_outlines(path, OutlineSettings(path=path.name), _CRS)
    table, plain = found.table, _plain(path)
    must(len(table) and table.geometry.is_valid.all(), "an outline is not valid")
    must(table.geometry.geom_type.isin(["Polygon", "MultiPolygon"]).all(), "an outline is no polygon")
    must(
        np.isfinite(table.geometry.bounds.to_numpy()).all() and (table["area_m2"] > 0).all(), "an outline lies nowhere"
    )
    must(table["outline"].is_unique and (table["outline"].str.strip() != "").all(), "ids are not unique")
    must(table["year"].dropna().between(1900, 2100).all(), f"years {table['year'].tolist()}")
    columns = {str(name).lower(): str(name) for name in plain.columns}
    field = next(
        name
        for name in ("rgiid", "rgi_id", "glims_id", "glimsid", "glac_id", "glacier_id", "outline", "id")
        if name in columns
    )
    ids = plain[columns[field]]
    names = {
        str(ids.iloc[row]).strip() for row in _usable(plain.to_crs(_CRS), mended=True) if not pd.isna(ids.iloc[row])
    }
    lost = names - {""} - set(table["outline"])
    told = "\n".join(found.notes)
    must(not lost or "skipped" in told, f"outlines {sorted(lost)} of the file are gone, and the notes say {told!r}")
    must(len(table) <= len(plain), f"{len(table)} outlines of {len(plain)} records")


def _polygons(_: Path, tree: Path, sample: Sample) -> None:
    path = _source(tree, sample, _glaciers)
    found = read_polygons(path, _CRS)
    plain = _plain(path).to_crs(_CRS)
    must(found.is_valid.all() and found.geom_type.isin(["Polygon", "MultiPolygon"]).all(), "a polygon is not valid")
    must(np.isfinite(found.bounds.to_numpy()).all(), "a polygon lies nowhere")
    must(len(found) >= len(_usable(plain, mended=False)), f"{len(found)} polygons of {len(plain)}")


def _grid(_: Path, tree: Path, sample: Sample) -> None:
    path = _source(tree, sample, _cells)
    cells, _notes = import_grid(read_grid(path), _LATTICE, GridSettings(size=_CELL, path=path.name))
    plain = _plain(path)
    columns = {str(name).lower(): str(name) for name in plain.columns}
    named = all(name in columns for name in ("left", "bottom", "right", "top"))
    boxes = (
        plain[[columns[name] for name in ("left", "bottom", "right", "top")]].to_numpy(float)
        if named
        else plain.bounds.to_numpy()
    )
    wanted = {
        (
            round((_LATTICE.top - top) / 10),
            round((left - _LATTICE.left) / 10),
            round((top - bottom) / 10),
            round((right - left) / 10),
        )
        for left, bottom, right, top in boxes
    }
    found = {(cell.window.row, cell.window.col, cell.window.height, cell.window.width) for cell in cells}
    must(found == wanted, f"cells {sorted(found ^ wanted)[:4]} are in one of the two only")
    must(len({cell.id for cell in cells}) == len(cells), "ids are not unique")


_HEADERS = {"label", "new_id", "id", "partition", "cell", "cell_id", "grid_id", "rejects", "rejected", "reject"}
_LISTS = {
    "one a line": "label\n" + "\n".join(str(number) for number in range(100, 130)) + "\n",
    "one line": ",".join(str(number) for number in range(100, 130)) + "\n",
    "CSV": "label,why\n" + "\n".join(f'{number},"cloud, or snow"' for number in range(100, 130)) + "\n",
    "comments": "# rejected\n\n" + "\r\n".join(f"r{number:04d}_c0001" for number in range(30)),
    "tabs": "\n".join(f"{number}\tx" for number in range(100, 130)),
}


def _reject_samples(_: Path) -> list[Sample]:
    return [
        Sample(name, "rejects.csv", text.encode("utf-8-sig" if name == "CSV" else "utf-8"))
        for name, text in _LISTS.items()
    ]


def _rejects(_: Path, tree: Path, __: Sample) -> None:
    path = tree / "rejects.csv"
    found = read_reject_ids(path)
    text = path.read_bytes().decode("utf-8-sig")
    must(all(value and value == value.strip() for value in found), f"ids {sorted(found)[:4]}")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    # A loop over lines: no quoted field may swallow the lines below it.
    firsts = [line.replace(";", ",").replace("\t", ",").split(",")[0].strip() for line in lines]
    header = bool(firsts) and firsts[0].lower() in _HEADERS
    plain_ids = {value for value in firsts[header:] if value.isalnum()}
    whole = len(lines) - header == 1 and not header
    must(plain_ids <= found or whole, f"ids {sorted(plain_ids - found)[:4]} of the file are not read")
    must(not any("\n" in value for value in found), "an id of several lines")


OUTLINES = Kind(_samples(_glaciers), _outlines)
EXCLUSIONS = Kind(_samples(_glaciers), _polygons)
GRID = Kind(_samples(_cells), _grid)
REJECTS = Kind(_reject_samples, _rejects)
