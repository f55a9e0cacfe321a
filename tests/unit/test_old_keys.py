"""Keys under their old names mean what they meant, in files, in Python and in what earlier versions recorded."""

import logging
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gcn_luigi.config import load_region
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.publish.sidecar import Record, fingerprint_of
from gcn_luigi.old_keys import OLD_KEYS, renew, renew_recorded
from gcn_luigi.settings import ChipSettings, LabelSettings, NodataSettings, SplitSettings

HEAD = """region = "alps"
data_root = "."
years = [2000]
[[bands]]
name = "red"
role = "optical"
[outlines]
path = "outlines.gpkg"
"""
OLD = """[label]
stem = "stem.tif"
threshold = 3  # of 7
[convert]
exclude = ["rmse"]
[grid]
reject_ids = "ids.txt"
exclude_polygons = "away.gpkg"
min_glacier_share = 0.25
[year]
max_gap = 7
[split]
block = 3
buffer = 0
[nodata]
optical_band = 1
topo_band = -2
alt_topo_band = 0
[chips]
max_topo_nodata_share = 0.9
min_glacier_share = 0.125
[shards]
train = 5
dev = 2
"""
NEW = """[label]
stem = "stem.tif"
min_votes = 4  # of 7
[convert]
[grid]
reject_ids_path = "ids.txt"
exclude_polygons_path = "away.gpkg"
min_outline_share = 0.25
[year]
max_gap_years = 7
[split]
block_partitions = 3
buffer_partitions = 0
[nodata]
legacy.optical_band = 1
legacy.topo_band = -2
legacy.alt_topo_band = 0
[chips]
min_valid_topo_share = 0.1
min_glacier_share = 0.125
[shards]
n_train = 5
n_dev = 2
"""


def write(directory, text):
    directory.mkdir(exist_ok=True)
    path = directory / "alps.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def test_old_and_new_names_give_the_same_settings(tmp_path):
    assert set(re.findall(r"^(\w+) =", OLD, re.MULTILINE)) >= {key for keys in OLD_KEYS.values() for key in keys}

    old, new = (load_region(write(tmp_path / name, text)).settings for name, text in (("old", OLD), ("new", NEW)))

    assert old == new
    assert (old.label.min_votes, old.chips.min_valid_topo_share, old.shards.n_train) == (4, 0.1, 5)


def test_a_file_with_old_names_is_told_of_once(tmp_path, caplog):
    path = write(tmp_path, OLD)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            load_region(path)

    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"warning: {path}: convert.exclude has no effect any more; label.threshold is now")
    assert "label.threshold is now label.min_votes = 4; " in told
    assert "split.block is now split.block_partitions; " in told
    assert told.endswith(f"; gcn upgrade-config {path} rewrites the file")


def test_new_names_are_not_told_of(tmp_path, caplog):
    load_region(write(tmp_path, NEW))

    assert not caplog.records


@pytest.mark.parametrize(
    ("section", "both"),
    [
        ("split", "block = 3\nblock_partitions = 3"),
        ("nodata", "topo_band = -2\nlegacy.topo_band = -2"),
        ("grid", "min_glacier_share = 0.0\nmin_outline_share = 0.0"),
    ],
)
def test_a_key_under_both_names_is_refused(tmp_path, section, both):
    path = write(tmp_path, f'[label]\nstem = "s.tif"\n[{section}]\n{both}\n')

    with pytest.raises(ConfigError, match="are both given"):
        load_region(path)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("label.min_votes", '[label]\nstem = "s.tif"\nthreshold = "many"'),
        ("label.min_votes", '[label]\nstem = "s.tif"\nthreshold = true'),
        ("label.min_votes", '[label]\nstem = "s.tif"\nthreshold = 2.5'),
        ("chips.min_valid_topo_share", '[label]\nstem = "s.tif"\n[chips]\nmax_topo_nodata_share = 1.5'),
        ("chips.min_valid_topo_share", '[label]\nstem = "s.tif"\n[chips]\nmax_topo_nodata_share = [1]'),
        ("split", 'split = 3\n[label]\nstem = "s.tif"'),
    ],
)
def test_a_wrong_value_under_an_old_name_is_refused(tmp_path, section, text):
    path = tmp_path / "alps.toml"
    path.write_text(text.partition("[")[0] + HEAD + text[text.index("[") :], encoding="utf-8")

    with pytest.raises(ConfigError, match=re.escape(section)):
        load_region(path)


