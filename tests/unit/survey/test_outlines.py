"""The outlines and the grid among several vector files are recognised by their columns."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from gcn_luigi.io.inputs.layers import look_at_layers
from gcn_luigi.survey.outlines import choose_grid, choose_outlines, year_lines
from gcn_luigi.survey.sources import Findings


def write(path, columns, crs="EPSG:32606", layer=None, edge=100.0):
    n = len(next(iter(columns.values())))
    shapes = [shapely.box(edge * i, 0, edge * (i + 1), edge) for i in range(n)]
    path.parent.mkdir(parents=True, exist_ok=True)
    gpd.GeoDataFrame(columns, geometry=shapes, crs=crs).to_file(path, **({"layer": layer} if layer else {}))
    return path


def found_in(root):
    found = Findings(root)
    for path in sorted(root.rglob("*.*")):
        if path.suffix in {".gpkg", ".shp", ".geojson"}:
            found.layers += look_at_layers(path)
    return found


def keys(guess):
    return {line.key: line.value for line in guess.lines}


def test_rgi_is_preferred_to_other_polygons(tmp_path):
    write(tmp_path / "lakes.gpkg", {"name": ["a", "b"]})
    write(tmp_path / "rgi7.gpkg", {"rgi_id": ["x-1", "x-2"], "src_date": ["2009-07-01", "2010-08-01"]})

    guess = choose_outlines(found_in(tmp_path))

    assert keys(guess) == {"path": "rgi7.gpkg"}
    assert (guess.years, guess.others) == ((2009, 2010), ("lakes.gpkg",))


def test_keys_that_unusual_columns_need_are_proposed(tmp_path):
    write(tmp_path / "glaciers.shp", {"feature": ["a", "b"], "area": [1.0, 2.0]})

    guess = choose_outlines(found_in(tmp_path))

    assert keys(guess) == {"path": "glaciers.shp", "id_field": "row"}
    assert (guess.years, guess.n_undated) == ((), 2)
    lines, questions = year_lines(guess, (2004, 2008))
    assert {line.key: line.value for line in lines} == {"no_year": 2008}
    assert "no dates" in questions[0]


def test_a_layer_of_several_is_named(tmp_path):
    path = write(tmp_path / "glaciers.gpkg", {"name": ["a", "b"]}, layer="lakes")
    write(path, {"rgi_id": ["x-1", "x-2"], "src_date": ["2009", "2010"]}, layer="outlines")

    guess = choose_outlines(found_in(tmp_path))

    assert keys(guess)["layer"] == "outlines"


def test_glaciers_with_several_dates_need_a_choice(tmp_path):
    dates = ["2000-08-01", "2010-08-01", "2010-08-01"]
    write(tmp_path / "rgi.gpkg", {"rgi_id": ["x-1", "x-1", "x-2"], "src_date": dates})

    assert keys(choose_outlines(found_in(tmp_path)))["analyses"] == "nearest"


@pytest.mark.parametrize(
    ("dates", "wanted"), [(["2005", "2006"], {}), (["1955", "1957"], {"max_gap_years": 48}), (["1955", "2004"], {})]
)
def test_a_gap_that_no_outline_meets_is_asked_about(tmp_path, dates, wanted):
    write(tmp_path / "rgi.gpkg", {"rgi_id": ["x-1", "x-2"], "src_date": dates})

    lines, questions = year_lines(choose_outlines(found_in(tmp_path)), (2004, 2008))

    assert {line.key: line.value for line in lines} == wanted
    assert len(questions) == len(wanted)


def test_nothing_but_lines_is_no_outlines(tmp_path):
    line = shapely.LineString([(0, 0), (1, 1)])
    gpd.GeoDataFrame({"rgi_id": ["x"]}, geometry=[line], crs="EPSG:32606").to_file(tmp_path / "rgi_lines.gpkg")

    assert choose_outlines(found_in(tmp_path)) is None


def test_a_grid_is_known_by_its_edges(tmp_path):
    left = np.arange(3) * 300.0
    cells = {"label": list("abc"), "left": left, "right": left + 300, "top": [300.0] * 3, "bottom": [0.0] * 3}
    write(tmp_path / "grid.gpkg", {**cells, "split": ["train", "train", "dev"]}, edge=300.0)
    found = found_in(tmp_path)

    guess = choose_grid(found, 10.0, (0.0, 0.0, 900.0, 300.0), "EPSG:32606")

    assert keys(guess) == {"path": "grid.gpkg", "size": 30}
    assert guess.has_split
    assert keys(choose_grid(found, 10.0, (0.0, 0.0, 450.0, 300.0), "EPSG:32606"))["max_outside_share"] == 0.75
    # Cells that are no whole number of pixels, or in another CRS, are none of this region.
    assert choose_grid(found, 7.0, (0.0, 0.0, 900.0, 300.0), "EPSG:32606") is None
    assert choose_grid(found, 10.0, (0.0, 0.0, 900.0, 300.0), "EPSG:3338") is None
    assert choose_outlines(found) is None
