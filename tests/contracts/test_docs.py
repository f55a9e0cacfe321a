"""The documents say what is there: keys, tasks, functions, files and tests that they name exist."""

import importlib
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import get_args, get_origin

import luigi
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gcn_luigi import tasks
from gcn_luigi.cli import cli
from gcn_luigi.luigi_host.cfg_check import known_sections
from gcn_luigi.settings import RegionSettings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
# What the published scripts offered, in the order of the table.
FEATURES = (
    "run_cmd", "flatten_lists", "write_list_to_txt_file", "reordering", "get_image_tiles_from_subdirectories",
    "get_image_files", "make_singleband_vrts", "make_multiband_rasters", "topo mosaic", "class-label mosaic",
    "convert_data_type", "translate_data_type", "tif_to_vrt, convert_vrt_to_tif", "fill_noData",
    "delete_unused_files", "class label STEM x RGI", "decision tree, STEM classification", "distance raster",
    "grids 128/256/512", "seed-8 80/20 split", "QGIS bounding-box columns", "RGI x grid spatial join",
    "get_geom_dict", "get_partition_year", "make_single_clip_command", "create_grid_image_cmds, rejects",
    "train/dev run twice, north/south run twice", "cast_dtype", "make_masks",
    "read_raster_to_np_and_write_to_tif", "both stage 3 variants, suffix", "extract_chips",
    "run_moving_window_for_one_partition", "log_metadata", "chip filter", "50 % rule", "remove by id list",
    "1_compute_means", "2_tiff_to_tensor", "GlacierDataset", "transforms", "predict scripts",
    "analyze_train_test_distributions", "10 km buffer", "partitions removed by the border", "params JSON",
)  # fmt: skip


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows but the rulers."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def sections(text: str) -> dict[str, str]:
    """Return the text below each second-level heading."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def tables(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """Return the keys of a section that are sections themselves."""
    return [(key, field) for key, field in model.model_fields.items() if isinstance(field.default, BaseModel)]


def models() -> dict[str, type[BaseModel]]:
    """Return each section's model under its heading in configuration.md."""
    found: dict[str, type[BaseModel]] = {"Top level": RegionSettings}
    for name, field in RegionSettings.model_fields.items():
        for annotation in (field.annotation, *get_args(field.annotation)):
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                listed = f"[{name}.NAME]" if get_origin(field.annotation) is dict else f"[[{name}]]"
                found[f"[{name}]" if annotation is field.annotation else listed] = annotation
                found |= {f"[{name}.{key}]": inner.annotation for key, inner in tables(annotation)}
                found |= {
                    f"[[{name}.{key}]]": model
                    for key, inner in annotation.model_fields.items()
                    for model in get_args(inner.annotation)
                    if isinstance(model, type) and issubclass(model, BaseModel)
                }
    return found


def shown(default: object) -> str:
    if default is PydanticUndefined:
        return "required"
    plain = list(default) if isinstance(default, tuple) else default
    text = json.dumps(plain)
    return text if text == "null" else f"`{text}`"


class TestConfiguration:
    def test_every_section_has_a_heading(self):
        assert set(models()) <= set(sections(read(DOCS / "configuration.md")))

    @pytest.mark.parametrize("heading", models())
    def test_the_table_of_a_section_lists_its_keys_with_their_defaults(self, heading):
        text = sections(read(DOCS / "configuration.md"))[heading]
        documented = {row[0].strip("`"): row[3] for row in rows(text)[1:]}
        fields = {
            name: shown(field.default)
            for name, field in models()[heading].model_fields.items()
            # The sections themselves are listed in a sentence.
            if (f"[{name}]" if heading == "Top level" else f"{heading[:-1]}.{name}]") not in models()
        }

        assert documented == fields

    def test_every_section_is_named_at_the_top(self):
        text = sections(read(DOCS / "configuration.md"))["Top level"]

        for heading in models():
            if heading.startswith("[") and not heading.startswith("[["):
                assert f"`{heading.strip('[]')}`" in text


