"""A finished dataset read for training, and stacks written for other programs."""

import re
from pathlib import Path

import luigi
import numpy as np
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.config import load_region
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.read.labels import map_label
from gcn_luigi.read.normalise import normalise
from gcn_luigi.read.transforms import dihedral, dihedral_of
from gcn_luigi.tasks import StackFiles
from tests.integration.builds import build_inline


@pytest.fixture(scope="module")
def made(tiny, tiny_output):
    return gcn_luigi.open_dataset(tiny_output / tiny.region)


@pytest.fixture(scope="module")
def schema(tiny):
    return load_region(tiny.config / f"{tiny.region}.toml").settings.schema_bands


def test_the_dataset_knows_its_bands(made, schema):
    assert made.bands == schema.image
    facts = {band.name: (band.nodata, band.unit) for band in made.bands}
    assert facts["dem"] == (schema.image[[band.name for band in schema.image].index("dem")].nodata, "m")


def test_normalised_chips_have_mean_zero_and_deviation_one_over_their_valid_pixels(made):
    chips = made.chips("train")
    images = [normalise(c["image"], c["flags"], made.statistics["as_sampled"], made.bands) for c in chips]
    flags = np.stack([chip["flags"] for chip in chips])

    for band, plane in zip(made.bands, np.stack(images, axis=1), strict=True):
        bit = {"optical": 1, "topo": 2, "distance": 16}[band.role]
        is_valid = (flags & bit) == 0
        assert plane[is_valid].astype(float).mean() == pytest.approx(0, abs=1e-5)
        assert plane[is_valid].astype(float).std() == pytest.approx(1, abs=1e-5)
        assert not plane[~is_valid].any()


def test_a_training_pass_turns_chips_and_keeps_their_classes(made):
    chips = made.chips("val")
    for chip in chips:
        turned = dihedral(chip, dihedral_of(chip["chip_id"], epoch=0, seed=8))

        assert (
            np.bincount(turned["label"].ravel(), minlength=256).tolist()
            == np.bincount(chip["label"].ravel(), minlength=256).tolist()
        )
        glacier = map_label(turned["label"], "binary")
        assert (glacier == 1).sum() == np.isin(chip["label"], (1, 2)).sum()
        assert (glacier == 255).sum() == (chip["label"] == 255).sum()


def test_the_examples_of_the_page_run(tiny, tiny_output):
    pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[torch]'")
    page = Path(__file__).resolve().parents[2] / "docs" / "reading.md"
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    for shown, real in (("output/demo-input", tiny.sources), ("output/demo", tiny_output / tiny.region)):
        code = code.replace(f'"{shown}', f'"{real}')
    names = {}

    exec(code, names)  # noqa: S102  our own page

    assert names["image"].dtype == np.float32
    assert names["image"].shape[1:] == names["label"].shape == (32, 32)
    assert set(np.unique(names["label"])) <= {0, 1, 255}
    assert [Path(line).is_file() for line in names["files"].splitlines()] == [True, True]


def test_stacks_on_request_are_geotiffs_with_the_pixels_of_the_stacks(tiny, tmp_path, schema):
    luigi.task_register.Register.clear_instance_cache()
    task = StackFiles(
        region=tiny.region, output_root=str(tmp_path), config_dir=str(tiny.config), data_root=str(tiny.sources)
    )
    build_inline(task)
    paths = DatasetPaths(tmp_path / tiny.region)

    for year in (2004, 2008):
        with rasterio.open(paths.stack(year)) as stack, rasterio.open(paths.stack_file(year)) as copy:
            assert copy.descriptions == stack.descriptions == schema.names
            for band, wanted, plane in zip(schema, stack.read(), copy.read(), strict=True):
                np.testing.assert_array_equal(plane, np.where(wanted == band.nodata, -32768, wanted))
    before = paths.stack_file(2008).stat().st_mtime_ns
    paths.stack_file(2004).unlink()
    assert build_inline(task) == [task.name]
    assert paths.stack_file(2004).is_file()
    assert paths.stack_file(2008).stat().st_mtime_ns == before
