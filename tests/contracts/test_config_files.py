"""The configurations that ship with the package can be used as they are."""

from pathlib import Path

import pytest

from gcn_luigi.bands import Role
from gcn_luigi.config import find_regions, load_region
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.inputs.matching import band_of

CONFIG = Path(__file__).resolve().parents[2] / "config"
FILES = sorted(CONFIG.glob("*.toml"))
TEMPLATES = ("southern", "northern")


def test_the_documented_regions_are_there():
    assert set(find_regions(CONFIG)) >= {"demo", *TEMPLATES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_is_loaded_without_complaint(path):
    region = load_region(path)

    assert region.settings.region == path.stem
    assert region.root.is_absolute()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_any_misspelt_key_of_a_shipped_file_is_refused_with_the_right_one(path, tmp_path):
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = [i for i, line in enumerate(lines) if " = " in line and not line.lstrip().startswith("#")]
    assert keys
    for i in keys:
        key = lines[i].split(" = ")[0]
        # Required keys, too, are told by the name that stands there.
        wrong = [*lines[:i], lines[i].replace(key, key + "x", 1), *lines[i + 1 :]]
        copy = tmp_path / path.name
        copy.write_text("\n".join(wrong), encoding="utf-8")

        with pytest.raises(ConfigError) as caught:
            load_region(copy)

        assert f"{key}x is unknown (did you mean {key}?)" in caught.value.what


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_the_published_setup(name):
    settings = load_region(CONFIG / f"{name}.toml").settings

    assert settings.years == tuple(range(1986, 2021, 2))
    assert settings.schema_bands.names == (
        "nbr", "ndsi", "ndvi", "tcb", "tcw", "north", "south", "curvature", "dem", "label", "distance",
    )  # fmt: skip
    assert [band.name for band in settings.quality_bands] == ["rmse"]
    assert {settings.schema_bands.bands[i].nodata for i in settings.schema_bands.indices(Role.TOPO)} == {-9999}
    assert (settings.lattice.crs, settings.lattice.pixel_size) == ("EPSG:3338", 30.0)
    assert (settings.grid.size, settings.chips.size, settings.chips.step) == (256, 128, 32)
    assert (settings.shards.n_train, settings.shards.n_dev) == (16, 4)
    assert (settings.split.seed, settings.split.dev_share) == (8, 0.2)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize(
    ("file", "band"),
    [
        ("LTV3_ndsi_07210920_1502_11_20200416_ftv_nbr", "nbr"),
        ("LTV3_ndsi_07210920_1502_11_20200416_ftv_ndsi", "ndsi"),
        ("LTV3_ndsi_07210920_1502_11_20200417_ftv_ndvi", "ndvi"),
        ("LTV3_ndsi_07210920_1502_11_20200417_ftv_tcb", "tcb"),
        ("LTV3_ndsi_07210920_1502_11_20200417_ftv_tcw", "tcw"),
        ("LTV3_ndsi_07210920_1502_11_20200417_rmse", "rmse"),
        ("ifsar_1502_north_temp_int", "north"),
        ("ifsar_1502_south_temp_int", "south"),
        ("ifsar_1502_curvature_temp_int", "curvature"),
        ("ifsar_1502_cubic_temp_int", "dem"),
        ("ifsar_1502_north_temp", None),
    ],
)
def test_a_template_finds_the_published_files(name, file, band):
    settings = load_region(CONFIG / f"{name}.toml").settings

    found = band_of(file, [table.as_band() for table in settings.bands])

    assert (found.name if found else None) == band


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_explains_every_key_on_a_line_above_it(name):
    lines = (CONFIG / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    explained = False
    for line in lines:
        if line.startswith("#"):
            explained = True
        elif not line:
            explained = False
        elif line.startswith(("[", " ", "]")):
            continue
        else:
            assert explained, line


def test_the_two_templates_differ_in_their_names_alone():
    southern, northern = ((CONFIG / f"{name}.toml").read_text(encoding="utf-8").lower() for name in TEMPLATES)

    assert southern.replace("southern", "northern") == northern
