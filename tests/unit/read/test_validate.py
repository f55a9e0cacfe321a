"""Whatever is done to a finished dataset is found and named; what does no harm is only told."""

import json
import shutil
from dataclasses import replace

import geopandas as gpd
import h5py
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from gcn_luigi.cli import cli
from gcn_luigi.errors import ShardError
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.manifest import manifest_text
from gcn_luigi.io.publish.paths import DatasetPaths
from gcn_luigi.io.publish.sidecar import Record, read_record
from gcn_luigi.io.shard.format import write_footer
from gcn_luigi.io.tables import write_geoparquet
from gcn_luigi.read.checks.files import differences
from gcn_luigi.read.dataset import Dataset
from gcn_luigi.read.validate import unlisted, unrecorded, validate

TRAIN, DEV = "train-00000-of-00002.h5", "dev-00000-of-00001.h5"

pytestmark = pytest.mark.fault


@pytest.fixture
def copied(small_output, tmp_path):
    return shutil.copytree(small_output, tmp_path / "copy")


def edit_manifest(root, edit):
    path = root / "dataset.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(manifest_text(content), encoding="utf-8")


def rewrite_manifest(root):
    """Make the manifest agree with the files as they are now, so that only deeper checks can find them."""

    def update(content):
        for entry in content["files"]:
            path = root / entry["path"]
            entry.update(size=path.stat().st_size, sha256=digest(path))

    edit_manifest(root, update)


def edit_table(root, name, edit):
    """Replace a table by what `edit` makes of it, and list it anew."""
    table = edit(gpd.read_parquet(root / name))
    write_geoparquet(root / name, table)
    rewrite_manifest(root)


def edit_shard(root, name, edit):
    with h5py.File(root / "shards" / name, "r+") as file:
        edit(file)
    write_footer(root / "shards" / name)
    rewrite_manifest(root)


def at(table, position, column, value):
    changed = table.copy()
    changed.loc[changed.index[position], column] = value
    return changed


def test_a_sound_dataset_has_no_problem(small_output):
    assert list(validate(small_output)) == []
    assert list(unlisted(small_output)) == []


def test_writing_the_manifest_again_changes_nothing(copied):
    rewrite_manifest(copied)

    assert list(validate(copied)) == []


def test_where_there_is_no_dataset_there_is_nothing_to_validate(tmp_path):
    for check in (validate, unlisted, unrecorded):
        with pytest.raises(ShardError, match="no finished dataset"):
            list(check(tmp_path))


class TestFiles:
    def test_a_flipped_bit_anywhere_is_found(self, copied):
        for path in sorted(p for p in copied.rglob("*") if p.is_file() and ".gcn" not in p.parts):
            whole = path.read_bytes()
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
            name = path.relative_to(copied).as_posix()
            told = "its text is not what was written" if name == "dataset.json" else "its bytes changed"

            (problem,) = validate(copied)

            assert problem.startswith(f"{name}: {told}")
            path.write_bytes(whole)

    def test_every_missing_or_cut_file_is_named_at_once(self, copied):
        (copied / "shards" / DEV).unlink()
        cut = (copied / "label.tif").read_bytes()[:-7]
        (copied / "label.tif").write_bytes(cut)
        (copied / "split.json").unlink()
        (copied / "split.json").mkdir()

        assert list(validate(copied)) == [
            f"label.tif: {len(cut)} bytes instead of {len(cut) + 7}",
            f"shards/{DEV}: missing",
            "split.json: missing",
        ]

    @pytest.mark.parametrize("path", ["../x", "shards/../../x", "/etc/hostname"])
    def test_a_path_that_leaves_the_dataset_is_refused(self, copied, path):
        (copied.parent / "x").write_bytes(b"elsewhere")
        edit_manifest(copied, lambda content: content["files"].append({"path": path, "size": 9, "sha256": "0"}))

        assert list(validate(copied)) == [f"{path}: is outside the dataset"]

    def test_a_link_that_leaves_the_dataset_is_refused(self, copied):
        shutil.move(copied / "label.tif", copied.parent / "label.tif")
        (copied / "label.tif").symlink_to(copied.parent / "label.tif")

        assert list(validate(copied)) == ["label.tif: is outside the dataset"]

    @pytest.mark.parametrize(
        "files",
        [
            None,
            {},
            "x",
            [1],
            [{}],
            [{"path": "label.tif"}],
            [{"path": "label.tif", "size": "1", "sha256": ""}],
            [["a"]],
        ],
        ids=str,
    )
    def test_a_list_of_files_that_is_none_is_told(self, copied, files):
        edit_manifest(copied, lambda content: content.update(files=files))

        (problem,) = validate(copied)

        assert problem.startswith("dataset.json: its list of files")

    @pytest.mark.parametrize("name", ["index.parquet", "catalog.parquet", "statistics.json"])
    def test_a_list_without_what_every_dataset_has_is_told(self, copied, name):
        def drop(content):
            content["files"] = [entry for entry in content["files"] if entry["path"] != name]

        edit_manifest(copied, drop)

        assert list(validate(copied)) == [f"dataset.json: does not list {name}"]