@pytest.mark.parametrize("written", ["3", '"3"', "3.0"])
def test_a_whole_number_counts_however_it_is_written(tmp_path, written):
    path = write(tmp_path, f'[label]\nstem = "s.tif"\nthreshold = {written}\n')

    assert load_region(path).settings.label.min_votes == 4


def test_python_warns_and_understands():
    with pytest.warns(DeprecationWarning, match=r"split\.block is now split\.block_partitions") as caught:
        settings = SplitSettings(block=2)
    assert caught[0].filename == __file__
    assert settings.block_partitions == 2
    with pytest.warns(DeprecationWarning, match="block_partitions"):
        assert settings.block == 2
    with pytest.warns(DeprecationWarning, match="min_votes"):
        assert LabelSettings(stem="s.tif").threshold == 3
    with pytest.warns(DeprecationWarning, match=r"legacy\.topo_band"):
        assert NodataSettings(topo_band=-1).legacy.topo_band == -1
    with pytest.warns(DeprecationWarning, match=r"legacy\.topo_band"):
        assert NodataSettings().topo_band == -3
    with pytest.raises(AttributeError):
        _ = settings.blocks
    with pytest.raises(ValidationError, match="both given"):
        SplitSettings(block=2, block_partitions=2)


def test_no_second_topographic_band_can_be_said(tmp_path):
    text = '[label]\nstem = "s.tif"\n[nodata.legacy]\nalt_topo_band = "none"\n'

    assert load_region(write(tmp_path, text)).settings.nodata.legacy.alt_topo_band is None


@given(st.integers(1, 9), st.integers(1, 300), st.data())
def test_the_share_of_valid_topography_decides_as_that_of_missing_did(digits, edge, data):
    pixels = edge**2
    share = data.draw(st.integers(0, 10**digits)) / 10**digits
    edges = {0, pixels, int(share * pixels), int(share * pixels) + 1, int(share * pixels) - 1}
    missing = np.array([count for count in (*edges, data.draw(st.integers(0, pixels))) if 0 <= count <= pixels])

    least = ChipSettings(min_valid_topo_share=OLD_KEYS["chips"]["max_topo_nodata_share"].now(share))

    assert ((pixels - missing) / pixels < least.min_valid_topo_share).tolist() == (missing / pixels > share).tolist()


def test_what_an_earlier_version_recorded_is_current_under_the_new_names():
    old, new = tomllib.loads(OLD), tomllib.loads(NEW)
    dotted = {"label.threshold": 3, "grid.reject_ids": None, "convert.exclude": [], "grid.size": 256}
    assert renew(old)[0] == new
    assert renew_recorded(old) == new
    assert renew_recorded(dotted) == {"label.min_votes": 4, "grid.reject_ids_path": None, "grid.size": 256}

    record = Record({"task": "gcn.X", "settings": old}, 1, "0")

    assert record.is_of(fingerprint_of({"task": "gcn.X", "settings": new}))
    assert record.is_of(record.fingerprint)
    assert not record.is_of(fingerprint_of({"task": "gcn.X", "settings": new | {"split": {}}}))
    assert not Record({"files": {}}, 1, "0").is_of(record.fingerprint)


