import json
import math

import pytest

from gcn_luigi.errors import InputError
from gcn_luigi.io.inputs.inventory import Inventory, Note, SourceFile, tile_order
from gcn_luigi.lattice import Lattice, Window

LATTICE = Lattice("EPSG:32606", 600000.25, 7000000.0, 10.0, 4, 8)
NODATA = (None, math.nan, -math.inf, -3.4028234663852886e38, 0.1, -9999.0)
FILES = tuple(
    SourceFile("7", f"b{index}", f"optical/0007/ü_b{index}.tif", Window(-1, 2, 4, 4), "float32", nodata, 1)
    for index, nodata in enumerate(NODATA)
)
NOTE = Note("7", "a", "optical/0007/x.tif", "ends like no band")


def test_json_gives_the_same_value_back_with_every_nodata():
    inventory = Inventory(LATTICE, FILES, missing=(NOTE,), linked=(NOTE, NOTE))

    assert Inventory.from_json(inventory.to_json()) == inventory
    assert Inventory.from_json(inventory.to_json()).to_json() == inventory.to_json()


def test_json_is_strict_and_sorted():
    text = Inventory(LATTICE, FILES).to_json()

    assert "NaN" not in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text.endswith("}\n")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"lattice": {}, "tiles": [{}]}', '{"tiles": 3}'])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="not a tile inventory"):
        Inventory.from_json(text)


def test_tile_ids_that_are_numbers_are_ordered_by_value():
    assert sorted(["b", "1123", "98", "0099", "a2", "٣"], key=tile_order) == ["98", "0099", "1123", "a2", "b", "٣"]


def test_files_are_found_by_band():
    inventory = Inventory(LATTICE, FILES)

    assert inventory.of_band("b2") == (FILES[2],)
    assert inventory.of_band("b") == ()
    assert inventory.tiles == ("7",)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("LTV3_ndsi_07210920_798_11_20200416_ftv_nbr.tif", "2020-04-16"),
        ("LTV3_ndsi_07210920_798_11_20200231_ftv_nbr.tif", None),
        ("ltsim_1125_nbr.tif", None),
    ],
)
def test_the_export_date_is_read_from_the_file_name_and_seasons_are_no_dates(name, date):
    file = SourceFile("798", "nbr", f"optical/798/{name}", Window(0, 0, 2, 2), "int16", None, 1)

    assert file.export_date == date
    assert Inventory.from_json(Inventory(LATTICE, (file,)).to_json()).files == (file,)
    assert f'"export_date": {json.dumps(date)}' in Inventory(LATTICE, (file,)).to_json()


def test_masks_and_tags_are_kept_and_leave_no_trace_without_any():
    plain = SourceFile("7", "a", "a.tif", Window(0, 0, 4, 4), "uint16", None, 1)
    odd = SourceFile("8", "a", "b.tif", Window(0, 0, 4, 4), "uint16", None, 1, mask=-1, scaling=(0.0001, -0.1))
    text = Inventory(LATTICE, (plain, odd)).to_json()

    assert Inventory.from_json(text).files == (plain, odd)
    assert plain != odd
    first, second = (json.loads(text)["tiles"][number]["files"][0] for number in (0, 1))
    assert set(second) - set(first) == {"mask", "scaling"}
    assert "mask" not in repr(plain)
    assert "mask=-1, scaling=(0.0001, -0.1)" in repr(odd)
