"""A region's TOML file: what is accepted, and how what is not is told."""

import re
from pathlib import Path

import pytest

from gcn_luigi.config import _section, find_regions, load_region, pick
from gcn_luigi.errors import ConfigError
from gcn_luigi.settings import RegionSettings

PLAIN = """
region = "alps"
data_root = "../sources"
years = [2000, 2004]

[[bands]]
name = "red"
role = "optical"

[outlines]
path = "outlines.gpkg"

[label]
stem = "votes.tif"
"""


def write(directory: Path, text: str = PLAIN, name: str = "alps") -> Path:
    path = directory / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_region(path)
    assert caught.value.where == str(path)
    return caught.value


class TestWhatIsLoaded:
    def test_sources_start_at_the_file(self, tmp_path):
        (tmp_path / "config").mkdir()

        region = load_region(write(tmp_path / "config"))

        assert region.root == tmp_path / "sources"

    def test_a_whole_path_of_the_sources_is_taken_as_it_is(self, tmp_path):
        assert load_region(write(tmp_path, PLAIN.replace("../sources", "/b"))).root == Path("/b")

    def test_another_data_root_replaces_the_files_own(self, tmp_path):
        assert load_region(write(tmp_path), tmp_path / "elsewhere").root == tmp_path / "elsewhere"

    def test_settings_cannot_be_changed(self, tmp_path):
        settings = load_region(write(tmp_path)).settings

        with pytest.raises(ValueError, match="frozen"):
            settings.region = "andes"

    def test_a_band_is_found_by_its_name_and_its_role_decides_the_nodata(self, tmp_path):
        text = PLAIN + '[[bands]]\nname = "dem"\nrole = "topo"\n'

        red, dem, label = load_region(write(tmp_path, text)).settings.schema_bands

        assert (red.suffix, red.nodata) == ("red", -32768)
        assert (dem.suffix, dem.nodata) == ("dem", -9999)
        assert (label.name, label.nodata) == ("label", 255)

    def test_optical_bands_come_before_topography_in_whatever_order_they_are_written(self, tmp_path):
        before = '[[bands]]\nname = "dem"\nrole = "topo"\n\n[[bands]]\nname = "red"'
        text = PLAIN.replace('[[bands]]\nname = "red"', before) + "[distance]\nenabled = true\n"

        settings = load_region(write(tmp_path, text)).settings

        assert settings.schema_bands.names == ("red", "dem", "label", "distance")

    def test_a_quality_band_is_not_stacked(self, tmp_path):
        text = PLAIN + '[[bands]]\nname = "rmse"\nrole = "quality"\n'

        settings = load_region(write(tmp_path, text)).settings

        assert [band.name for band in settings.quality_bands] == ["rmse"]
        assert "rmse" not in settings.schema_bands.names

    def test_regions_are_listed_by_name(self, tmp_path):
        for name in ("southern", "northern"):
            write(tmp_path, PLAIN, name)
        (tmp_path / "notes.txt").touch()

        assert find_regions(tmp_path) == ("northern", "southern")

    def test_sections_and_single_values_are_picked_as_plain_json(self, tmp_path):
        settings = load_region(write(tmp_path)).settings

        chosen = pick(settings, ("years", "shards.n_train", "label"))

        assert chosen == {
            "years": [2000, 2004],
            "shards.n_train": 16,
            "label": {
                "stem": "votes.tif",
                "min_votes": 4,
                "max_votes": 100,
                "ice_outside": "none",
                "raster": None,
                "classes": {},
                "allow_absent": [],
            },
        }


