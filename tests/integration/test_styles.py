"""Styles of a finished dataset: beside every layer that a user opens, of its bands, sealed."""

import json
from xml.etree import ElementTree as ET

import geopandas as gpd
import pyogrio
import pytest
import rasterio

from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.prepare.appearance import colour_bands
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import validate
from gcn_luigi.report.served.pages import page_of
from gcn_luigi.settings import RegionSettings
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.stages.dataset.styles import write_style


def _style(path):
    return ET.fromstring(path.with_suffix(".qml").read_text().split("\n", 1)[1])  # noqa: S314  our own


def _sealed(root):
    return {entry["path"] for entry in json.loads((root / "dataset.json").read_text())["files"]}


def test_every_layer_that_a_user_opens_has_a_sealed_style(small_output):
    layers = [*small_output.glob("stacks/*.vrt"), *small_output.glob("*.tif")]
    layers += [small_output / name for name in ("catalog.gpkg", "index.gpkg")]

    assert len(layers) >= 5
    for layer in layers:
        assert layer.with_suffix(".qml").relative_to(small_output).as_posix() in _sealed(small_output)


def test_a_stack_is_shown_by_the_bands_that_the_quality_page_shows(small_output):
    dataset = Dataset(small_output)
    wanted = [dataset.bands[position].name for position in colour_bands(dataset.bands)]
    for layer in small_output.glob("stacks/*.vrt"):
        renderer = _style(layer).find("pipe/rasterrenderer")
        with rasterio.open(layer) as stack:
            shown = [stack.descriptions[int(renderer.get(f"{ink}Band")) - 1] for ink in ("red", "green", "blue")]

        assert shown == wanted
        limits = dataset.statistics["bands"][wanted[0]]
        assert renderer.find("redContrastEnhancement/minValue").text == f"{limits['p1']:g}"
        assert renderer.find("redContrastEnhancement/maxValue").text == f"{limits['p99']:g}"


def test_styles_and_the_pages_of_shards_show_the_bands_of_the_composite(small_output, tmp_path):
    configuration = Dataset(small_output).description["configuration"]
    names = ["dem", "ndsi", "distance"]
    settings = RegionSettings.model_validate({**configuration, "data_root": ".", "report": {"composite": names}})
    paths = DatasetPaths(small_output)
    layer = paths.stack(settings.years[0])

    write_style(settings, paths, layer, tmp_path / "stack.qml")

    renderer = _style(tmp_path / "stack").find("pipe/rasterrenderer")
    with rasterio.open(layer) as stack:
        assert [stack.descriptions[int(renderer.get(f"{ink}Band")) - 1] for ink in ("red", "green", "blue")] == names
    page = page_of(paths, f"shards/{next(paths.shards.glob('dev*')).stem}", names)
    assert "in false colour (dem red, ndsi green, distance blue," in page


@pytest.mark.parametrize("name", ["B99", "label"])
def test_a_composite_of_a_band_that_is_not_shown_is_refused(small_output, name):
    configuration = Dataset(small_output).description["configuration"]
    tree = {**configuration, "data_root": ".", "report": {"composite": ["dem", name, "dem"]}}
    with pytest.raises(ValueError, match=f"report.composite: {name} is not a band of the stack that has a picture"):
        RegionSettings.model_validate(tree)


def test_tables_open_as_a_layer_of_a_sensible_name_with_the_styled_column_and_a_crs(small_output):
    for name, layer in (("catalog.gpkg", "catalog"), ("index.gpkg", "chips")):
        path = small_output / name
        attribute = _style(path).find("renderer-v2").get("attr")

        assert pyogrio.list_layers(path)[:, 0].tolist() == [layer]
        frame = gpd.read_file(path)
        assert frame.crs == Dataset(small_output).lattice.crs
        assert {"split"} <= set(frame.columns)
        assert "split" in attribute


def test_a_converted_dataset_keeps_the_styles_of_what_it_keeps(small_output, tmp_path):
    convert_dataset(small_output, tmp_path / "tiny", "windows", None, lambda *_: None)

    assert (tmp_path / "tiny/label.qml").is_file()
    assert not (tmp_path / "tiny/stacks").exists()
    assert list(validate(tmp_path / "tiny")) == []
