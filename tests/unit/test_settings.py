"""Settings are frozen values that fit together, or are refused."""

import pytest
from pydantic import ValidationError

from gcn_luigi.bands import Band, Role
from gcn_luigi.config import pick
from gcn_luigi.settings import BandSettings, DistanceSettings, LabelSettings, RegionSettings

CLASSES = [{"name": name, "value": value} for value, name in enumerate(("none", "debris", "ice", "lake"))]
NO_GLACIER = [CLASSES[0], CLASSES[3]]
COLUMN = {"source": "outlines", "class_column": "type"}
RED = {"name": "red", "role": "optical"}
DEM = {"name": "dem", "role": "topo"}
RMSE = {"name": "rmse", "role": "quality"}
DISTANCE = {"name": "distance", "role": "topo"}
SLOPE = {"name": "slope", "role": "topo", "derive": "slope"}
SOURCE = DEM | {"stacked": False}
DEMS = [RED, DEM, {"name": "dsm", "role": "topo"}]


def make(**changes):
    plain = {
        "region": "alps",
        "data_root": "data",
        "years": [2000, 2004],
        "bands": [RED, DEM],
        "outlines": {"path": "outlines.gpkg"},
        "label": {"stem": "votes.tif"},
    }
    return RegionSettings.model_validate(plain | changes)


def test_a_band_is_found_by_its_name_unless_a_suffix_is_given():
    assert BandSettings(name="red", role="optical").as_band().suffix == "red"
    assert BandSettings(name="red", role="optical", suffix="b3").as_band().suffix == "b3"


@pytest.mark.parametrize(("role", "nodata"), [("optical", -32768), ("topo", -9999), ("quality", -32768)])
def test_nodata_follows_from_the_role_unless_it_is_given(role, nodata):
    assert BandSettings(name="x", role=role).as_band().nodata == nodata
    assert BandSettings(name="x", role=role, nodata=0).as_band().nodata == 0


def test_every_value_of_a_band_table_reaches_the_band():
    table = {"scale": 2.5, "offset": -1.0, "valid_min": -5, "valid_max": 7, "unit": "m", "description": "height"}

    band = BandSettings(name="dem", role="topo", suffix="z", nodata=-1, **table).as_band()

    assert band == Band("dem", Role.TOPO, "z", -1, 2.5, -1.0, -5.0, 7.0, "m", "height")


def test_a_stack_holds_optical_topo_label_and_distance_but_no_quality_bands():
    settings = make(bands=[DEM, RMSE, RED], distance={"enabled": True, "unit": "px"})

    assert settings.schema_bands.names == ("red", "dem", "label", "distance")
    assert settings.schema_bands.bands[-1].unit == "px"
    assert [band.name for band in settings.quality_bands] == ["rmse"]
    assert make().schema_bands.names == ("red", "dem", "label")


def test_a_derived_band_is_stacked_without_files_and_its_elevations_only_if_wanted():
    settings = make(bands=[RED, SOURCE, SLOPE])

    assert settings.schema_bands.names == ("red", "slope", "label")
    assert [band.name for band in settings.topo_bands] == ["dem"]
    assert [band.name for band in settings.derived_bands] == ["slope"]
    assert settings.elevations_of(settings.derived_bands[0]).name == "dem"
    assert settings.derived_bands[0].suffix == ""
    assert make(bands=[RED, SLOPE, DEM]).schema_bands.names == ("red", "slope", "dem", "label")


def test_the_elevations_of_a_derived_band_are_named_if_there_are_several():
    settings = make(bands=[*DEMS, SLOPE | {"dem": "dsm"}])

    assert settings.elevations_of(settings.derived_bands[0]).name == "dsm"


@pytest.mark.parametrize(
    ("keys", "scale", "unit"),
    [
        ({"derive": "slope"}, 100, "1/100 degree"),
        ({"derive": "slope", "scale": 1}, 1, "degree"),
        ({"derive": "aspect"}, 10, "1/10 degree"),
        ({"derive": "eastness"}, 1000, "1/1000"),
        ({"derive": "curvature"}, 100, "1/10000 m"),
        ({"derive": "planform_curvature", "scale": 1000, "unit": "mine"}, 1000, "mine"),
    ],
)
def test_a_derived_band_has_a_scale_and_unit_unless_they_are_given(keys, scale, unit):
    band = BandSettings(**SLOPE | keys).as_band()

    assert (band.scale, band.unit, band.nodata) == (scale, unit, -9999)
    assert band.description