class TestWhatIsRefused:
    def test_a_missing_file_names_the_nearest_region(self, tmp_path):
        write(tmp_path)

        error = refused(tmp_path / "alpes.toml")

        assert error.what == "no configuration for region alpes: there is no file alpes.toml"
        assert "did you mean alps?" in error.fix

    def test_a_missing_file_unlike_any_other_lists_what_there_is(self, tmp_path):
        write(tmp_path)

        assert "TOML files there: alps." in refused(tmp_path / "himalaya.toml").fix
        assert "TOML files there: none." in refused(tmp_path / "nowhere" / "himalaya.toml").fix

    def test_a_file_in_the_place_of_the_directory_is_a_missing_file(self, tmp_path):
        path = write(tmp_path)

        assert "no configuration" in refused(path / "alps.toml").what

    def test_what_is_no_toml_is_told_with_the_line(self, tmp_path):
        error = refused(write(tmp_path, PLAIN + "\n[chips\n"))

        assert error.what.startswith("not a TOML file")
        assert f"line {len(PLAIN.splitlines()) + 2}" in error.what

    def test_bytes_that_are_no_text_are_no_toml(self, tmp_path):
        path = tmp_path / "alps.toml"
        path.write_bytes(b"# x\nregion = '\xff\xfe'")

        error = refused(path)
        assert "line 2 holds the byte 0xff" in error.what
        assert "UTF-8" in error.fix

    def test_a_directory_is_no_file(self, tmp_path):
        path = tmp_path / "alps.toml"
        path.mkdir()

        assert refused(path).what.startswith("the file cannot be read")

    def test_the_file_is_named_after_the_region(self, tmp_path):
        error = refused(write(tmp_path, PLAIN, "andes"))

        assert 'region = "alps"' in error.what
        assert "alps.toml" in error.fix

    @pytest.mark.parametrize(
        ("extra", "told"),
        [
            ("[chip]\nsize = 64\n", "chip is unknown (did you mean chips?)"),
            ("[chips]\nstepp = 8\n", "chips.stepp is unknown (did you mean step?)"),
            ("[split]\nzzz = 8\n", "split.zzz is unknown"),
            (
                '[[bands]]\nname = "nir"\nrole = "optical"\nno_data = 0\n',
                "[[bands]] number 2 (nir): no_data is unknown (did you mean nodata?)",
            ),
            ("[grid.size]\npixels = 256\n", "grid.size: "),
        ],
    )
    def test_an_unknown_key_is_told_with_the_nearest_one(self, tmp_path, extra, told):
        assert told in refused(write(tmp_path, PLAIN + extra)).what

    @pytest.mark.parametrize(
        ("extra", "told"),
        [
            ('[chips]\nstep = "often"\n', "chips.step: "),
            ("[chips]\nstep = 0\n", "chips.step: "),
            ("[chips]\nmin_share = { debris = 1.5 }\n", "chips.min_share.debris: "),
            ("[chips]\nmin_share = { snow = 0.5 }\n", "chips.min_share.snow"),
            ("[chips]\nsize = 512\n", "chips.size 512 exceeds grid.size 256"),
            ('[chips]\nedge = "mirror"\n', "chips.edge: "),
            ("[split]\ndev_share = 1.0\n", "split.dev_share: "),
            ("[nodata]\nfill = 40000\n", "nodata.fill: "),
            ('[year]\nno_year = "any"\n', "year.no_year"),
            ("[lattice]\npixel_size = nan\n", "lattice.pixel_size: "),
            ("[lattice]\nbounds = [0, 0, 1]\n", "lattice.bounds"),
            ('[[bands]]\nname = "Near Infrared"\nrole = "optical"\n', "[[bands]] number 2 (Near Infrared): name: "),
            ('[[bands]]\nname = "l"\nrole = "label"\n', "[[bands]] number 2 (l): role: "),
        ],
    )
    def test_a_value_that_cannot_be_is_told_with_its_key(self, tmp_path, extra, told):
        assert told in refused(write(tmp_path, PLAIN + extra)).what

    @pytest.mark.parametrize(
        ("before", "after", "told"),
        [
            ('region = "alps"', "", "region is missing"),
            ('stem = "votes.tif"', "", "label: give either stem or raster"),
            ('stem = "votes.tif"', 'stem = "votes.tif"\nraster = "label.tif"', "label: give either stem or raster"),
            ("[2000, 2004]", "[2004, 2000]", "years must be in ascending order and unique"),
            ("[2000, 2004]", "[2000, 2000]", "years must be in ascending order and unique"),
            ("[2000, 2004]", "[]", "years: "),
            ('region = "alps"', 'region = "../alps"', "region: "),
        ],
    )
    def test_what_does_not_fit_together_is_told(self, tmp_path, before, after, told):
        assert told in refused(write(tmp_path, PLAIN.replace(before, after))).what

    def test_all_problems_are_told_at_once(self, tmp_path):
        error = refused(write(tmp_path, PLAIN + "[chips]\nstep = 0\nsizes = 1\n\n[shard]\ntrain = 1\n"))

        assert error.what.startswith("3 settings cannot be used")
        for key in ("chips.step: ", "chips.sizes is unknown (did you mean size?)", "shard is unknown"):
            assert key in error.what

    def test_every_misspelt_section_and_key_is_named_with_the_right_one(self, tmp_path):
        tree = {"": RegionSettings} | {
            name: found for name, field in RegionSettings.model_fields.items() if (found := _section(field.annotation))
        }
        tried = 0
        for section, model in tree.items():
            for key in model.model_fields:
                # One letter too many, so that it is no other key.
                wrong = f"{key}x" if len(key) > 3 else f"{key}{key[-1]}"
                is_list = section in {"bands", "classes"}
                # Its tables have names.
                name = "sources.outlines" if section == "sources" else section
                named = f"[[{section}]] number 1: {wrong}" if is_list else f"{name}.{wrong}".removeprefix(".")
                table = f"[[{section}]]" if is_list else f"[{name}]"
                text = f"{wrong} = 1\n{PLAIN}" if not section else f"{_without(PLAIN, table)}\n{table}\n{wrong} = 1\n"
                error = refused(write(tmp_path, text))
                assert f"{named} is unknown (did you mean {key}?)" in error.what
                tried += 1
        assert tried > 80


def _without(text, table):
    """Return a TOML text without all tables of a name: no table may stand there twice, and one bad band is enough."""
    parts = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    return "".join(part for part in parts if not part.startswith(table))