class TestCommand:
    def test_a_file_is_rewritten_with_its_comments_and_order(self, tmp_path, gcn):
        path = write(tmp_path, OLD)
        path.chmod(0o640)

        code, shown, _ = gcn("upgrade-config", path)

        assert code == 0
        assert path.read_text(encoding="utf-8") == HEAD + NEW
        assert path.stat().st_mode & 0o777 == 0o640
        assert "-threshold = 3  # of 7\n+min_votes = 4  # of 7\n" in shown
        assert sorted(tmp_path.iterdir()) == [path]
        assert gcn("upgrade-config", "--check", path) == (0, f"{path}: no old keys\n", "")

    def test_check_changes_nothing_and_ends_with_1(self, tmp_path, gcn):
        path = write(tmp_path, OLD)

        assert gcn("upgrade-config", "--check", path)[0] == 1
        assert path.read_text(encoding="utf-8") == HEAD + OLD

    def test_windows_line_ends_and_keys_in_comments_are_kept(self, tmp_path, gcn):
        path = tmp_path / "alps.toml"
        text = '[label] # votes\r\nstem = "s.tif"\r\n#threshold = 5\r\n# threshold = what matters\r\n'
        path.write_bytes(("split.block = 2\r\n" + HEAD + text).encode())

        gcn("upgrade-config", path)

        text = text.replace("#threshold = 5", "#min_votes = 6")
        assert path.read_bytes().decode() == "split.block_partitions = 2\r\n" + HEAD + text

    @pytest.mark.parametrize(
        "text",
        [
            "split = { block = 3 }\n" + HEAD,
            HEAD + '[convert]\nexclude = [\n  "rmse",\n]\n',
            HEAD + '[split]\n"block" = 3\n',
        ],
    )
    def test_what_is_not_understood_is_left_as_it_is(self, tmp_path, gcn, text):
        path = tmp_path / "alps.toml"
        path.write_text(text, encoding="utf-8")

        code, _, told = gcn("upgrade-config", path)

        assert (code, "cannot be rewritten" in told) == (1, True)
        assert path.read_text(encoding="utf-8") == text

    def test_only_keys_that_are_not_understood_are_to_be_changed_by_hand(self, tmp_path, gcn):
        path = write(tmp_path, '[year]\nmax_gap = 3\n[split]\n"block" = 3\n')

        told = gcn("upgrade-config", path)[2]

        assert "cannot be rewritten: split.block is now split.block_partitions" in told
        assert "max_gap" not in told

    @pytest.mark.parametrize("value", ['"ids#1.txt"', "'ids#1.txt'", '"a\\"b#.txt"'])
    def test_a_number_sign_in_a_text_begins_no_comment(self, tmp_path, gcn, value):
        path = write(tmp_path, f"[grid]\nreject_ids = {value}  # of 2024's list\n")

        assert gcn("upgrade-config", path)[0] == 0
        assert path.read_text(encoding="utf-8").endswith(f"reject_ids_path = {value}  # of 2024's list\n")

    def test_a_file_that_is_no_toml_is_named(self, tmp_path, gcn):
        (tmp_path / "alps.toml").write_text("a = \n", encoding="utf-8")

        assert "not a TOML file" in gcn("upgrade-config", tmp_path / "alps.toml")[2]
        assert "there is no file none.toml" in gcn("upgrade-config", tmp_path / "none.toml")[2]

    def test_files_that_are_delivered_have_no_old_keys(self, gcn):
        root = Path(__file__).parents[2]
        files = [*root.glob("config/*.toml"), *root.glob("examples/*.toml"), root / "benchmarks/bench.toml"]

        code, shown, _ = gcn("upgrade-config", "--check", *files)

        assert (code, shown.count("no old keys")) == (0, len(files))


@pytest.mark.parametrize("table", ['"none"', "1", "[0, 1]"])
def test_a_table_that_is_none_is_refused_by_its_name(tmp_path, table):
    path = tmp_path / "alps.toml"
    path.write_text(f"{HEAD}[label]\nstem = 's.tif'\n[nodata]\nlegacy = {table}\ntopo_band = -2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nodata\.legacy: give a table of keys, not ") as refused:
        load_region(path)
    assert "old name" not in str(refused.value)


def test_what_is_no_toml_is_told_once_and_without_old_names(tmp_path):
    path = tmp_path / "alps.toml"
    path.write_text(f"{HEAD}[label]\nmin_votes = 4\nmin_votes = 5\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not a TOML file") as refused:
        load_region(path)
    assert str(refused.value).count("fix:") == 1
    assert "old name" not in str(refused.value)


def test_old_keys_of_a_file_are_told_once_however_it_is_named(tmp_path, monkeypatch, caplog):
    path = tmp_path / "alps.toml"
    path.write_text(HEAD + OLD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING, logger="gcn_luigi"):
        load_region(Path("alps.toml"))
        load_region(path)
    assert len(caplog.records) == 1
