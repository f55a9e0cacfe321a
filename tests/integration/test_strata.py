"""Tables by strata of a finished dataset add up to its statistics, and are recounted from its chips."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio

import gcn_luigi
from gcn_luigi.report.evaluation.strata import read_strata, strata_section
from tests.integration.builds import build_inline, dataset
from tests.integration.commands import make_tiny


@pytest.fixture(scope="module")
def made(tiny, tiny_output):
    return gcn_luigi.open_dataset(tiny_output / tiny.region)


@pytest.fixture(scope="module")
def table(made):
    return read_strata(made.paths.strata)


def test_every_stratum_adds_up_to_the_class_counts_of_the_statistics(made, table):
    statistics = made.statistics
    assert set(table["stratum"]) >= {"region", "year", "year gap", "elevation", "aspect"}
    for stratum, rows in table.groupby("stratum"):
        for split in made.splits:
            of_split = rows[rows["split"] == split]
            counted = (statistics if split == "train" else statistics[split])["classes"]["pixels"]
            assert {name: int(of_split[f"n_{name}"].sum()) for name in counted} == counted, stratum
            assert of_split["share_of_split"].sum() == pytest.approx(1, abs=1e-4)
    region = table[table["stratum"] == "region"].set_index("split")["n_chips"]
    assert region.to_dict() == made.chip_table["split"].value_counts().to_dict()


def test_elevations_are_those_of_the_source_at_the_pixels_of_kept_chips(made, table):
    """Count again from the chips themselves, by the place of each pixel on the lattice."""
    position = [band.name for band in made.bands].index("dem")
    for split in made.splits:
        seen = {}
        index = made.chip_table[made.chip_table["split"] == split]
        for chip, row in zip(made.chips(split), index.itertuples(), strict=True):
            rows, cols = np.nonzero((chip["label"] != 255) & ((chip["flags"] & 2) == 0))
            for y, x in zip(rows.tolist(), cols.tolist(), strict=True):
                height = int(chip["image"][position, y, x])
                seen[row.partition, row.row + y, row.col + x] = (height // 200 * 200, int(chip["label"][y, x]))
        counted = pd.DataFrame(seen.values(), columns=["low", "label"])
        found = table[(table["stratum"] == "elevation") & (table["split"] == split) & (table["value"] != "missing")]
        lows = found["value"].str.split(" ").str[0].astype(int)
        for value, name in ((0, "none"), (1, "debris"), (2, "ice")):
            expected = counted[counted["label"] == value].groupby("low").size()
            assert dict(zip(lows, found[f"n_{name}"], strict=True)) == expected.reindex(lows, fill_value=0).to_dict()


def test_the_table_is_sealed_in_the_manifest_and_apart_from_the_data(made):
    listed = json.loads(made.paths.dataset.read_text())
    assert "strata.csv" in [entry["path"] for entry in listed["files"]]
    assert not made.paths.strata.read_bytes().count(b"\r")


def test_the_page_shows_what_the_table_says(made, table):
    text = made.paths.report.read_text(encoding="utf-8")
    assert 'id="strata"' in text
    row = table[(table["stratum"] == "aspect") & (table["value"] == "SE") & (table["split"] == "train")].iloc[0]
    assert f"{row['share_of_split']:.1%}" in text.partition('id="strata"')[2].partition("</section>")[0]


def test_without_elevations_the_page_says_how_to_get_them(table):
    section = strata_section(table[~table["stratum"].isin(["elevation", "aspect"])], ["debris", "ice"], {})

    assert "no band of elevations" in section
    assert "Labelled pixels by year" in section
    assert "by elevation" not in section.partition("</p>")[2].partition("has no band")[0]


def test_a_dataset_without_elevations_has_the_other_strata(tmp_path):
    made = make_tiny(tmp_path)
    path = made.config / "tiny.toml"
    # The band keeps its files under a name that says nothing about heights.
    text = path.read_text().replace('name = "dem"', 'name = "shape"')
    assert text != path.read_text()
    path.write_text(text)
    root = dataset("tiny", tmp_path / "out", made.sources, made.config)
    build_inline(root)

    table = read_strata(tmp_path / "out" / "tiny" / "strata.csv")
    assert set(table["stratum"]) == {"region", "year", "year gap"}


@pytest.mark.long
def test_elevations_that_are_not_stacked_give_the_same_bands(tmp_path, table):
    made = make_tiny(tmp_path)
    path = made.config / "tiny.toml"
    text = path.read_text()
    dem = text.index('name = "dem"')
    derived = '[[bands]]\nname = "slope"\nrole = "topo"\nderive = "slope"\n\n'
    start = text.rindex("[[bands]]", 0, dem)
    text = (
        text[:start] + derived + text[start:dem] + 'name = "dem"\nstacked = false' + text[dem + len('name = "dem"') :]
    )
    path.write_text(text)
    build_inline(dataset("tiny", tmp_path / "out", made.sources, made.config))

    found = read_strata(tmp_path / "out" / "tiny" / "strata.csv")
    # Delivered heights are not rounded to metres, so single pixels may be in the next band.
    one, other = (
        each[each["stratum"] == "elevation"].set_index(["value", "split"])["n_pixels"] for each in (found, table)
    )
    assert abs(one.sub(other, fill_value=0)).sum() < 0.01 * other.sum()
    with rasterio.open(tmp_path / "out" / "tiny" / "mosaics" / "topo_dem_source.vrt") as mosaic:
        assert mosaic.dtypes[0] == "float32"
