"""`gcn demo` leaves its settings where the other commands look for them."""

from pathlib import Path

import pytest

from gcn_luigi.cli.run import demo_settings
from gcn_luigi.config import load_region

SHIPPED = Path(__file__).resolve().parents[3] / "gcn_luigi" / "demo.toml"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty directory."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def _sources(place):
    place.mkdir(parents=True)
    return place


def test_with_the_usual_output_the_file_is_that_of_the_package(here):
    used = demo_settings(_sources(Path("output/demo-input")))

    assert used.resolve() == here / "config/demo.toml"
    assert used.read_bytes() == SHIPPED.read_bytes()
    assert load_region(used).root == here / "output/demo-input"


@pytest.mark.parametrize("name", ["made here", "a/b/c", 'qu"ote'])
def test_another_output_is_named_relative_to_the_file(here, name):
    used = demo_settings(_sources(here / name / "demo-input"))

    region = load_region(used)
    assert region.root == here / name / "demo-input"
    assert not Path(region.settings.data_root).is_absolute()
    assert region.settings.model_copy(update={"data_root": None}) == load_region(SHIPPED).settings.model_copy(
        update={"data_root": None}
    )


def test_an_output_elsewhere_is_named_by_its_whole_path(tmp_path):
    used = demo_settings(_sources(tmp_path / "elsewhere" / "demo-input"))

    assert load_region(used).root == tmp_path / "elsewhere" / "demo-input"


def test_settings_that_are_there_are_left_as_they_are_and_those_of_the_package_are_used(here, capsys):
    (here / "config").mkdir()
    (here / "config/demo.toml").write_text("mine", encoding="utf-8")

    used = demo_settings(_sources(here / "output/demo-input"))

    assert used == SHIPPED.resolve()
    assert (here / "config/demo.toml").read_text(encoding="utf-8") == "mine"
    assert "was not changed" in capsys.readouterr().err


def test_a_second_demo_finds_its_own_settings(here, capsys):
    sources = _sources(here / "output/demo-input")

    assert demo_settings(sources) == demo_settings(sources)
    assert "already there" in capsys.readouterr().out


def test_a_directory_that_takes_no_file_stops_nothing(here, capsys):
    (here / "config").write_text("a file where the directory should be", encoding="utf-8")

    assert demo_settings(_sources(here / "output/demo-input")) == SHIPPED.resolve()
    assert "cannot be written" in capsys.readouterr().err