def test_keys_of_derived_bands_do_not_show_where_they_are_not_given():
    assert not {"derive", "dem", "z_factor", "stacked"} & BandSettings(**DEM).model_dump().keys()
    assert BandSettings(**SOURCE).model_dump()["stacked"] is False


def test_settings_cannot_be_changed():
    settings = make()

    with pytest.raises(ValidationError, match="frozen"):
        settings.region = "andes"
    with pytest.raises(ValidationError, match="frozen"):
        settings.chips.size = 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"years": [2004, 2000]}, "years must be in ascending order"),
        ({"years": [2000, 2000]}, "years must be in ascending order"),
        ({"chips": {"size": 512}}, "chips.size 512 exceeds grid.size 256"),
        ({"label": {}}, "either stem or raster"),
        ({"label": {"stem": "a.tif", "raster": "b.tif"}}, "either stem or raster"),
        ({"label": {"raster": "b.tif", "ice_outside": "ice"}}, "ice_outside needs stem"),
        ({"label": {"stem": "a.tif", "source": "outlines"}}, "either stem or raster, or source"),
        ({"label": {"source": "outlines", "ice_outside": "ice"}}, "ice_outside needs stem"),
        ({"label": {"stem": "a.tif", "debris_raster": "d.tif"}}, 'debris_raster needs source = "outlines"'),
        ({"label": {"stem": "a.tif", "class_column": "type"}}, 'class_column needs source = "outlines"'),
        ({"label": {"source": "outlines", "debris_layer": "a"}}, "debris_layer needs debris_outlines"),
        ({"label": {"source": "outlines", "debris_outside": "ignore"}}, "debris_outside needs debris"),
        ({"label": {"source": "outlines", "debris_outlines": "a", "debris_raster": "b"}}, "not both"),
        ({"label": {"source": "outlines", "classes": {"a": "ice"}}}, "classes needs raster or class_column"),
        ({"label": {"raster": "b.tif", "classes": {"ice": "ice"}}}, "whole numbers"),
        (
            {"label": {"raster": "b.tif", "classes": {"1": "snow"}}},
            'label.classes.1: give "none".* or "ignore", not "snow"',
        ),
        ({"label": {"raster": "b.tif", "allow_absent": ["lakes"]}, "classes": CLASSES}, r"did you mean lake\?"),
        ({"label": COLUMN, "outlines": {"path": "o", "analyses": "newest"}}, "cannot be used with label.class_column"),
        ({"classes": CLASSES[:1]}, "there are 1, but a label has 2 to 32 classes"),
        ({"classes": [{"name": f"c{n}", "value": n} for n in range(33)]}, "there are 33, but"),
        ({"classes": [*CLASSES, {"name": "pond", "value": 3}]}, "two classes have the value 3"),
        ({"classes": [*CLASSES, {"name": "lake", "value": 4}]}, "two classes have the name lake"),
        ({"classes": [*CLASSES, {"name": "gap", "value": 255}]}, "gap has the value 255, which means a pixel without"),
        ({"classes": [*CLASSES, {"name": "gap", "value": -1}]}, "gap has the value -1, but values are from 0 to 254"),
        ({"classes": [*CLASSES, {"name": "ignore", "value": 9}]}, "ignore means a pixel without a class"),
        ({"classes": [*CLASSES, {"name": "Ice cliff", "value": 9}]}, "'Ice cliff' is not a name"),
        ({"classes": [*CLASSES, {"name": "cliff", "value": 9, "colour": "blue"}]}, "colour of cliff is 'blue'"),
        ({"classes": [*CLASSES, {"name": "cliff", "value": 9, "glacier": "yes"}]}, "give true or false"),
        ({"classes": CLASSES, "nodata": {"mode": "legacy"}}, 'use mode = "strict"'),
        ({"classes": NO_GLACIER}, "a label of votes needs a class debris and ice; classes are none, lake"),
        ({"classes": NO_GLACIER, "label": {"source": "outlines"}}, "a label of outlines needs a class ice"),
        (
            {"classes": NO_GLACIER, "label": {"raster": "b"}, "chips": {"min_glacier_share": 0.1}},
            "needs a class that is glacier",
        ),
        ({"classes": CLASSES, "chips": {"min_share": {"lakes": 0.1}}}, r"chips.min_share.lakes: .*did you mean lake\?"),
        ({"distance": {"raster": "d.tif", "source": "label"}}, "either raster or source"),
        ({"distance": {"max_m": 40_000}}, "max_m"),
        ({"bands": []}, "bands"),
        ({"bands": [RED, {"name": "red", "role": "topo"}]}, "red is used twice"),
        ({"bands": [RED, {"name": "red", "role": "quality"}]}, "red is used twice"),
        ({"bands": [RED, {"name": "label", "role": "topo"}]}, "label is used twice"),
        ({"bands": [RED, DISTANCE], "distance": {"enabled": True}}, "distance is used twice"),
        ({"bands": [RMSE]}, "an optical or topo band"),
        ({"bands": [RED, SLOPE]}, "say with dem which band slope is derived from .topo bands with files: none"),
        (
            {"bands": [*DEMS, SLOPE]},
            "say with dem which band slope is derived from .topo bands with files: dem, dsm",
        ),
        ({"bands": [*DEMS, SLOPE | {"dem": "red"}]}, 'dem = "red" of slope is not a topo band with files'),
        ({"bands": [*DEMS, SLOPE | {"dem": "slope"}]}, 'dem = "slope" of slope is not a topo band with files'),
        ({"bands": [RED, SOURCE]}, "dem is not stacked, and no band is derived from it"),
        ({"bands": [*DEMS, SOURCE | {"name": "d2"}, SLOPE | {"dem": "dem"}]}, "d2 is not stacked, and no band"),
        ({"bands": [RED | {"stacked": False}, DEM]}, "stacked = false is for the topo band with the elevations"),
        ({"bands": [DEM, SLOPE | {"stacked": False}]}, "stacked = false is for the topo band with the elevations"),
        ({"bands": [DEM, RED | {"dem": "dem"}]}, "dem and z_factor need derive"),
        ({"bands": [DEM | {"z_factor": 0.3}]}, "dem and z_factor need derive"),
        ({"bands": [DEM, SLOPE | {"role": "optical"}]}, 'a derived band has role = "topo", not "optical"'),
        ({"bands": [DEM, SLOPE | {"path": "a.tif", "suffix": "x"}]}, "has no files of its own: remove path, suffix"),
        ({"bands": [DEM, SLOPE | {"derive": "curvature", "scale": 1}]}, "give a scale of 10 or more, or none"),
        ({"bands": [DEM, SLOPE | {"derive": "north", "scale": 1}]}, "a few whole numbers only"),
        ({"bands": [DEM, SLOPE | {"nodata": 0}]}, "nodata = 0 could be a value of slope"),
        ({"bands": [DEM, SLOPE | {"derive": "hillshade"}]}, "derive"),
        ({"bands": [RED | {"valid_min": 5, "valid_max": 4}]}, "valid_min 5.0 exceeds valid_max 4.0"),
        ({"bands": [RED | {"scale": 0}]}, "scale"),
        ({"bands": [RED | {"nodata": 40_000}]}, "nodata"),
        ({"chips": {"min_valid_label_share": 1.1}}, "min_valid_label_share"),
        ({"outlines": {"path": "o", "analyses": "nearest"}, "year": {"source": "grid"}}, "needs year.source"),
        ({"outlines": {"path": "o", "date_format": "%d.%m."}}, "not a date format"),
        ({"surprise": 1}, "surprise"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(changes, told):
    with pytest.raises(ValidationError, match="(?s)" + told):
        make(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"years": [2004]},
        {"chips": {"size": 256}},
        {"label": {"raster": "b.tif"}},
        {"distance": {"raster": "d.tif"}},
        {"bands": [RED, DISTANCE]},
        {"bands": [RED | {"valid_min": 4, "valid_max": 4}]},
    ],
    ids=str,
)
def test_what_fits_is_taken(changes):
    assert make(**changes).schema_bands.names[0] == "red"