class TestIndex:
    def test_a_row_too_many_is_found(self, copied):
        edit_table(copied, "index.parquet", lambda table: table.iloc[[*range(len(table)), 0]])

        problems = list(validate(copied))

        assert any("occurs twice" in problem for problem in problems)
        assert any(problem.startswith(f"{TRAIN}: ") and "the index lists" in problem for problem in problems)

    def test_a_row_too_few_is_found(self, copied):
        edit_table(copied, "index.parquet", lambda table: table.iloc[1:])

        (problem,) = validate(copied)

        assert problem.startswith(f"{TRAIN}: ")

    @pytest.mark.parametrize("keep", [[], ["shard_row"]], ids=["whole rows", "all but their number"])
    def test_swapped_rows_are_found(self, copied, keep):
        def swap(table):
            order = [1, 0, *range(2, len(table))]
            swapped = table.iloc[order].reset_index(drop=True)
            for column in keep:
                swapped[column] = table[column]
            return swapped

        edit_table(copied, "index.parquet", swap)

        problems = list(validate(copied))

        assert problems
        assert all(problem.startswith(f"{TRAIN}: ") for problem in problems)

    def test_a_chip_id_that_stands_twice_is_named(self, copied, small_output):
        ids = gpd.read_parquet(small_output / "index.parquet")["chip_id"]
        edit_table(copied, "index.parquet", lambda table: at(table, 3, "chip_id", ids[0]))

        assert list(validate(copied)) == [
            f"index.parquet: {ids[0]} occurs twice",
            f"{TRAIN}: chip_id of row 3 differs from the index",
        ]

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("row", 1),
            ("col", 1),
            ("year_gap", 99),
            ("share_none", 0.123),
            ("share_debris", 0.123),
            ("share_ice", 0.123),
            ("valid_label", 0.123),
            ("valid_optical", 0.123),
            ("valid_topo", 0.123),
            ("valid_share", 0.123),
        ],
    )
    def test_every_column_is_compared_with_the_shard(self, copied, column, value):
        edit_table(copied, "index.parquet", lambda table: at(table, 2, column, np.array(value, table[column].dtype)))

        assert list(validate(copied)) == [f"{TRAIN}: {column} of row 2 differs from the index"]

    @pytest.mark.parametrize("shift", [30.0, 0.001])
    def test_a_box_that_moved_is_found(self, copied, shift):
        def move(table):
            return at(table, 2, "geometry", shapely.affinity.translate(table.geometry.iloc[2], shift, 0))

        edit_table(copied, "index.parquet", move)

        assert list(validate(copied)) == [f"{TRAIN}: the georeference of a chip differs from the index"]

    @pytest.mark.parametrize("column", ["left", "bottom", "right", "top"])
    def test_an_edge_that_moved_is_found(self, copied, column):
        edit_table(copied, "index.parquet", lambda table: table.assign(**{column: table[column] + 0.001}))

        problems = list(validate(copied))

        assert f"{TRAIN}: the georeference of a chip differs from the index" in problems

    @pytest.mark.parametrize("name", ["other.h5", "../shards/" + TRAIN])
    def test_a_shard_that_is_not_of_the_dataset_is_named(self, copied, name):
        edit_table(copied, "index.parquet", lambda table: table.assign(shard=table["shard"].replace(TRAIN, name)))

        assert f"index.parquet: shard {name} is not part of the dataset" in list(validate(copied))

    def test_a_split_that_changed_is_found(self, copied):
        edit_table(copied, "index.parquet", lambda table: at(table, 0, "split", "dev"))

        problems = list(validate(copied))

        assert f"{TRAIN}: a shard of train, but the index gives another split" in problems
        assert any("does not agree with its partition" in problem for problem in problems)

    def test_a_table_that_is_none_is_told(self, copied):
        (copied / "index.parquet").write_bytes(b"PAR1 not really PAR1")
        rewrite_manifest(copied)

        (problem,) = validate(copied)

        assert problem.startswith("the dataset cannot be read to the end")
        assert "index.parquet" in problem

    def test_a_table_without_a_column_is_told(self, copied):
        edit_table(copied, "index.parquet", lambda table: table.drop(columns="shard"))

        (problem,) = validate(copied)

        assert "shard" in problem


