"""Which rows of a file of outlines are one outline, which are refused, and what outlines cover together."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.vector import read_outlines
from gcn_luigi.lattice import Lattice
from gcn_luigi.prepare.partitions.grid import make_grid
from gcn_luigi.prepare.partitions.grid_comparison import compare_grids
from gcn_luigi.prepare.partitions.overlay import cell_boxes, join_outlines
from gcn_luigi.settings import OutlineSettings

CRS = "EPSG:3338"


def square(x=0.0, size=100.0, y=0.0):
    return shapely.box(x, y, x + size, y + size)


@pytest.fixture
def read(tmp_path):
    """Return a function that writes rows to a GeoPackage and reads them as outlines."""

    def read_rows(shapes, composites=(), *, settings=None, **columns):
        path = tmp_path / "outlines.gpkg"
        pyogrio.write_dataframe(gpd.GeoDataFrame(columns, geometry=shapes, crs=CRS), path, driver="GPKG")
        return read_outlines(path, OutlineSettings(path="x", **(settings or {})), CRS, composites)

    return read_rows


def refusal(read, *arguments, **columns):
    with pytest.raises(InputError) as caught:
        read(*arguments, **columns)
    return caught.value


def row_of(n, gap=200.0):
    return [square(i * gap) for i in range(n)]


def test_a_constant_id_is_refused_with_its_column_and_counts(read):
    dates = [f"{2000 + i}0701" for i in range(15)]

    error = refusal(read, row_of(15), Id=[0] * 15, BgnDate=dates, Name=[f"n{i}" for i in range(15)])

    assert "the column 'Id' holds 1 id for 15 rows of 15 dates" in str(error)
    assert "[outlines] id_field (Name: a different value in each row)" in error.fix
    assert 'id_field = "row"' in error.fix


def test_columns_of_dates_and_the_refused_column_are_not_named_as_better_ids(read):
    different = {"when": [f"{2000 + i}0701" for i in range(15)], "update": [f"u{i}" for i in range(15)]}
    dates = {"BgnDate": [f"{2000 + i}0701" for i in range(15)], "Survey_Date": [f"d{i}" for i in range(15)]}

    error = refusal(read, row_of(15), Id=[0] * 15, **dates, **different)

    assert "[outlines] id_field (when: a different value in each row)" in error.fix


@pytest.mark.parametrize(
    "ids",
    [[0] * 15, [0] * 14 + [7], [3, 5, *[0] * 9, 7, 8, 9, 10], ["unit"] * 15, [0.0] * 15],
)
def test_a_default_value_is_refused_although_all_rows_touch_and_have_one_date(read, ids):
    error = refusal(read, row_of(15, 100.0), Id=ids, BgnDate=["20090701"] * 15)

    assert "rows of 1 date: " in str(error)
    assert "does not distinguish glaciers" in str(error)


@pytest.mark.parametrize("date_of_second", ["20090701", "20100701"])
def test_numbers_that_begin_anew_are_refused(read, date_of_second):
    # Two maps, one behind the other; each pair lies 20 km apart.
    shapes = [square(i * 300.0 + far) for far in (0.0, 20_000.0) for i in range(6)]
    dates = ["20090701"] * 6 + [date_of_second] * 6

    error = refusal(read, shapes, Id=[*range(1, 7)] * 2, BgnDate=dates)

    assert "holds 6 ids for 12 rows" in str(error)


def test_numbers_that_begin_anew_are_refused_even_where_each_pair_touches(read):
    shapes = [square(i * 300.0 + near) for near in (0.0, 100.0) for i in range(6)]

    error = refusal(read, shapes, Id=[*range(1, 7)] * 2, BgnDate=["20090701"] * 12)

    assert "the numbers restart" in str(error)


def test_far_rows_of_one_id_and_date_are_refused_and_near_ones_united(read):
    columns = {"RGIId": ["a", "a", "b"], "BgnDate": ["20090701"] * 3}

    error = refusal(read, [square(), square(1_200), square(9_000)], **columns)
    united = read([square(), square(1_000), square(9_000)], **columns)

    assert "1 id for rows of one date more than 1000 m apart (a)" in str(error)
    assert united.table["outline"].tolist() == ["a", "b"]
    assert united.table.geometry[0].equals(shapely.union(square(), square(1_000)))
    assert united.notes == ("2 rows that share an id united, as parts of one glacier and date: a",)


@pytest.mark.parametrize(
    ("name", "first"), [("RGI60-01.10689", 900.0), ("G213112E61299N", 900.0), ("RGI2000-v7.0-C-01-00001", 100.0)]
)
def test_many_parts_under_an_id_of_a_known_inventory_are_one_outline(read, name, first):
    shapes = [square(0, first), *(square(1_000 + i * 200.0) for i in range(8))]

    table = read(shapes, RGIId=[name] * 9, BgnDate=["20090701"] * 9).table

    assert table["outline"].tolist() == [name]
    assert table.loc[0, "area_m2"] == pytest.approx(first**2 + 8 * 100.0**2)


def test_one_id_of_an_inventory_for_glaciers_of_one_size_is_refused(read):
    error = refusal(read, row_of(15, 100.0), RGIId=["RGI60-01.00001"] * 15, BgnDate=["20090701"] * 15)

    assert "does not distinguish glaciers" in str(error)


def test_each_row_can_be_an_outline_of_its_own(read):
    outlines = read(
        row_of(4), settings={"id_field": "row"}, Id=[0] * 4, BgnDate=["20000701", "20050701", "20050701", "20080701"]
    )

    assert outlines.table["outline"].tolist() == ["row 0", "row 1", "row 2", "row 3"]
    assert outlines.table["year"].tolist() == [2000, 2005, 2005, 2008]
    assert outlines.notes == ("each of the 4 rows is an outline of its own",)


def test_a_column_called_row_is_a_column(read):
    table = read(row_of(2), settings={"id_field": "row"}, row=["x", "y"], BgnDate=["20000701"] * 2).table

    assert table["outline"].tolist() == ["x", "y"]


def test_numbers_with_and_without_a_decimal_point_are_the_same_id(read):
    table = read(row_of(3, 2_000.0), Id=[1.0, 2.0, None], BgnDate=["20000701"] * 3).table

    assert table["outline"].tolist() == ["1", "2", "row 2"]


@pytest.mark.parametrize("pair", [("a 1", "A 1"), ("a1", "a 1"), ("7", "07"), ("7", "7.0"), ("G\t1", "g1")])
def test_ids_that_differ_only_in_how_they_are_written_are_refused(read, pair):
    error = refusal(read, row_of(3), RGIId=[*pair, "b"], BgnDate=["20090701"] * 3)

    assert "differ only in how they are written" in str(error)
    assert repr(pair[0]) in str(error)


@pytest.mark.parametrize(
    "word",
    ["unknown", "-", "n/a", "", "RGI60-01.00000", "G000000E00000N", "-9999", "-1", "Unnamed", "No name", "NoData"],
)
def test_rows_that_name_no_glacier_are_kept_apart_and_counted(read, word):
    outlines = read(row_of(5, 100.0), RGIId=["a", word, word, "b", "c"], BgnDate=["20090701"] * 5)

    assert outlines.table["outline"].tolist() == ["a", "b", "c", "row 1", "row 2"]
    assert outlines.notes == (
        "2 of 5 rows hold no id in the column 'RGIId' and are outlines of their own: row 1, row 2",
    )


def test_a_column_that_names_hardly_any_glacier_is_refused(read):
    error = refusal(read, row_of(5), RGIId=["a", None, "unknown", "", "-"], BgnDate=["20090701"] * 5)

    assert "4 of 5 rows hold no id in the column 'RGIId'" in str(error)


def test_an_id_that_looks_like_a_made_up_name_is_refused(read):
    assert "row 1" in str(refusal(read, row_of(3), RGIId=["row 1", None, "b"], BgnDate=["20090701"] * 3))


def test_where_two_columns_fit_it_is_said_which_was_taken(read):
    outlines = read(row_of(2), RGIId=["a", "b"], Id=[0, 0], BgnDate=["2001", "2002"], src_date=["2011", "2012"])

    assert outlines.table["outline"].tolist() == ["a", "b"]
    assert outlines.table["year"].tolist() == [2001, 2002]
    assert outlines.notes == (
        "ids are those of RGIId; Id would do as well: [outlines] id_field says which",
        "dates are those of BgnDate; src_date would do as well: [outlines] date_field says which",
    )


def test_the_glims_id_that_every_rgi_file_holds_is_no_second_choice(read):
    assert read(row_of(2), RGIId=["a", "b"], GLIMSId=["G1", "G2"], BgnDate=["2001", "2002"]).notes == ()


# ---- Several analyses of one glacier -----------------------------------------------------------------------------

SERIES = {
    "glac_id": ["G1", "G1", "G1", "G2"],
    "src_date": ["1999-08-01T00:00:00", "2005-08-01T00:00:00", "2013-08-01T00:00:00", "2005-08-01T00:00:00"],
}
# A glacier that retreats, and a neighbour.
RETREAT = [square(0, 300), square(0, 200), square(0, 100), square(5_000)]


def test_several_dates_of_one_glacier_ask_which_counts(read):
    error = refusal(read, RETREAT, **SERIES)

    assert "outlines of several dates for 1 of 2 glaciers" in str(error)
    assert "G1 (1999-08-01, 2005-08-01, 2013-08-01)" in str(error)
    assert "[outlines] analyses" in error.fix


@pytest.mark.parametrize(
    ("analyses", "composites", "year"),
    [("newest", [1998], 2013), ("nearest", [1998, 2003], 1999), ("nearest", [1999, 2004, 2013], 2013),
     ("nearest", [2006], 2005), ("nearest", [2002], 2005)],
)  # fmt: skip
def test_one_analysis_of_each_glacier_is_kept(read, analyses, composites, year):
    outlines = read(RETREAT, composites, settings={"analyses": analyses}, **SERIES)

    size = {1999: 300.0, 2005: 200.0, 2013: 100.0}[year]
    assert outlines.table["outline"].tolist() == outlines.table["glacier"].tolist() == ["G1", "G2"]
    assert outlines.table["year"].tolist() == [year, 2005]
    assert outlines.table.geometry[0].equals(square(0, size))
    assert outlines.notes == (
        f"2 rows left out: of several analyses of 1 glacier the {analyses} counts: G1 ({year}-08-01)",
    )


def test_all_analyses_are_outlines_of_one_glacier(read):
    outlines = read(RETREAT, settings={"analyses": "all"}, **SERIES)

    assert outlines.table["outline"].tolist() == ["G1@1999-08-01", "G1@2005-08-01", "G1@2013-08-01", "G2"]
    assert outlines.table["glacier"].tolist() == ["G1", "G1", "G1", "G2"]
    assert outlines.table["year"].tolist() == [1999, 2005, 2013, 2005]
    assert outlines.table["area_m2"].tolist() == [90_000.0, 40_000.0, 10_000.0, 10_000.0]
    assert outlines.notes == ("3 analyses of 1 glacier kept, each an outline of its own: G1",)


@pytest.mark.parametrize("analyses", ["error", "all", "newest", "nearest"])
def test_rows_of_different_dates_on_different_ground_are_no_analyses(read, analyses):
    error = refusal(
        read, [square(), square(100), square(5_000)], [2000], settings={"analyses": analyses},
        glac_id=["G1", "G1", "G2"], src_date=["1999-08-01", "2005-08-01", "2005-08-01"],
    )  # fmt: skip

    assert "1 id for rows of different dates on different ground (G1)" in str(error)


def test_two_days_of_one_year_that_overlap_are_two_analyses(read):
    columns = {"glac_id": ["G1", "G1"], "src_date": ["2005-08-01", "2005-09-01"]}

    assert "several dates" in str(refusal(read, RETREAT[:2], **columns))
    newest = read(RETREAT[:2], settings={"analyses": "newest"}, **columns).table
    assert newest["date"].tolist() == ["2005-09-01"]


@pytest.mark.parametrize("analyses", ["newest", "nearest", "all"])
def test_parts_of_one_year_stay_one_analysis_beside_those_of_other_years(read, analyses):
    whole, main, part = shapely.box(0, 0, 500, 300), square(0, 300), square(400, 50)
    days = ["1999-07-01", "2009-07-01", "2009-07-05"]

    table = read(
        [whole, main, part], [2009], settings={"analyses": analyses}, glac_id=["G1"] * 3, src_date=days
    ).table  # fmt: skip

    newer = table[table["year"] == 2009]
    assert newer.geometry.area.tolist() == [300.0**2 + 50.0**2]
    assert newer["date"].tolist() == ["2009-07-01"]
    assert len(table) == (2 if analyses == "all" else 1)


@pytest.mark.parametrize("days", [("2009-07-01", "2010-07-01"), ("2009-07-01", "2009-07-05")])
def test_later_rows_on_different_ground_are_no_analyses_although_an_older_one_holds_both(read, days):
    shapes = [shapely.box(0, 0, 500, 300), square(0, 300), square(400, 50)]
    dates = ["1999-07-01", *days]
    if days[0][:4] == days[1][:4]:
        # Were the whole seen in that year as well, nobody could say what the parts are.
        dates[0] = "2009-06-01"

    error = refusal(read, shapes, settings={"analyses": "newest"}, glac_id=["G1"] * 3, src_date=dates)

    assert "1 id for rows of different dates on different ground (G1)" in str(error)


def two_of_one_image():
    """Return two analyses of one image, of which only the later one shows a nunatak."""
    shapes = [square(0, 300), square(0, 290), square(100, 50, 100)]
    columns = {
        "glac_id": ["G1"] * 3,
        "line_type": ["glac_bound", "glac_bound", "intrnl_rock"],
        "anlys_id": [9, 10, 10],
        "src_date": ["2009-07-01"] * 3,
    }
    return shapes, columns


def test_several_analyses_of_one_image_are_no_parts_and_fill_no_nunatak(read):
    shapes, columns = two_of_one_image()
    rock = shapes[2]

    assert "several analyses of one date for 1 of 1 glacier, for example G1 (2009-07-01 #9, 2009-07-01 #10)" in str(
        refusal(read, shapes, **columns)
    )
    for analyses in ("newest", "nearest"):
        (shape,) = read(shapes, [2009], settings={"analyses": analyses}, **columns).table.geometry
        assert shape.equals(square(0, 290).difference(rock))
    every = read(shapes, settings={"analyses": "all"}, **columns).table
    assert every["outline"].tolist() == ["G1@2009-07-01#10", "G1@2009-07-01#9"]
    assert every["glacier"].tolist() == ["G1", "G1"]
    np.testing.assert_allclose(every["area_m2"], [290.0**2 - 50.0**2, 300.0**2])


@pytest.mark.parametrize("second", [square(0, 300), square(400, 50)])
def test_copies_and_parts_under_several_numbers_of_one_date_are_one_analysis(read, second):
    table = read([square(0, 300), second], glac_id=["G1"] * 2, anlys_id=[9, 10], src_date=["2009-07-01"] * 2).table

    assert table["outline"].tolist() == ["G1"]
    assert table.geometry[0].equals(shapely.union(square(0, 300), second))


@pytest.mark.parametrize("inner", [square(100, 50, 100), square(0, 50), square(0, 290)])
def test_a_row_within_another_of_its_id_and_date_is_not_swallowed(read, inner):
    error = refusal(read, [square(0, 300), inner, square(5_000)], id=["a", "a", "b"], year=[2009] * 3)

    assert "1 id for rows of one date, one within the other (a): a nunatak?" in str(error)
    assert "intrnl_rock" in error.fix
    # In a nunatak of its own glacier it is a part.
    ring = square(0, 300).difference(square(80, 120, 80))
    within = read([ring, square(100, 50, 100)], id=["a", "a"], year=[2009] * 2).table
    np.testing.assert_allclose(within["area_m2"], 300.0**2 - 120.0**2 + 50.0**2)


def test_extents_of_two_years_under_two_ids_are_told(read):
    shapes = [square(0, 300), square(0, 200), square(5_000)]
    # Neighbours with a common divide, copies of one year, undated ones and analyses of one glacier are none of that.
    sound = [
        ([square(0), square(100)], ["a", "b"], [1999, 2013]),
        ([square(0), square(0, 80)], ["a", "b"], [2013, 2013]),
        ([square(0), square(0, 80)], ["a", "b"], [2013, None]),
        ([square(0), square(0, 80)], ["a", "a"], [1999, 2013]),
    ]

    notes = read(shapes, id=["a_1999", "a_2013", "b"], year=[1999, 2013, 2013]).notes

    (note,) = notes
    assert note.startswith("outlines of other ids and years on the same ground, 1 of 3; the label takes all of them")
    assert note.endswith(": a_2013 on a_1999")
    for shape, ids, years in sound:
        kept = read(shape, settings={"analyses": "all"}, id=ids, year=pd.array(years, dtype="Int64")).notes
        assert not any("same ground" in note for note in kept)


def test_an_undated_analysis_is_older_than_any_other(read):
    columns = {"glac_id": ["G1", "G1"], "src_date": ["2005-08-01", None]}

    newest = read(RETREAT[:2], settings={"analyses": "newest"}, **columns).table
    every = read(RETREAT[:2], settings={"analyses": "all"}, **columns).table

    assert newest["area_m2"].tolist() == [90_000.0]
    assert every["outline"].tolist() == ["G1@2005-08-01", "G1@undated"]


# ---- Downloads of GLIMS ------------------------------------------------------------------------------------------


def test_rock_is_cut_out_of_its_glacier_and_other_lines_are_left_out(read):
    rock, lake, debris = square(20, 30, 20), square(60, 10, 60), square(0, 15, 80)
    outlines = read(
        [square(), rock, lake, debris, square(300)],
        line_type=["glac_bound", "intrnl_rock", "supra_lake", "debris_cov", "GLAC_BOUND "],
        glac_id=["G1", "G1", "G1", "G1", "G2"],
        src_date=["2009-07-01T00:00:00"] * 5,
    )

    assert outlines.table["outline"].tolist() == ["G1", "G2"]
    assert outlines.table.geometry[0].equals(square().difference(rock))
    assert outlines.table["area_m2"].tolist() == [9_100.0, 10_000.0]
    assert outlines.notes == (
        "rows left out as no outlines of glaciers: 1 x debris_cov, 1 x supra_lake",
        "1 row of rock subtracted from 1 glacier: G1",
    )


@pytest.mark.parametrize("day", ["2009-07-01", "1999-07-01"])
def test_rock_across_a_divide_is_rock_for_the_neighbour_of_the_same_day(read, day):
    rock = square(80, 40, 30)
    outlines = read(
        [square(0), square(100), rock],
        line_type=["glac_bound", "glac_bound", "intrnl_rock"],
        glac_id=["G1", "G2", "G1"],
        src_date=["2009-07-01", day, "2009-07-01"],
    )

    first, second = outlines.table.geometry
    assert first.equals(square(0).difference(rock))
    # What was ice in another year may have melted since.
    assert second.equals(square(100).difference(rock) if day == "2009-07-01" else square(100))


def test_rock_that_only_touches_the_neighbour_is_not_subtracted_from_it(read):
    outlines = read(
        [square(0), square(100), square(60, 40, 30)],
        line_type=["glac_bound", "glac_bound", "intrnl_rock"],
        glac_id=["G1", "G2", "G1"],
        src_date=["2009-07-01"] * 3,
    )

    assert outlines.table["area_m2"].tolist() == [8_400.0, 10_000.0]
    assert outlines.notes == ("1 row of rock subtracted from 1 glacier: G1",)


@pytest.mark.parametrize("by_analysis", [False, True])
def test_rock_belongs_to_the_analysis_it_was_seen_in(read, by_analysis):
    rock = square(20, 30, 20)
    columns = {"anlys_id": [11, 11, 12]} if by_analysis else {}
    dates = ["2005-08-01", "2004-08-01" if by_analysis else "2005-08-01", "2013-08-01"]

    outlines = read(
        [square(), rock, square()], settings={"analyses": "all"}, line_type=["glac_bound", "intrnl_rock", "glac_bound"],
        glac_id=["G1"] * 3, src_date=dates, **columns,
    )  # fmt: skip

    assert outlines.table["outline"].tolist() == ["G1@2005-08-01", "G1@2013-08-01"]
    assert outlines.table["area_m2"].tolist() == [9_100.0, 10_000.0]


def test_rock_on_a_glacier_of_another_id_or_date_is_refused_and_elsewhere_left_out(read):
    columns = {"line_type": ["glac_bound", "intrnl_rock"], "src_date": ["2009-07-01"] * 2, "glac_id": ["G1", "G7"]}

    error = refusal(read, [square(), square(20, 30, 20)], **columns)
    away = read([square(), square(7_000)], **columns)

    assert "1 of 1 row of rock on a glacier of another id or date: G7" in str(error)
    assert away.table["area_m2"].tolist() == [10_000.0]
    assert "1 row of rock left out, on no glacier: G7" in away.notes


def test_a_glacier_that_is_all_rock_is_refused(read):
    error = refusal(
        read, [square(), square(-10, 200, -10)], line_type=["glac_bound", "intrnl_rock"], glac_id=["G1"] * 2,
        src_date=["2009-07-01"] * 2,
    )  # fmt: skip

    assert "1 outline covered by rock: G1" in str(error)


@pytest.mark.parametrize("kinds", [["snowline", "snowline"], ["glac_bound", None]])
def test_a_file_that_does_not_say_which_rows_are_glacier_is_refused(read, kinds):
    error = refusal(read, row_of(2), line_type=kinds, glac_id=["G1", "G2"], src_date=["2009-07-01"] * 2)

    assert "the column 'line_type' does not say which rows are glacier" in str(error)


# ---- Dates -------------------------------------------------------------------------------------------------------


def test_dates_that_are_not_understood_name_the_keys_that_help(read):
    error = refusal(read, row_of(58), RGIId=[f"g{i}" for i in range(58)], BgnDate=["01.09.2013"] * 58)
    told = str(error)

    assert "58 of 58 dates not understood, for example '01.09.2013'" in told
    assert "name the column in [outlines] date_field and its format in date_format" in error.fix


def test_the_form_of_dates_can_be_named(read):
    table = read(
        row_of(2), settings={"date_format": "%d.%m.%Y"}, RGIId=["a", "b"], BgnDate=["01.09.2013", "-9999999"]
    ).table

    assert table["year"].tolist()[0] == 2013
    assert table["year"].isna().tolist() == [False, True]


def test_a_few_dates_that_are_not_understood_are_told(read):
    dates = ["2009", "2009", "2009", "in autumn", "-9999999"]

    outlines = read(row_of(5), RGIId=list("abcde"), BgnDate=dates)

    assert outlines.table["year"].isna().tolist() == [False, False, False, True, True]
    assert outlines.notes == (
        "1 of 5 dates not understood, for example 'in autumn'; column 'BgnDate' holds: in autumn",
        "2 of 5 outlines have no usable date",
    )


def test_dates_can_be_passed_over(read):
    outlines = read(row_of(2), settings={"date_field": "none"}, RGIId=["a", "b"], BgnDate=["01.09.2013"] * 2)

    assert outlines.notes == ("2 of 2 outlines have no usable date",)


def test_unknown_dates_alone_are_no_error(read):
    assert read(row_of(2), RGIId=["a", "b"], BgnDate=["-9999999"] * 2).table["year"].isna().all()


# ---- Shares of overlapping outlines ------------------------------------------------------------------------------


def test_what_outlines_cover_of_a_cell_equals_their_union_by_brute_force():
    rng = np.random.default_rng(5)
    lattice = Lattice(CRS, 0.0, 80.0, 10.0, 8, 16)
    cells = make_grid(lattice, 4, "lattice")
    shapes = [shapely.Point(rng.uniform(-20, 180), rng.uniform(-20, 100)).buffer(rng.uniform(2, 40)) for _ in range(30)]
    table = gpd.GeoDataFrame(
        {"outline": [f"g{i}" for i in range(30)], "year": pd.array([2006] * 30, dtype="Int64")},
        geometry=shapes, crs=CRS,
    )  # fmt: skip

    joined = join_outlines(cells, lattice, table)

    whole, found = shapely.union_all(shapes), joined.groupby("cell")["union_m2"]
    assert (found.min() == found.max()).all()
    assert (joined.groupby("cell")["area_m2"].sum() > found.first() + 1.0).any()
    for cell, box in zip(cells, cell_boxes(cells, lattice), strict=True):
        assert found.first().get(cell.id, 0.0) == pytest.approx(box.intersection(whole).area, abs=1e-5)


def test_neighbours_that_share_a_divide_cover_the_sum_of_their_areas():
    lattice = Lattice(CRS, 0.0, 80.0, 10.0, 8, 16)
    table = gpd.GeoDataFrame(
        {"outline": ["a", "b"], "year": pd.array([2006, 2006], dtype="Int64")},
        geometry=[shapely.Polygon([(1, 1), (33, 7), (11, 37)]), shapely.Polygon([(33, 7), (11, 37), (39, 39)])],
        crs=CRS,
    )

    joined = join_outlines(make_grid(lattice, 8, "lattice"), lattice, table)

    assert joined["union_m2"].tolist() == [joined["area_m2"].sum()] * 2


def test_the_comparison_of_grids_counts_overlaps_once():
    lattice, ice = Lattice(CRS, 0.0, 80.0, 10.0, 8, 16), shapely.box(5, 5, 95, 45)
    boxes = [shapely.box(0, 0, 80, 80), shapely.box(80, 0, 160, 80)]
    frame = {"row": [0, 0], "col": [0, 8], "used": [True, True], "split": ["train", "dev"]}
    cells = gpd.GeoDataFrame(frame, geometry=boxes, crs=CRS)

    def compared(*shapes):
        years = pd.array([2006] * len(shapes), dtype="Int64")
        table = {"outline": [f"g{i}" for i in range(len(shapes))], "year": years}
        return compare_grids(lattice, gpd.GeoDataFrame(table, geometry=list(shapes), crs=CRS), cells, sizes=(8,))

    assert compared(ice, ice) == compared(ice)
    assert compared(ice, ice)["8"]["glacier_m2"]["lattice"] == ice.area
