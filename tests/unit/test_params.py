"""The published params file read: what can be taken over is, and nothing is dropped silently."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcn_luigi.cli import cli
from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError
from gcn_luigi.params import import_params

# All keys of the published file, every value a text.
PUBLISHED = {
    "tiles_shapefile": "/vol/ak/vectors/tiles.shp",
    "pts_shapefile": "/vol/ak/vectors/points.shp",
    "image_tiles_dir": "/vol/ak/optical tiles/",
    "topo_tiles_dir": "/vol/ak/ifsar/30m",
    "output_dir": "/vol/ak/out/",
    "vrt_dir": "/vol/ak/vrts/",
    "train_image_dir": "/vol/ak/chips/",
    "class_label_raster": "/vol/ak/labels/model_2009_classes.vrt",
    "class_label_dir": "/vol/ak/labels/",
    "topo_raster": "/vol/ak/topo.vrt",
    "distance_raster": "/vol/ak/distance.vrt",
    "full_study_area_vrts": "/vol/ak/stacks/",
    "grid": "/vol/ak/vectors/grid_256.shp",
    "train_grid": "/vol/ak/vectors/train_set_seed_8.shp",
    "dev_grid": "/vol/ak/vectors/test_set_seed_8.shp",
    "train_partitions": "/vol/ak/train/",
    "dev_partitions": "/vol/ak/dev/",
    "train_dest": "/vol/ak/train_chips/",
    "dev_dest": "/vol/ak/dev_chips/",
    "rejects": "/vol/ak/partitions_to_move.txt",
    "train_rejects": "/vol/ak/train_rejects/",
    "chunk_dir": "/vol/ak/chunks/",
    "model_outputs": "/vol/ak/models/",
    "input_dir": "/vol/ak/in/",
    "projection": "3338",
    "resolution": "30",
    "image_chip_size": "128",
    "chip_step": "32",
}


def write(tmp_path, content):
    path = tmp_path / "params.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def loaded(tmp_path, content, region="southern"):
    text = import_params(write(tmp_path, content), region)
    config = tmp_path / "config" / f"{region}.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(text, encoding="utf-8")
    return load_region(config), text


def test_the_published_file_becomes_a_region_with_all_it_says(tmp_path):
    region, _ = loaded(tmp_path, PUBLISHED)
    made = region.settings

    assert region.root.as_posix() == "/vol/ak"
    assert (made.lattice.crs, made.lattice.pixel_size) == ("EPSG:3338", 30.0)
    assert (made.chips.size, made.chips.step, made.grid.size) == (128, 32, 256)
    assert (made.tiles.optical, made.tiles.topo) == ("optical tiles", "ifsar/30m")
    assert made.label.raster == "labels/model_2009_classes.vrt"
    assert (made.distance.enabled, made.distance.raster) == (True, "distance.vrt")
    assert (made.grid.path, made.grid.reject_ids_path) == ("vectors/grid_256.shp", "partitions_to_move.txt")


def test_what_the_file_does_not_say_is_as_published_and_marked(tmp_path):
    region, text = loaded(tmp_path, PUBLISHED)

    template = load_region(Path(__file__).parents[2] / "config" / "southern.toml").settings
    assert region.settings.years == template.years
    assert region.settings.schema_bands.names == template.schema_bands.names
    assert [band.suffix for band in region.settings.schema_bands] == [band.suffix for band in template.schema_bands]
    assert [band.nodata for band in region.settings.schema_bands] == [band.nodata for band in template.schema_bands]
    for key in ("years", 'path = "outlines.gpkg"', "size = 256"):
        lines = text.splitlines()
        position = next(i for i, line in enumerate(lines) if line.startswith(key))
        assert lines[position - 1].endswith("Not in the params file: check this value.")


def test_every_key_is_taken_over_or_listed_with_its_value_and_a_reason(tmp_path):
    _, text = loaded(tmp_path, PUBLISHED)

    listed = dict(re.findall(r'^# (\w+) = "([^"]*)": \S.*$', text.split("# Not converted:")[1], re.MULTILINE))
    taken = set(re.findall(r"From (\w+)\.", text))
    assert set(listed) | taken == set(PUBLISHED)
    assert not set(listed) & taken
    assert all(PUBLISHED[key] == value for key, value in listed.items())


def test_numbers_may_be_numbers_and_empty_values_are_not_given(tmp_path):
    made, text = loaded(
        tmp_path, {"resolution": 12.5, "chip_step": 16, "image_chip_size": "64.0", "grid": "", "projection": None}
    )

    assert (made.settings.lattice.pixel_size, made.settings.chips.step, made.settings.chips.size) == (12.5, 16, 64)
    assert made.settings.lattice.crs is None
    assert made.settings.grid.path is None
    assert "Not converted" not in text


def test_an_empty_file_gives_a_region_to_be_filled_in(tmp_path):
    region, _ = loaded(tmp_path, {})

    assert region.root == tmp_path / "config"
    assert region.settings.label.raster == "label.tif"


def test_relative_paths_start_at_the_params_file(tmp_path):
    content = {"image_tiles_dir": "../tiles", "class_label_raster": "label.vrt"}

    region, _ = loaded(tmp_path, content)

    assert region.root / region.settings.tiles.optical == tmp_path.parent / "tiles"
    assert region.root / region.settings.label.raster == tmp_path / "label.vrt"


def test_chips_larger_than_the_published_partitions_get_larger_ones(tmp_path):
    assert loaded(tmp_path, {"image_chip_size": "512"})[0].settings.grid.size == 512


@pytest.mark.parametrize(
    ("spelt", "crs"), [("EPSG:32606", "EPSG:32606"), (32606, "EPSG:32606"), (" 3338 ", "EPSG:3338")]
)
def test_a_projection_is_a_number_or_an_authority_code(tmp_path, spelt, crs):
    assert loaded(tmp_path, {"projection": spelt})[0].settings.lattice.crs == crs


def test_a_folder_of_rejects_is_no_list_of_ids_and_of_two_lists_one_is_taken(tmp_path):
    first, _ = loaded(tmp_path, {"rejects": "/a/rejects/", "train_rejects": "/a/ids.CSV"})
    second, text = loaded(tmp_path, {"rejects": "/a/one.txt", "train_rejects": "/a/two.txt"})

    assert first.settings.grid.reject_ids_path == "ids.CSV"
    assert second.settings.grid.reject_ids_path == "one.txt"
    assert 'train_rejects = "/a/two.txt": ' in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("chip_step", "many"), ("chip_step", "0"), ("chip_step", "-8"), ("chip_step", "12.5"), ("chip_step", True),
        ("image_chip_size", "128px"), ("image_chip_size", "1e3"), ("image_chip_size", "1_28"), ("resolution", "30,5"),
        ("resolution", "nan"), ("resolution", float("inf")), ("resolution", 10**400), ("resolution", ["30"]),
        ("projection", "mars"), ("projection", "4326"), ("projection", "99999999"), ("projection", {}),
        ("grid", 256), ("grid", "C:\\grids\\256.shp"), ("class_label_raster", "a\nb"), ("output_dir", ["a"]),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(tmp_path, key, value):
    path = write(tmp_path, PUBLISHED | {key: value})

    with pytest.raises(ConfigError) as caught:
        import_params(path, "southern")

    assert caught.value.what.startswith(f"a value cannot be used: {key}: ")
    assert caught.value.where == str(path)


def test_all_such_values_are_told_at_once(tmp_path):
    path = write(tmp_path, {"chip_step": "x", "grid": 7, "projection": "y", "resolution": "30"})

    with pytest.raises(ConfigError, match="3 values") as caught:
        import_params(path, "southern")

    assert all(f"{key}: " in caught.value.what for key in ("chip_step", "grid", "projection"))


def test_an_unknown_key_is_listed_with_the_nearest_known_one(tmp_path):
    _, text = loaded(tmp_path, {"chip_stp": "32", "vol\nume": [1, "\u2028\x7f"]})

    assert '# chip_stp = "32": not a key of the published file; did you mean chip_step?' in text
    assert text.isascii()


@pytest.mark.parametrize("text", ["", "[1]", "{", "7", '{"grid": "a", "grid": "b"}', "\ud800"])
def test_a_file_that_is_no_table_of_keys_is_refused_by_name(tmp_path, text):
    path = tmp_path / "params.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    with pytest.raises(ConfigError, match=re.escape(str(path))):
        import_params(path, "southern")


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.json"):
        import_params(tmp_path / "absent.json", "southern")


@pytest.mark.parametrize("region", ["", "Southern", "a b", "../x", "a" * 33, "a\n"])
def test_a_name_that_is_no_regions_name_is_refused(tmp_path, region):
    with pytest.raises(ConfigError, match="--region"):
        import_params(write(tmp_path, PUBLISHED), region)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(sorted(PUBLISHED)) | st.text(max_size=8), anything, max_size=6))
def test_any_table_is_refused_or_gives_a_file_that_loads(tmp_path, content):
    try:
        text = import_params(write(tmp_path, content), "southern")
    except ConfigError:
        return
    (tmp_path / "southern.toml").write_text(text, encoding="utf-8")

    load_region(tmp_path / "southern.toml")


def test_the_command_prints_the_file(tmp_path):
    path = write(tmp_path, PUBLISHED)

    result = CliRunner().invoke(cli, ["import-params", str(path), "--region", "southern"])

    assert result.exit_code == 0
    assert result.stdout == import_params(path, "southern")