class TestCatalog:
    @pytest.mark.parametrize(
        ("column", "value"), [("split", "dev"), ("used", False), ("year", 1999)], ids=["split", "used", "year"]
    )
    def test_a_partition_that_changed_is_found_by_its_chips(self, copied, small_output, column, value):
        index = gpd.read_parquet(small_output / "index.parquet")
        name = index["partition"].iloc[0]

        def change(table):
            return at(table, int(np.flatnonzero(table["partition"] == name)[0]), column, value)

        edit_table(copied, "catalog.parquet", change)

        assert list(validate(copied)) == [
            f"index.parquet: {chip_id} does not agree with its partition in catalog.parquet"
            for chip_id in index["chip_id"][index["partition"] == name]
        ]

    @pytest.mark.parametrize("edit", [lambda t: t.iloc[0:0], lambda t: t.iloc[[*range(len(t)), *range(len(t))]]])
    def test_a_partition_that_is_gone_or_there_twice_is_told(self, copied, edit):
        edit_table(copied, "catalog.parquet", edit)

        (problem,) = validate(copied)

        assert problem.startswith("the dataset cannot be read to the end")


class TestShards:
    @pytest.mark.parametrize("position", [2, 5], ids=["left", "top"])
    @pytest.mark.parametrize("shift", [30.0, 3.0, 0.001])
    def test_a_georeference_that_moved_is_found(self, copied, position, shift):
        def move(file):
            file["transform"][1, position] += shift

        edit_shard(copied, TRAIN, move)

        assert list(validate(copied)) == [f"{TRAIN}: the georeference of a chip differs from the index"]

    def test_a_pixel_size_that_changed_is_found(self, copied):
        edit_shard(copied, DEV, lambda file: file["transform"].__setitem__((0, 0), 30.5))

        assert list(validate(copied)) == [f"{DEV}: the georeference of a chip differs from the index"]

    @pytest.mark.parametrize(
        ("edit", "told"),
        [
            (lambda file: file.attrs.__setitem__("format", "gcn_luigi chips 9"), "not a shard of the format"),
            (lambda file: file.attrs.__delitem__("format"), "not a shard of the format"),
            (lambda file: file.attrs.__delitem__("complete"), "never finished"),
            (lambda file: file.attrs.__setitem__("chip_size", 33), "does not fit chips of 33 px"),
            (lambda file: file.attrs.__setitem__("split", "dev"), "a shard of dev"),
            (lambda file: file["image"].resize(1, axis=0), "is lost"),
            (lambda file: file.__delitem__("flags"), "flags"),
            (lambda file: file.__delitem__("chip_id"), "chip_id"),
        ],
        ids=["format", "no format", "unfinished", "size", "split", "fewer images", "no flags", "no ids"],
    )
    def test_a_shard_that_is_another_one_is_named(self, copied, edit, told):
        edit_shard(copied, TRAIN, edit)

        problems = list(validate(copied))

        assert any(told in problem for problem in problems)
        assert all(problem.startswith(f"{TRAIN}: ") for problem in problems)

    def test_what_is_no_hdf5_is_named(self, copied):
        (copied / "shards" / DEV).write_bytes(b"<html>")
        rewrite_manifest(copied)

        (problem,) = validate(copied)

        assert problem.startswith(f"{DEV}: cannot be read: ")

    def test_shards_that_changed_places_are_found(self, copied):
        first, second = copied / "shards" / TRAIN, copied / "shards" / TRAIN.replace("00000", "00001", 1)
        first.rename(copied / "x")
        second.rename(first)
        (copied / "x").rename(second)
        rewrite_manifest(copied)

        problems = list(validate(copied))

        assert {problem.split(":")[0] for problem in problems} == {first.name, second.name}