def test_sections_have_the_same_defaults_alone_and_in_a_region():
    assert make().distance == DistanceSettings()
    assert make().label == LabelSettings(stem="votes.tif")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"years": [True]}, "years"),
        ({"bands": [RED | {"nodata": True}]}, "bands.0.nodata"),
        ({"bands": [RED | {"scale": True}]}, "bands.0.scale"),
        ({"lattice": {"bounds": [0, 0, True, 9]}}, "lattice.bounds"),
        ({"chips": {"min_share": {"ice": True}}}, "chips.min_share"),
        ({"year": {"no_year": True}}, "year.no_year"),
        ({"shards": {"n_train": True}}, "shards.n_train"),
    ],
    ids=str,
)
def test_true_is_no_number(changes, key):
    with pytest.raises(ValidationError) as caught:
        make(**changes)
    assert ".".join(map(str, caught.value.errors()[0]["loc"])) == key


def test_true_is_taken_where_it_is_meant():
    assert make(chips={"densify": True}, tiles={"strip_zeros": False}).chips.densify


def test_a_stack_of_floats_converts_every_optical_band_and_says_so():
    settings = make(bands=[RED, DEM, RMSE], stack={"dtype": "float32"})

    assert [band.is_converted for band in settings.schema_bands][:2] == [True, True]
    assert [table.convert for table in settings.bands] == [True, False, False]
    assert settings.schema_bands.dtype == "float32"
    assert settings.model_dump()["stack"] == {"dtype": "float32"}
    assert RegionSettings.model_validate(settings.model_dump()) == settings


