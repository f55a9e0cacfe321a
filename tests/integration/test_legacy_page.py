"""The settings that the page on published datasets lists keep the cells that the published run kept."""

import re
import tomllib
from pathlib import Path

import pyogrio
import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.tables import read_geoparquet
from gcn_luigi.tasks.partitions import PartitionCatalog
from tests.integration.builds import CONFIG, build_inline, dataset

DOCS = Path(__file__).resolve().parents[2] / "docs"


def as_toml(value):
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def with_block(text, block):
    """Return a region's TOML with the sections of `block` in place of its own, other keys of a section kept."""
    tree = tomllib.loads(text)
    for section, values in tomllib.loads(block).items():
        tree[section] = {**tree.get(section, {}), **values}
    bands = tree.pop("bands")
    lines = [f"{key} = {as_toml(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for name, section in tree.items():
        if isinstance(section, dict):
            lines += [f"[{name}]", *(f"{key} = {as_toml(value)}" for key, value in section.items())]
    for band in bands:
        lines += ["[[bands]]", *(f"{key} = {as_toml(value)}" for key, value in band.items())]
    return "\n".join(lines)


def catalog_with(block, columbia, directory):
    """Return the task of Columbia's catalog under the settings `block`."""
    config = directory / "config"
    config.mkdir()
    text = with_block((CONFIG / "columbia.toml").read_text(encoding="utf-8"), block)
    (config / "columbia.toml").write_text(text, encoding="utf-8")
    return dataset("columbia", directory / "out", columbia, config).clone(PartitionCatalog)


def block_of_page():
    (block,) = re.findall(r"```toml\n(.*?)```", (DOCS / "howto/legacy.md").read_text(encoding="utf-8"), re.DOTALL)
    return block


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("", "no partition is left for dev"),
        # Cells within the tiles hold some ground without glacier.
        ("\nmin_glacier_share = 1.0", "no partition can be used"),
    ],
)
def test_the_setting_that_took_most_cells_is_named(columbia, tmp_path, added, told):
    without = re.sub(r"(?m)^max_outside_share = .*$", f"max_outside_share = 0.0{added}", block_of_page())

    with pytest.raises(ConfigError, match=told) as caught:
        build_inline(catalog_with(without, columbia, tmp_path))

    assert "outside the tiles" in caught.value.what
    assert "[grid] max_outside_share" in caught.value.fix


def test_the_block_of_the_page_keeps_every_cell_of_the_grid(columbia, tmp_path):
    root = catalog_with(block_of_page(), columbia, tmp_path)

    build_inline(root)

    catalog = read_geoparquet(root.paths.catalog)
    cells = pyogrio.read_dataframe(columbia / "grid/grid_256px.shp")
    assert len(cells) == 14
    assert catalog["used"].all()
    assert sorted(catalog["split"]) == sorted(cells["split"])
    assert set(catalog["partition"]) == {str(label) for label in cells["label"]}