class TestUnlisted:
    def test_shards_of_an_earlier_configuration_are_told_and_do_no_harm(self, copied):
        old = [f"train-{number:05d}-of-00004.h5" for number in range(4)]
        for name in old:
            shutil.copy(copied / "shards" / TRAIN, copied / "shards" / name)
        (copied / ".gcn" / "shards" / f"{old[0]}.json").touch()
        (copied / "mosaics" / ".0a1b2c3d.optical_ndsi_2004.vrt").touch()
        (copied / "notes.txt").touch()

        assert list(validate(copied)) == []
        assert list(unlisted(copied)) == [
            "mosaics: not part of the dataset: .0a1b2c3d.optical_ndsi_2004.vrt",
            ".: not part of the dataset: notes.txt",
            f"shards: not part of the dataset: {', '.join(old[:3])} and 1 more",
        ]

    def test_the_command_tells_them_and_succeeds(self, copied):
        (copied / "shards" / "train-00000-of-00004.h5").touch()

        result = CliRunner().invoke(cli, ["validate", str(copied)])

        assert result.exit_code == 0
        assert result.stdout.startswith("sound: ")
        assert result.stderr == "note: shards: not part of the dataset: train-00000-of-00004.h5\n"


class TestGridPage:
    @pytest.fixture
    def paged(self, copied):
        """The page of grid sizes, with its sidecar."""
        page = DatasetPaths(copied).grids
        page.write_text("grids", encoding="utf-8")
        sidecar = DatasetPaths(copied).sidecar(page)
        record = Record({"task": "gcn.GridReport"}, page.stat().st_size, digest(page))
        sidecar.write_text(record.to_json(), encoding="utf-8")
        return copied

    def test_a_whole_one_is_no_foreign_file(self, paged):
        assert list(validate(paged, deep=True)) == []
        assert list(unlisted(paged)) == []

    def test_a_changed_one_is_and_a_deep_look_names_it(self, paged):
        (paged / "grids.html").write_text("GRIDS", encoding="utf-8")

        assert list(unlisted(paged)) == [".: not part of the dataset: grids.html"]
        assert [problem for problem in validate(paged, deep=True) if problem.startswith("grids.html: ")]

    def test_one_without_a_sidecar_is_foreign(self, paged):
        DatasetPaths(paged).sidecar(paged / "grids.html").unlink()

        assert list(unlisted(paged)) == [".: not part of the dataset: grids.html"]


