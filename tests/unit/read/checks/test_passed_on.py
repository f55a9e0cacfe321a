"""Datasets that were passed on or made elsewhere: parts of them, and what stays the same of them."""

import json
import shutil
import subprocess
from hashlib import sha256

import pytest
from click.testing import CliRunner

import gcn_luigi
from gcn_luigi.cli import cli
from gcn_luigi.io.publish.manifest import manifest_text
from gcn_luigi.read.checks.files import differences
from gcn_luigi.read.validate import absent, validate


def _invoke(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)])


@pytest.fixture
def part(small_output, tmp_path):
    """Return what somebody unpacks after `gcn publish` packed it."""
    assert _invoke("publish", small_output, tmp_path / "tiny.tar").exit_code == 0
    subprocess.run(["tar", "-xf", "tiny.tar"], cwd=tmp_path, check=True)
    return tmp_path / "tiny"


@pytest.fixture
def copied(small_output, tmp_path):
    return shutil.copytree(small_output, tmp_path / "copied")


def _edit_manifest(root, edit):
    path = root / "dataset.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(manifest_text(content), encoding="utf-8")


def _data_digest_by_hand(root):
    """Return the digest as docs/dataset.md defines it, from the files themselves."""
    names = ["catalog.parquet", "index.parquet", "statistics.json"]
    names += [f"shards/{path.name}" for path in (root / "shards").glob("*.h5")]
    listed = [[name, sha256((root / name).read_bytes()).hexdigest()] for name in sorted(names)]
    return sha256(json.dumps(listed, separators=(",", ":")).encode()).hexdigest()


class TestPart:
    @pytest.mark.parametrize("deep", [[], ["--deep"]])
    def test_what_is_packed_is_sound_and_has_the_digest_of_the_whole(self, small_output, part, deep):
        whole = json.loads((small_output / "dataset.json").read_text(encoding="utf-8"))
        n_here = sum((part / entry["path"]).is_file() for entry in whole["files"])

        result = _invoke("validate", *deep, part)

        assert (result.exit_code, n_here < len(whole["files"])) == (0, True), result.output
        assert f"sound: {n_here} files, " in result.stdout
        assert f"digest {whole['digest']}" in result.stdout
        (note,) = result.stderr.splitlines()
        assert f"without {len(whole['files']) - n_here} of {len(whole['files'])} files" in note
        assert "the same: " in _invoke("validate", small_output, part).stdout

    def test_it_can_be_read_measured_and_exported(self, small_output, part, tmp_path):
        made, whole = gcn_luigi.open_dataset(part), gcn_luigi.open_dataset(small_output)

        assert (made.chips("dev")[1]["image"] == whole.chips("dev")[1]["image"]).all()
        assert made.lattice == whole.lattice
        assert _invoke("check-split", part).exit_code == 0
        assert _invoke("export", part, tmp_path / "exported", "--sample", "1").exit_code == 0

    @pytest.mark.parametrize("name", ["index.parquet", "catalog.parquet", "statistics.json", "shards"])
    def test_without_a_file_that_chips_are_read_from_it_is_not_sound(self, part, name):
        shutil.rmtree(part / name) if (part / name).is_dir() else (part / name).unlink()

        result = _invoke("validate", part)

        assert result.exit_code == 1
        assert f"{name}" in result.stderr
        assert "missing" in result.stderr

    @pytest.mark.parametrize("name", ["README.md", "inventory.json", "index.parquet"])
    def test_a_file_of_it_that_changed_is_noticed(self, part, name):
        path = part / name
        path.write_bytes(path.read_bytes()[:-1] + b"?")

        assert [problem for problem in validate(part) if problem.startswith(f"{name}: its bytes changed")]

    def test_a_link_that_leads_nowhere_is_no_file_left_out(self, part):
        (part / "label.tif").symlink_to("nowhere.tif")

        assert list(validate(part)) == ["label.tif: missing"]

    def test_a_dataset_that_can_be_built_on_lacks_what_it_lacks(self, copied):
        (copied / "label.tif").unlink()

        assert list(absent(copied)) == []
        assert list(validate(copied)) == ["label.tif: missing"]


class TestDataDigest:
    def test_it_covers_what_the_documentation_says(self, small_output):
        said = json.loads((small_output / "dataset.json").read_text(encoding="utf-8"))["data_digest"]

        assert said == _data_digest_by_hand(small_output) == gcn_luigi.open_dataset(small_output).data_digest
        assert f"digest {said}" in _invoke("validate", small_output).stdout
        (report,) = json.loads(_invoke("validate", "--json", small_output).stdout)
        assert report["data_digest"] == said

    def test_datasets_that_differ_in_paths_of_virtual_rasters_alone_are_told_to_hold_the_same_data(
        self, small_output, copied
    ):
        moved = min((copied / "stacks").glob("*.vrt"))
        moved.write_text(moved.read_text(encoding="utf-8").replace("../", "../../", 1), encoding="utf-8")
        name = moved.relative_to(copied).as_posix()

        def edit(content):
            entry = next(entry for entry in content["files"] if entry["path"] == name)
            entry.update(size=moved.stat().st_size, sha256=sha256(moved.read_bytes()).hexdigest())

        _edit_manifest(copied, edit)
        one, other = gcn_luigi.open_dataset(small_output), gcn_luigi.open_dataset(copied)
        result = _invoke("validate", small_output, copied)

        assert list(differences(one, other)) == [f"{name}: other bytes"]
        assert one.digest != other.digest
        assert one.data_digest == other.data_digest
        assert result.exit_code == 1
        assert "the same data: " in result.stdout

    @pytest.mark.parametrize(
        "name", ["index.parquet", "catalog.parquet", "statistics.json", "shards/dev-00000-of-00001.h5"]
    )
    def test_other_bytes_of_any_file_that_chips_are_read_from_give_another_one(self, small_output, copied, name):
        def edit(content):
            next(entry for entry in content["files"] if entry["path"] == name)["sha256"] = "0" * 64

        _edit_manifest(copied, edit)

        assert gcn_luigi.open_dataset(copied).data_digest != gcn_luigi.open_dataset(small_output).data_digest

    def test_a_dataset_finished_before_there_was_one_has_it_nevertheless(self, small_output, copied):
        _edit_manifest(copied, lambda content: content.pop("data_digest"))

        assert gcn_luigi.open_dataset(copied).data_digest == gcn_luigi.open_dataset(small_output).data_digest
