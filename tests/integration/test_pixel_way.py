"""The page that follows a pixel names the modules that it passes, and none calls one on a higher floor."""

import importlib.util
import re
from pathlib import Path

import pytest

from gcn_luigi.config import load_region

DOCS = Path(__file__).resolve().parents[2] / "docs"
MOST_MODULES = 29


@pytest.fixture(scope="module")
def pixel_way():
    spec = importlib.util.spec_from_file_location("make_walk", DOCS / "make_walk.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def to_shard(pixel_way, tiny, tiny_output):
    return pixel_way.walk_to_shard(tiny_output / tiny.region, load_region(tiny.config / f"{tiny.region}.toml"))


@pytest.fixture(scope="module")
def to_batch(pixel_way, tiny, tiny_output):
    return pixel_way.walk_to_batch(tiny_output / tiny.region)


def listed(name: str) -> set[str]:
    page = (DOCS / "explanation" / "pixel-way.md").read_text(encoding="utf-8")
    _, _, rest = page.partition(f"<!-- {name} -->")
    return set(re.findall(r"^\| \d+ \| `([a-z_.]+)`", rest.partition("<!-- /")[0], re.MULTILINE))


def test_the_page_names_what_a_pixel_passes(to_shard, to_batch):
    assert (set(to_shard.steps), set(to_batch.steps)) == (listed("shard"), listed("batch")), (
        "run: python docs/make_walk.py"
    )


def test_a_shard_is_made_in_few_modules(to_shard, to_batch):
    assert len(to_shard.steps) <= MOST_MODULES
    assert len(to_batch.steps) <= MOST_MODULES


def test_nothing_calls_a_higher_floor(to_shard, to_batch):
    assert to_shard.climbs == {}
    assert to_batch.climbs == {}