class TestPartitionFiles:
    @pytest.fixture
    def listed(self, copied):
        """Two partition files and the list of them."""
        place = copied / "partitions"
        place.mkdir()
        lines = ["split,partition,year,file,size,sha256"]
        for name in ("a.tif", "b.tif"):
            (place / name).write_bytes(name.encode() * 50)
            lines.append(f"train,{name[0]},2004,{name},{50 * len(name)},{digest(place / name)}")
        (place / "partitions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return copied

    def test_whole_ones_are_part_of_the_dataset(self, listed):
        assert list(validate(listed)) == []
        assert list(unlisted(listed)) == []

    def test_a_lost_a_cut_and_a_changed_one_are_named(self, listed):
        place = listed / "partitions"
        (place / "a.tif").write_bytes(b"x" * 250)
        (place / "b.tif").write_bytes(b"x")

        assert list(validate(listed)) == [
            "partitions/a.tif: its bytes changed (SHA-256 differs)",
            "partitions/b.tif: 1 bytes instead of 250",
        ]
        (place / "b.tif").unlink()
        assert list(validate(listed))[1] == "partitions/b.tif: missing"

    @pytest.mark.parametrize("text", ["a,b\n1,2\n", "file,size,sha256\nx,many,0\n", "file,size\nx\n"])
    def test_a_broken_list_is_named(self, listed, text):
        (listed / "partitions" / "partitions.csv").write_text(text, encoding="utf-8")

        (problem,) = validate(listed)

        assert problem.startswith("partitions/partitions.csv: cannot be read")


def edit_sidecar(root, name, **changes):
    """Change what a sidecar says, its text still one that is written."""
    path = root / ".gcn" / f"{name}.json"
    path.write_text(replace(read_record(path), **changes).to_json(), encoding="utf-8")


class TestSidecars:
    def test_those_of_a_finished_dataset_are_sound_and_complete(self, small_output):
        assert list(validate(small_output, deep=True)) == []
        assert list(unrecorded(small_output)) == []

    def test_only_a_deep_look_reads_them(self, copied):
        (copied / ".gcn" / "label.tif.json").write_text("{}")

        assert list(validate(copied)) == []
        assert list(validate(copied, deep=True)) == [".gcn/label.tif.json: its text is not what was written"]

    @pytest.mark.parametrize("changes", [{"size": 1}, {"sha256": "0" * 64}], ids=str)
    def test_one_that_says_otherwise_than_the_manifest_is_named(self, copied, changes):
        edit_sidecar(copied, "shards/" + DEV, **changes)

        assert list(validate(copied, deep=True)) == [
            f".gcn/shards/{DEV}.json: gives another size or digest of shards/{DEV} than dataset.json"
        ]

    def test_a_file_that_both_list_is_told_once(self, copied):
        content = (copied / "label.tif").read_bytes()
        (copied / "label.tif").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

        assert list(validate(copied, deep=True)) == ["label.tif: its bytes changed (SHA-256 differs)"]

    @pytest.fixture
    def stack(self, copied):
        """A file made on request, of which its sidecar alone speaks."""
        shutil.copy(copied / "label.tif", copied / "stacks" / "2004.tif")
        shutil.copy(copied / ".gcn" / "label.tif.json", copied / ".gcn" / "stacks" / "2004.tif.json")
        return copied / "stacks" / "2004.tif"

    def test_a_file_that_no_list_names_is_compared_with_its_sidecar(self, copied, stack):
        assert list(validate(copied, deep=True)) == []
        content = stack.read_bytes()
        by = "; according to .gcn/stacks/2004.tif.json"

        stack.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert list(validate(copied, deep=True)) == [f"stacks/2004.tif: its bytes changed (SHA-256 differs){by}"]
        stack.write_bytes(content[:-1])
        assert list(validate(copied, deep=True)) == [
            f"stacks/2004.tif: {len(content) - 1} bytes instead of {len(content)}{by}"
        ]

    def test_a_sidecar_without_its_file_is_told(self, copied, stack):
        stack.unlink()

        (problem,) = validate(copied, deep=True)

        assert problem.startswith("stacks/2004.tif: missing, but .gcn/stacks/2004.tif.json exists")

    def test_a_temporary_that_an_interrupted_build_left_is_no_sidecar(self, copied):
        (copied / ".gcn" / ".0a1b2c3d.label.tif.json").write_text("{")

        assert list(validate(copied, deep=True)) == []

    def test_a_copy_without_them_is_sound_and_told(self, copied):
        shutil.rmtree(copied / ".gcn")
        files = json.loads((copied / "dataset.json").read_text())["files"]

        result = CliRunner().invoke(cli, ["validate", "--deep", str(copied)])

        assert list(validate(copied, deep=True)) == []
        assert result.exit_code == 0
        assert result.stderr == (
            f"note: .gcn: without a sidecar: CITATION.cff, CITATION.md, README.md and {len(files) - 2} more\n"
        )

    def test_where_the_manifest_is_damaged_sidecars_still_tell_what_else_is(self, copied):
        for name in ("dataset.json", "label.tif", f"shards/{TRAIN}"):
            content = bytearray((copied / name).read_bytes())
            content[len(content) // 2] ^= 1
            (copied / name).write_bytes(content)

        problems = list(validate(copied, deep=True))

        assert len(list(validate(copied))) == 1
        assert [problem.split(":")[0] for problem in problems] == [
            "dataset.json", "dataset.json", "label.tif", f"shards/{TRAIN}", TRAIN,
        ]  # fmt: skip


class TestOnly:
    def test_nothing_else_is_looked_at(self, copied):
        for name in ("label.tif", "split.json"):
            (copied / name).unlink()

        assert list(validate(copied, deep=True, only=["label.tif"])) == ["label.tif: missing"]
        assert list(validate(copied, deep=True, only=["index.gpkg", "shards/" + DEV])) == []
        assert list(validate(copied, only=[])) == []

    def test_a_sidecar_is_looked_at_with_its_file_or_by_its_own_name(self, copied):
        (copied / ".gcn" / "label.tif.json").write_text("{}")

        for name in ("label.tif", ".gcn/label.tif.json"):
            (problem,) = validate(copied, deep=True, only=[name])
            assert problem.startswith(".gcn/label.tif.json: ")


class TestSameness:
    def test_a_copy_is_the_same(self, small_output, copied):
        assert list(differences(Dataset(small_output), Dataset(copied))) == []

    def test_files_and_keys_that_differ_are_named(self, small_output, copied):
        def change(content):
            content["files"] = [
                entry | {"sha256": "0" * 64} if entry["path"] == "label.tif" else entry
                for entry in content["files"]
                if entry["path"] != "split.json"
            ] + [{"path": "new.tif", "size": 1, "sha256": "0"}]
            content["versions"]["numpy"] = "0"
            content["digest"] = "old"

        edit_manifest(copied, change)

        assert list(differences(Dataset(small_output), Dataset(copied))) == [
            "label.tif: other bytes",
            "new.tif: only in the second",
            "split.json: only in the first",
            "dataset.json: another versions",
        ]

    def test_the_command_tells_that_all_are_the_same(self, small_output, copied):
        digest_ = json.loads((small_output / "dataset.json").read_text())["digest"]

        result = CliRunner().invoke(cli, ["validate", *[str(small_output)] * 2, str(copied)])

        assert (result.exit_code, result.stderr) == (0, "")
        lines = result.stdout.splitlines()
        for line, place in zip(lines[:3], (small_output, small_output, copied), strict=True):
            assert line.startswith(f"{place}: sound: ")
        assert all(line.endswith(f" dev chips, digest {digest_}") for line in lines[:3])
        assert lines[3:] == [f"the same: {small_output} and {place}" for place in (small_output, copied)]

    def test_the_command_fails_where_they_are_not(self, small_output, copied):
        edit_manifest(copied, lambda content: content["versions"].update(numpy="0"))

        result = CliRunner().invoke(cli, ["validate", str(small_output), str(copied)])

        assert result.exit_code == 1
        assert result.stderr.splitlines() == [
            f"{copied}: dataset.json: another versions",
            f"not the same: {small_output} and {copied}, 1 difference(s)",
        ]

    def test_each_is_checked_though_the_first_is_damaged(self, small_output, copied):
        (copied / "label.tif").unlink()

        result = CliRunner().invoke(cli, ["validate", str(copied), str(small_output)])

        assert result.exit_code == 1
        assert result.stderr.splitlines() == [
            f"{copied}: label.tif: missing",
            f"{copied}: 1 problem(s). To rebuild only the damaged files: gcn run --deep REGION",
        ]
        assert result.stdout.startswith(f"{small_output}: sound: ")