@pytest.mark.parametrize("given", [{}, {"stack": {}}, {"stack": {"dtype": "int16"}}])
def test_the_type_of_a_stack_leaves_no_trace_if_it_is_the_default(given):
    settings = make(**given)

    assert settings.schema_bands.dtype == "int16"
    assert "stack" not in settings.model_dump(mode="json")
    assert not settings.bands[0].convert
    assert pick(settings, ("stack.dtype", "stack", "chips.size")) == {"chips.size": 128}


@pytest.mark.parametrize(("dtype", "scale", "unit"), [("int16", 100, "1/10000 m"), ("float32", 1, "1/100 m")])
def test_a_derived_band_of_a_float_stack_is_not_scaled(dtype, scale, unit):
    settings = make(bands=[DEM, SLOPE | {"derive": "curvature"}], stack={"dtype": dtype})

    assert (settings.bands[1].scale, settings.bands[1].unit) == (scale, unit)
    assert RegionSettings.model_validate(settings.model_dump()) == settings


def test_a_float_stack_takes_every_scale_of_a_derived_band():
    settings = make(bands=[DEM, SLOPE | {"derive": "north", "scale": 0.5}], stack={"dtype": "float32"})

    assert settings.bands[1].scale == 0.5


def test_another_type_of_stack_is_refused():
    with pytest.raises(ValidationError, match="'int16' or 'float32'"):
        make(stack={"dtype": "float64"})


def test_tags_convert_an_optical_band_and_are_not_for_quality_bands():
    assert make(bands=[{**RED, "use_tags": True}]).schema_bands.bands[0].is_converted
    with pytest.raises(ValidationError, match="remove use_tags"):
        make(bands=[RED, {**RMSE, "use_tags": True}])


@pytest.mark.parametrize(
    ("label", "lacking"),
    [
        ({"stem": "a.tif"}, ("lake",)),
        ({"raster": "a.tif"}, ()),
        ({"raster": "a.tif", "classes": {"1": "ice"}}, ()),
        ({"source": "outlines"}, ("debris", "lake")),
        ({"source": "outlines", "debris_raster": "a.tif"}, ("lake",)),
        ({"source": "outlines", "allow_absent": ["lake"]}, ("lake", "debris")),
        (COLUMN, ()),
        (COLUMN | {"classes": {"a": "lake", "b": "ignore"}}, ("debris", "ice")),
    ],
    ids=str,
)
def test_only_classes_that_the_label_can_give_must_occur(label, lacking):
    settings = make(label=label, classes=CLASSES)

    assert settings.label.may_lack(settings.class_table.names) == lacking