class TestCoverage:
    def test_every_feature_of_the_published_scripts_has_a_line(self):
        named = [row[0] for row in rows(sections(read(DOCS / "coverage.md"))["Features"])[1:]]

        for name in FEATURES:
            assert any(cell.startswith(name) for cell in named), name
        assert len(named) == len(FEATURES)

    def test_every_defect_has_a_line(self):
        table = rows(sections(read(DOCS / "coverage.md"))["Defects"])[1:]

        assert [row[0] for row in table] == [str(number) for number in range(1, 52)]
        assert {row[1] for row in table} == {"S", "C", "R"}
        assert all(len(row) == 4 and row[3] for row in table)

    @pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z_]+(?:\.\w+)+)`", read(DOCS / "coverage.md")))))
    def test_what_a_line_names_exists(self, name):
        if name.startswith("gcn."):
            assert issubclass(getattr(tasks, name.removeprefix("gcn.")), luigi.Task)
        elif not re.search(r"\.(json|parquet|gpkg|txt|tif|cfg)$", name):
            value: object = importlib.import_module("gcn_luigi")
            place = "gcn_luigi"
            for part in name.split("."):
                place = f"{place}.{part}"
                if isinstance(value, ModuleType) and not hasattr(value, part):
                    value = importlib.import_module(place)
                else:
                    value = getattr(value, part)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
class TestEveryPage:
    def test_links_lead_to_files(self, path):
        for link in re.findall(r"\]\(([^)#]+)", read(path)):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), link

    def test_tests_that_are_named_exist(self, path):
        existing = {
            name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", read(file))
        }
        # Keys of settings that begin like tests.
        existing |= {"test_share", "test_regions"}
        for name in re.findall(r"`(test_\w+)`", read(path)):
            assert name in existing

    def test_a_linked_test_stands_in_the_linked_file(self, path):
        for name, link in re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", read(path)):
            assert f"def {name}(" in read(path.parent / link)

    def test_keys_that_are_named_exist(self, path):
        for section, key in re.findall(r"`\[(\w+)\] (\w+)", read(path)):
            model = models().get(f"[{section}]")
            # A resource may have any name; the one that shards take is in the shipped file.
            known = {"resources": {"io"}, **known_sections()}[section] if model is None else model.model_fields
            assert key in known, f"[{section}] {key}"

    def test_tasks_that_are_named_exist(self, path):
        for name in re.findall(r"\bgcn\.([A-Z]\w+)", read(path)):
            assert name in tasks.__all__

    def test_commands_that_are_named_exist(self, path):
        for name in re.findall(r"(?:`|^)gcn ([a-z][a-z-]*)", read(path), flags=re.MULTILINE):
            assert name in cli.commands


def test_every_claim_about_security_has_its_test():
    parts = sections(read(DOCS / "security.md"))

    claims = [row for name in ("Settings that would be ignored", "The network", "Files") for row in rows(parts[name])]
    assert len(claims) > 30
    for what, shown_by in claims:
        assert what == "protection" or re.fullmatch(r"\[`test_\w+`\]\(\.\./tests/\S+\.py\)", shown_by), what


def test_every_option_of_ours_in_luigis_settings_is_documented():
    text = sections(read(DOCS / "configuration.md"))["luigi.cfg"]

    assert set(re.findall(r"`\[gcn\] (\w+)`", text)) == set(known_sections()["gcn"])


def test_the_readme_is_short():
    assert len(read(ROOT / "README.md").splitlines()) <= 120


def test_each_decision_has_its_four_parts():
    pages = sorted((DOCS / "adr").glob("*.md"))

    assert [int(path.name[:4]) for path in pages] == list(range(1, len(pages) + 1))
    for path in pages:
        text = read(path)
        assert list(sections(text)) == ["Context", "Decision", "What it costs", "When to revisit"]
        assert text.startswith(f"# {path.name[:4]}. ")


@pytest.fixture(scope="module")
def drawing() -> str:
    spec = importlib.util.spec_from_file_location("make_graph", DOCS / "make_graph.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.draw()
    return text


class TestGraph:
    def test_the_picture_is_the_graph_as_it_is(self, drawing):
        assert read(DOCS / "graph.svg") == drawing, "run: python docs/make_graph.py"

    @pytest.mark.parametrize("family", tasks.__all__)
    def test_every_family_is_in_the_picture(self, drawing, family):
        assert re.search(rf">{family}( ×\d+)?</text>", drawing)  # noqa: RUF001  the sign that is meant
