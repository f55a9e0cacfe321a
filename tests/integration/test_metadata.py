"""The descriptions of a finished dataset, opened by the programs that they are for, without a network."""

import hashlib
import json
import re
import socket

import mlcroissant
import numpy as np
import pystac
import pystac.validation
import pytest
import shapely
import yaml
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension

import gcn_luigi
from gcn_luigi.read.validate import validate
from gcn_luigi.stages.dataset.convert import convert_dataset
from gcn_luigi.stages.metadata.facts import GAP
from tests.integration.builds import build_inline, dataset, once_per_run
from tests.integration.commands import make_tiny

# mlcroissant uses what newer versions of rdflib and pandas will remove.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index is deprecated"),
]
DESCRIPTIONS = ("croissant.json", "datasheet.md", "CITATION.cff", "README.md", "CITATION.md")
GEO = "http://mlcommons.org/croissant/geo/1.0"
SAID = (
    'licence = "CC0-1.0"\nversion = "1.0.0"',
    'licence = "CC-BY-4.0"\nversion = "2.1.0"\ndoi = "10.5281/zenodo.42"\nreleased = "2027-03-01"',
)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise OSError("tests need no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def _built(factory, name, *replacements, head=None):
    def make(root):
        tiny = make_tiny(root, "tiny", *replacements)
        if head is not None:
            path = tiny.config / "tiny.toml"
            path.write_text(path.read_text(encoding="utf-8").split(head)[0], encoding="utf-8")
        build_inline(dataset("tiny", root / "out", tiny.sources, tiny.config))

    return once_per_run(factory, name, make) / "out/tiny"


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Return a dataset about which a lot is said."""
    return _built(tmp_path_factory, "described", SAID)


@pytest.fixture(scope="module")
def undescribed(tmp_path_factory):
    """Return the same dataset, about which nothing is said."""
    return _built(tmp_path_factory, "undescribed", head="\n[dataset]")


def _content(root, name):
    return json.loads((root / name).read_text(encoding="utf-8"))


class TestCroissant:
    def test_mlcroissant_accepts_it_without_a_warning(self, described):
        found = mlcroissant.Dataset(described / "croissant.json").metadata

        assert (found.ctx.issues.errors, found.ctx.issues.warnings) == (set(), set())
        assert found.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
        assert GEO in found.conforms_to
        assert found.version == "2.1.0"
        assert found.data_annotation_protocol[0].startswith("The label is made from a raster of votes")

    def test_its_records_are_the_rows_of_the_index(self, described):
        records = list(mlcroissant.Dataset(described / "croissant.json").records("chips"))
        table = gcn_luigi.open_dataset(described).chip_table

        assert len(records) == len(table) > 0
        for column in set(table.columns) - {"geometry", "bbox"}:
            found = [record[f"chips/{column}"] for record in records]
            if table[column].dtype.kind in "if":
                np.testing.assert_array_equal(found, table[column])
            else:
                assert [text.decode() for text in found] == table[column].tolist()

    def test_its_records_are_partitions_bands_classes_and_splits(self, described):
        found = mlcroissant.Dataset(described / "croissant.json")
        opened = gcn_luigi.open_dataset(described)

        assert len(list(found.records("partitions"))) == len(opened.partition_table)
        assert [record["bands/name"] for record in found.records("bands")] == [band.name for band in opened.bands]
        assert [record["classes/value"] for record in found.records("classes")] == [0, 1, 2]
        urls = {record["splits/name"]: record["splits/url"] for record in found.records("splits")}
        assert urls == {"train": "cr:TrainingSplit", "dev": "cr:ValidationSplit"}

    def test_it_gives_size_and_digest_of_each_file_of_the_data(self, described):
        entries = {entry["@id"]: entry for entry in _content(described, "croissant.json")["distribution"]}

        shards = {path.relative_to(described).as_posix() for path in described.glob("shards/*.h5")}
        assert entries.keys() == {"index.parquet", "catalog.parquet", "statistics.json", *shards}
        for name, entry in entries.items():
            content = (described / name).read_bytes()
            assert entry["sha256"] == hashlib.sha256(content).hexdigest()
            assert entry["contentSize"] == f"{len(content)} B"

    def test_it_has_the_keys_of_geocroissant_that_mlcroissant_does_not_check(self, described):
        content = _content(described, "croissant.json")

        assert content["geocr:coordinateReferenceSystem"] == "EPSG:3338"
        assert content["geocr:spatialResolution"]["value"] == 30
        bands = content["geocr:bandConfiguration"]
        assert bands["geocr:totalBands"] == len(bands["geocr:bandNameList"]) == 3
        years = gcn_luigi.open_dataset(described).chip_table["year"]
        assert content["temporalCoverage"] == f"{years.min()}-01-01/{years.max()}-12-31"
        assert "every 16 pixels" in content["geocr:samplingStrategy"]
        south, west, north, east = map(float, content["spatialCoverage"]["geo"]["box"].split())
        assert -180 < west < east < 0 < south < north < 90

    def test_what_nobody_said_is_left_out(self, undescribed):
        found = mlcroissant.Dataset(undescribed / "croissant.json").metadata

        assert found.ctx.issues.errors == set()
        warned = {re.search(r'([A-Za-z]+)" is recommended', text)[1] for text in map(str, found.ctx.issues.warnings)}
        assert warned == {"citeAs", "datePublished", "license", "version"}
        assert GAP not in (undescribed / "croissant.json").read_text(encoding="utf-8")


class TestStac:
    def test_the_core_is_valid(self, described, undescribed):
        for root in (described, undescribed):
            collection = pystac.Collection.from_file(str(root / "stac/collection.json"))
            # The schemas of the core come with pystac. Those of extensions are on the network alone.
            for each in (collection, *collection.get_items()):
                each.stac_extensions = []

            assert collection.validate()
            assert collection.validate_all() == len(list(root.glob("shards/*.h5")))

    @pytest.mark.parametrize("key", ["datetime", "start_datetime"])
    def test_an_item_without_its_time_would_be_noticed(self, described, key):
        content = _content(described, "stac/train-00000-of-00002.json") | {"stac_extensions": []}
        pystac.validation.validate_dict(content)
        del content["properties"][key]

        with pytest.raises(pystac.STACValidationError):
            pystac.validation.validate_dict(content)

    def test_an_item_names_its_shard_with_size_and_digest(self, described):
        collection = pystac.Collection.from_file(str(described / "stac/collection.json"))
        items = {item.id: item for item in collection.get_items()}

        assert len(items) == 3
        for item in items.values():
            asset = item.assets["chips"]
            path = described / "shards" / asset.href.rpartition("/")[2]
            assert (described / "stac" / asset.href).resolve() == path.resolve()
            file = FileExtension.ext(asset)
            assert file.size == path.stat().st_size
            assert file.checksum == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
            split = path.name.split("-")[0]
            assert item.properties["ml-aoi:split"] == {"train": "train", "dev": "validate"}[split]

    def test_an_item_covers_its_chips_and_their_years(self, described):
        collection = pystac.Collection.from_file(str(described / "stac/collection.json"))
        boxes = gcn_luigi.open_dataset(described).chip_boxes.to_crs("EPSG:4326")
        for item in collection.get_items():
            chips = boxes[boxes["shard"] == f"{item.id.removeprefix('tiny-')}.h5"]
            area = shapely.geometry.shape(item.geometry)

            # A ten-millionth of a degree is what the rounding of coordinates may cut off.
            assert area.buffer(2e-5).covers(shapely.union_all(chips.geometry))
            assert area.area == pytest.approx(shapely.union_all(chips.geometry).area, rel=1e-3)
            assert item.common_metadata.start_datetime.year == chips["year"].min()
            assert item.common_metadata.end_datetime.year == chips["year"].max()
            assert ProjectionExtension.ext(item).code == "EPSG:3338"

    def test_an_item_names_bands_and_classes(self, described):
        collection = pystac.Collection.from_file(str(described / "stac/collection.json"))
        opened = gcn_luigi.open_dataset(described)
        asset = next(collection.get_items()).assets["chips"]

        assert [band["name"] for band in asset.extra_fields["bands"]] == [band.name for band in opened.bands]
        classes = ClassificationExtension.ext(asset).classes
        assert {one.value: one.name for one in classes} == {0: "none", 1: "debris", 2: "ice"}
        assert all(re.fullmatch("[0-9A-F]{6}", one.color_hint) for one in classes)

    def test_the_collection_says_on_which_terms(self, described, undescribed):
        collection = pystac.Collection.from_file(str(described / "stac/collection.json"))

        assert collection.license == "CC-BY-4.0"
        assert collection.extra_fields["sci:doi"] == "10.5281/zenodo.42"
        assert collection.get_single_link("license").href == "https://spdx.org/licenses/CC-BY-4.0.html"
        assert pystac.Collection.from_file(str(undescribed / "stac/collection.json")).license == "other"


class TestForPeople:
    def test_the_datasheet_has_all_sections_and_answers_what_is_said(self, described):
        text = (described / "datasheet.md").read_text(encoding="utf-8")

        assert re.findall("^## (.+)", text, flags=re.MULTILINE) == [
            "Motivation",
            "Composition",
            "Collection process",
            "Preprocessing, cleaning and labelling",
            "Uses",
            "Distribution",
            "Maintenance",
        ]
        assert "**Purpose.** To try gcn_luigi out, and to test it." in text
        assert "**DOI.** 10.5281/zenodo.42." in text
        assert "| the glacier outlines | Invented outlines | CC0-1.0 |" in text

    def test_gaps_are_marked_with_the_key_that_fills_them(self, undescribed):
        text = (undescribed / "datasheet.md").read_text(encoding="utf-8")

        gaps = re.findall(rf"{GAP}: [^`]*`\[+([^`]+)`", text)
        assert f"{len(gaps)} answers are missing" in text
        assert {"datasheet] purpose", "dataset] licence", "dataset] doi", "sources.outlines]"} <= set(gaps)

    def test_hugging_face_finds_its_header_and_people_the_rest(self, described):
        _, header, body = (described / "README.md").read_text(encoding="utf-8").split("---\n", 2)

        assert yaml.safe_load(header)["license"] == "cc-by-4.0"
        assert body.startswith("\n# An imaginary piece of Alaska\n")

    def test_the_citation_file_is_read(self, described):
        content = yaml.safe_load((described / "CITATION.cff").read_text(encoding="utf-8"))

        assert content["cff-version"] == "1.2.0"
        assert (content["doi"], content["license"]) == ("10.5281/zenodo.42", "CC-BY-4.0")


def test_all_of_it_is_sealed_and_names_no_place(described):
    sealed = {entry["path"] for entry in _content(described, "dataset.json")["files"]}
    stac = {path.relative_to(described).as_posix() for path in described.glob("stac/*")}

    assert {*DESCRIPTIONS, *stac} <= sealed
    assert len(stac) == 4
    for name in (*DESCRIPTIONS, *stac):
        text = (described / name).read_text(encoding="utf-8")
        assert str(described.parents[1]) not in text
        assert socket.gethostname() not in text
    assert list(validate(described)) == []


@pytest.mark.long
def test_another_build_elsewhere_gives_the_same_bytes(described, tmp_path):
    tiny = make_tiny(tmp_path, "tiny", SAID)
    build_inline(dataset("tiny", tmp_path / "another/place", tiny.sources, tiny.config))

    for path in (*(described / name for name in DESCRIPTIONS), *described.glob("stac/*")):
        name = path.relative_to(described)
        assert (tmp_path / "another/place/tiny" / name).read_bytes() == path.read_bytes(), name


def test_what_is_said_changes_no_data(described, undescribed):
    digests = {_content(root, "dataset.json")["data_digest"] for root in (described, undescribed)}

    assert len(digests) == 1


def test_a_converted_dataset_describes_its_own_shards(described, tmp_path):
    convert_dataset(described, tmp_path / "made", "windows", "none", lambda *_: None)

    assert list(validate(tmp_path / "made")) == []
    for entry in _content(tmp_path / "made", "croissant.json")["distribution"]:
        assert hashlib.sha256((tmp_path / "made" / entry["@id"]).read_bytes()).hexdigest() == entry["sha256"]
    collection = pystac.Collection.from_file(str(tmp_path / "made/stac/collection.json"))
    for item in collection.get_items():
        shard = tmp_path / "made/stac" / item.assets["chips"].href
        assert FileExtension.ext(item.assets["chips"]).size == shard.stat().st_size
        assert "in_window" in item.assets["chips"].description


def test_what_sources_say_replaces_what_their_ids_and_kind_suggest(described, undescribed):
    guessed, said = ((root / "CITATION.md").read_text(encoding="utf-8") for root in (undescribed, described))

    assert "Randolph Glacier Inventory 6.0" in guessed
    assert "STEM classification" in guessed
    assert "Invented outlines" in said
    assert "Randolph Glacier Inventory" not in said
    assert "STEM" not in said
