"""The grid: ids, edges and imported cells."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from gcn_luigi.errors import InputError, LatticeError
from gcn_luigi.io.inputs.vector import read_grid
from gcn_luigi.lattice import Lattice, Window
from gcn_luigi.prepare.partitions.grid import cell_id, import_grid, make_grid, world_id
from gcn_luigi.settings import GridSettings

LATTICE = Lattice("EPSG:3338", 352800.0, 1268400.0, 30.0, 640, 1000)


def table(rows, crs="EPSG:3338"):
    boxes = [shapely.box(left, bottom, right, top) for _, left, top, right, bottom, *_ in rows]
    names = ["label", "left", "top", "right", "bottom", "split", "year"][: len(rows[0])]
    return gpd.GeoDataFrame([dict(zip(names, row, strict=True)) for row in rows], geometry=boxes, crs=crs)


def one(label=1, col=0, row=0, size=256, dx=0.0):
    left, top = 352800.0 + 30 * col + dx, 1268400.0 - 30 * row
    return (label, left, top, left + 30 * size, top - 30 * size)


def test_world_cells_start_at_multiples_of_their_edge():
    cells = make_grid(LATTICE, 256, "world")

    for cell in cells:
        box = LATTICE.crop(cell.window)
        assert box.left % 7680 == 0
        assert box.top % 7680 == 0
    assert len(cells) == 20
    assert cells[0].window.row < 0 < cells[0].window.row + 256


def test_the_same_ground_has_the_same_id_on_another_lattice():
    wider = Lattice("EPSG:3338", 352800.0 - 90_000, 1268400.0 + 60_000, 30.0, 5000, 6000)
    ground = {cell.id: LATTICE.crop(cell.window).bounds for cell in make_grid(LATTICE, 256, "world")}
    other = {cell.id: wider.crop(cell.window).bounds for cell in make_grid(wider, 256, "world")}

    assert set(ground) < set(other)
    assert all(ground[name] == other[name] for name in ground)


def test_cells_keep_the_sub_pixel_phase_of_the_lattice():
    lattice = Lattice("EPSG:32606", 7.0, 11.0, 10.0, 40, 40)

    cells = make_grid(lattice, 16, "world")

    assert all(lattice.crop(cell.window).left % 160 == 7 for cell in cells)


def test_ids_sort_like_indices_across_zero():
    names = [world_id(col, 0, 7680.0) for col in range(-300, 300)]

    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert not any("-" in name for name in names)


def test_lattice_cells_are_named_by_row_and_column():
    cells = make_grid(LATTICE, 256, "lattice")

    assert [cell.id for cell in cells][:5] == [
        "r0000_c0000", "r0000_c0001", "r0000_c0002", "r0000_c0003", "r0001_c0000",
    ]  # fmt: skip
    assert cells[-1].window == Window(512, 768, 256, 256)


@pytest.mark.parametrize("name", ["grid_256px.gpkg", "grid_256px.shp"])
def test_columbia_cells_are_read_with_split_and_year(columbia, name):
    cells, notes = import_grid(read_grid(columbia / "grid" / name), LATTICE, GridSettings())

    assert len(cells) == 14
    assert notes == []
    assert cells[0].id == "79945217"
    assert cells[0].window == Window(-60, -100, 256, 256)
    assert (cells[0].split, cells[0].year) == ("dev", 2009)


def test_a_joined_grid_counts_each_cell_once(columbia):
    cells, notes = import_grid(read_grid(columbia / "grid/grid_256px_sjoin_rgi.gpkg"), LATTICE, GridSettings())

    assert len(cells) == 14
    assert notes == ["17 rows repeat a cell and count once", "6 cells whose rows state several years"]
    assert cells[0].years == (2005, 2006, 2009, 2009)


@pytest.mark.parametrize(
    ("case", "error", "message"),
    [
        ("empty_grid", InputError, "the grid has no rows"),
        ("grid_off_pixels", LatticeError, "14 cells are up to 0.233 px off"),
        ("grid_duplicate_label", InputError, "different boxes have the same id: 79945219"),
    ],
)
@pytest.mark.parametrize("name", ["grid_256px.gpkg", "grid_256px.shp"])
def test_a_bad_grid_is_refused(columbia_bad, case, error, message, name):
    with pytest.raises(error, match=message) as caught:
        import_grid(read_grid(columbia_bad / case / "grid" / name), LATTICE, GridSettings(path=f"grid/{name}"))
    assert name in caught.value.where


def test_cells_off_the_pixels_can_be_snapped_and_it_is_said(columbia, columbia_bad):
    snapped, notes = import_grid(
        read_grid(columbia_bad / "grid_off_pixels/grid/grid_256px.gpkg"), LATTICE, GridSettings(off_lattice="snap")
    )
    plain, _ = import_grid(read_grid(columbia / "grid/grid_256px.gpkg"), LATTICE, GridSettings())

    assert [cell.window for cell in snapped] == [cell.window for cell in plain]
    assert notes == ["14 cells moved to the nearest pixel edge, by up to 0.233 px"]


@pytest.mark.parametrize(
    ("dx", "col"),
    [(0.0, 300), (0.02, 300), (-0.02, 300), (0.04, 300), (-0.04, 299), (14.9, 300), (29.9, 300), (-7.0, 299)],
)
def test_the_published_shift_takes_the_pixel_edge_to_the_west(dx, col):
    cells, notes = import_grid(table([one(col=300, dx=dx)]), LATTICE, GridSettings(off_lattice="floor"))

    assert cells[0].window == Window(0, col, 256, 256)
    moved = abs(300 + dx / 30 - col)
    wanted = [f"1 cells moved to the pixel edge to the north and west, by up to {moved:.3f} px"]
    assert notes == (wanted if moved > 1e-3 else [])


def test_the_published_shift_holds_beyond_the_lattice_and_to_the_north():
    frame = table([one(col=-300, row=-5.25, dx=-7.0)])

    cells, _ = import_grid(frame, LATTICE, GridSettings(off_lattice="floor"))

    assert cells[0].window == Window(-6, -301, 256, 256)


@pytest.mark.parametrize("off_lattice", ["snap", "floor"])
@pytest.mark.parametrize(("width", "cut"), [(255.4, 255), (256.5, 257), (256.53, 257)])
def test_the_published_odd_sizes_are_refused(width, cut, off_lattice):
    label, left, top, _, bottom = one()
    frame = table([(label, left, top, left + 30 * width, bottom)])

    with pytest.raises(InputError, match=rf"1 cells are not 256 x 256 px: 1 \(256 x {cut}\)"):
        import_grid(frame, LATTICE, GridSettings(off_lattice=off_lattice))


def test_a_cell_far_outside_is_kept_for_the_catalog_to_refuse(columbia_bad):
    cells, _ = import_grid(read_grid(columbia_bad / "grid_cell_outside/grid/grid_256px.gpkg"), LATTICE, GridSettings())

    far = next(cell for cell in cells if cell.id == "79945217")
    assert far.window.intersection(LATTICE.window).is_empty


def test_snapping_never_changes_the_size():
    cells, _ = import_grid(table([one(dx=14.9), one(2, col=300, dx=-14.9)]), LATTICE, GridSettings(off_lattice="snap"))

    assert {(cell.window.height, cell.window.width) for cell in cells} == {(256, 256)}


def test_cells_of_another_size_are_named():
    with pytest.raises(InputError, match=r"2 cells are not 256 x 256 px: 5 \(255 x 255\), 7 \(512 x 512\)"):
        import_grid(table([one(5, size=255), one(6, col=300), one(7, col=600, size=512)]), LATTICE, GridSettings())


@pytest.mark.parametrize(
    ("crs", "message"),
    [(None, "does not state its CRS"), ("EPSG:32606", "grid is in .*, but the region is in .*Alaska Albers")],
)
def test_a_grid_of_another_place_is_refused(crs, message):
    with pytest.raises(InputError, match=message):
        import_grid(table([one()], crs=crs), LATTICE, GridSettings())


def test_boxes_come_from_geometry_where_columns_lack():
    frame = table([one("a b/c")])[["label", "geometry"]].rename(columns={"label": "LABEL"})

    cells, notes = import_grid(frame, LATTICE, GridSettings())

    assert [cell.id for cell in cells] == ["a_b_c"]
    assert cells[0].window == Window(0, 0, 256, 256)
    assert notes == ["characters replaced by _ in the ids a b/c"]


def test_columns_that_disagree_with_the_geometry_are_refused():
    frame = table([one()])
    frame["left"] += 3000.0
    frame["right"] += 3000.0

    with pytest.raises(InputError, match="differ from their geometry"):
        import_grid(frame, LATTICE, GridSettings())


def test_a_slanted_cell_is_no_box():
    frame = gpd.GeoDataFrame({"label": [1]}, geometry=[shapely.Polygon([(0, 0), (9, 1), (8, 9)])], crs="EPSG:3338")

    with pytest.raises(InputError, match="without a box-shaped geometry"):
        import_grid(frame, LATTICE, GridSettings())


def test_cells_without_ids_are_numbered_in_table_order():
    frame = table([one(col=300), one(col=0), one(col=300)]).drop(columns="label")

    cells, notes = import_grid(frame, LATTICE, GridSettings())

    assert [(cell.id, cell.window.col) for cell in cells] == [("1", 0), ("0", 300)]
    assert "numbered 0 to 1" in notes[0]


def test_a_cell_in_two_splits_is_refused():
    with pytest.raises(InputError, match="one id is in two splits: 1"):
        import_grid(table([(*one(), "train"), (*one(), "dev")]), LATTICE, GridSettings())


def test_ids_that_fall_together_in_file_names_are_refused():
    with pytest.raises(InputError, match="equal in file names: a_b"):
        import_grid(table([one("a b"), one("a/b", col=300)]), LATTICE, GridSettings())


def test_a_missing_id_field_lists_what_there_is():
    with pytest.raises(InputError) as caught:
        import_grid(table([one()]), LATTICE, GridSettings(id_field="cell"))
    assert "label, left, top" in caught.value.fix


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_without_a_box_is_refused(bad):
    frame = table([one()])
    frame["left"] = bad

    with pytest.raises(InputError, match="without a usable left, top, right, bottom"):
        import_grid(frame, LATTICE, GridSettings())


def test_numbers_written_as_floats_are_the_same_id():
    assert cell_id(12) == cell_id(12.0) == cell_id("12.0") == cell_id(" 12 ") == "12"
    assert cell_id("1.5") == "1_5"


def joined(*rows):
    """Return rows of (cell, id of a glacier, date), as a grid joined with outlines has them."""
    cells = {cell: one(label=cell, col=256 * cell)[1:] for cell, *_ in rows}
    plain = table([(cell, *cells[cell]) for cell, *_ in rows])
    return plain.assign(RGIId=[glacier for _, glacier, _ in rows], year=[date for *_, date in rows])


def test_each_outline_gives_its_year_to_a_cell_once():
    cells, notes = import_grid(
        joined(
            (0, "g1", 2005), (0, "g1", 2005), (0, "g2", 2005), (0, "g1", 2009),
            (1, "g1", "2007-08-01"), (1, " g1 ", 2007), (1, None, 2007), (1, None, 2007), (1, "g3", None),
            (2, "g4", 2008), (3, "g5", "soon"),
        ),
        LATTICE,
        GridSettings(),
    )  # fmt: skip

    # Rows without the id of a glacier are each an outline of their own.
    assert [cell.years for cell in cells] == [(2005, 2005, 2009), (2007, 2007, 2007), (2008,), ()]
    assert [cell.year for cell in cells] == [2005, 2007, 2008, None]
    assert notes == [
        "7 rows repeat a cell and count once",
        "1 cells whose rows state several years",
        "1 of 11 dates not understood, for example 'soon'",
    ]


def test_a_grid_without_rows_is_refused():
    with pytest.raises(InputError, match="the grid has no rows"):
        import_grid(table([one()]).iloc[:0], LATTICE, GridSettings())


@pytest.mark.parametrize("crs", [None, "EPSG:32606"])
def test_a_grid_in_no_crs_or_in_another_one_is_refused(crs):
    with pytest.raises(InputError, match=r"does not state its CRS|but the region is in"):
        import_grid(table([one()], crs=crs), LATTICE, GridSettings())
