"""The examples of the documentation work: another sensor is built, a network learns, scripts can be parsed."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.config import load_region
from gcn_luigi.read.normalise import normalise
from gcn_luigi.read.validate import validate
from gcn_luigi.settings import RegionSettings
from gcn_luigi.synthetic import WorldSettings, make_world, write_world
from tests.contracts.fences import blocks
from tests.integration.builds import build_inline, dataset

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.mark.long
def test_the_region_of_another_sensor_is_built_as_it_stands(tmp_path):
    settings = load_region(EXAMPLES / "patagonia.toml").settings
    world = WorldSettings(
        seed=3, shape=(1024, 1280), crs=settings.lattice.crs, pixel_size=settings.lattice.pixel_size,
        left=600_000.0, top=4_500_000.0, years=settings.years, tiles=(2, 2),
    )  # fmt: skip
    sources = tmp_path / "patagonia-input"
    write_world(make_world(world), sources)
    for path in sources.glob("topo/*/*_dem_cubic_temp.tif"):
        path.rename(path.with_name(path.name.replace("_dem_cubic_temp", "_dem")))
    (sources / "rgi" / "outlines_rgi7.gpkg").rename(sources / settings.outlines.path)
    next((sources / "stem").glob("*.tif")).rename(sources / settings.label.stem)
    shutil.copy(EXAMPLES / "patagonia.toml", tmp_path)

    build_inline(dataset("patagonia", tmp_path / "out", config=tmp_path))

    made = gcn_luigi.open_dataset(tmp_path / "out" / "patagonia")
    assert list(validate(tmp_path / "out" / "patagonia")) == []
    assert [band.name for band in made.bands] == ["ndsi", "ndvi", "dem", "distance"]
    assert made.chip_boxes.crs.to_epsg() == 32718
    assert (made.chip_table["right"] - made.chip_table["left"]).unique().tolist() == [1280.0]
    assert set(made.chip_table["split"]) == {"train", "dev"}
    assert made.chips("train").layout == "windows"


def _torch():
    return pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")


def _training():
    _torch()
    spec = importlib.util.spec_from_file_location("train_example", EXAMPLES / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.nightly
def test_a_network_learns_from_the_demo(demo_output):
    losses, scores = _training().train(gcn_luigi.open_dataset(demo_output), steps=12, size=8)

    assert len(losses) == 12
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)
    # Far better than chance on the easiest class.
    assert scores[0] > 0.5


def test_the_u_net_scores_every_pixel_and_looks_around():
    torch = _torch()
    from gcn_luigi.read.torch import make_model  # noqa: PLC0415  it needs torch

    model = make_model(f"{EXAMPLES / 'unet.py'}:unet", 10, 3).eval()
    torch.manual_seed(1)
    images = torch.randn(2, 10, 64, 48, requires_grad=True)
    scores = model(images)
    scores[0, :, 32, 24].sum().backward()

    assert scores.shape == (2, 3, 64, 48)
    # A pixel depends on its surroundings, and never on another image.
    assert float(images.grad[0, :, 40, 24].abs().sum()) > 0
    assert not images.grad[1].any()


@pytest.mark.nightly
def test_a_trained_network_is_saved_and_makes_a_map(demo_output, tmp_path, gcn):
    _torch()
    train = [sys.executable, EXAMPLES / "train.py", demo_output, "--steps", "2", "--size", "4"]
    subprocess.run([*train, "--save", tmp_path / "model.pt2"], check=True, capture_output=True)

    code, out, _ = gcn("predict", demo_output, "--model", tmp_path / "model.pt2", "--year", 2004, "--to", tmp_path)

    assert code == 0
    assert (tmp_path / "2004_classes.tif").is_file()
    assert out.startswith("map: ")


@pytest.mark.long
def test_images_are_normalised_on_the_device_as_the_package_does_it(demo_output):
    torch = _torch()
    made = gcn_luigi.open_dataset(demo_output)
    batch = made.chips("train").batch([0, 7, 90])

    found = _training().Normalised(made)(torch.from_numpy(batch["image"]), torch.from_numpy(batch["flags"]))

    expected = normalise(batch["image"], batch["flags"], made.statistics, made.bands)
    assert (batch["flags"] != 0).any()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_what_the_batch_script_copies_is_enough_to_read(small_output, tmp_path):
    for name in ("dataset.json", "index.parquet", "catalog.parquet", "statistics.json"):
        assert name.removesuffix(".json").removesuffix(".parquet") in (EXAMPLES / "train.sbatch").read_text("utf-8")
        shutil.copy(small_output / name, tmp_path)
    shutil.copytree(small_output / "shards", tmp_path / "shards")

    part, whole = gcn_luigi.open_dataset(tmp_path), gcn_luigi.open_dataset(small_output)

    assert part.chips("dev")[3]["chip_id"] == whole.chips("dev")[3]["chip_id"]
    assert part.digest == whole.digest


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sbatch")), ids=lambda path: path.name)
def test_a_batch_script_can_be_parsed(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("page", ["explanation/labels.md", "howto/legacy.md", "howto/outlines.md", "nodata.md"])
def test_the_toml_of_a_page_is_understood(page):
    """Each block, laid over the template, loads."""
    template = tomllib.loads((ROOT / "config" / "southern.toml").read_text("utf-8"))
    found = [tomllib.loads(block.text) for block in blocks(ROOT / "docs" / page) if block.kind == "toml"]
    assert found
    for tables in found:
        # A label has one source, so another one replaces that of the template.
        kept = {name: {} if "source" in table else template.get(name, {}) for name, table in tables.items()}
        merged = {**template, **{name: {**kept[name], **table} for name, table in tables.items()}}
        RegionSettings.model_validate(merged)
