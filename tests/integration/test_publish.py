"""`gcn publish`: archives that a reader opens and checks without the rest of the dataset."""

import errno
import hashlib
import io
import json
import shutil
import tarfile
from unittest import mock

import h5py
import numpy as np
import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError, PublishError, ShardError
from gcn_luigi.read.archive import packing, unpacking
from gcn_luigi.read.archive.packing import files_to_pack, pack
from gcn_luigi.read.archive.zenodo import deposit


def quiet(_message, _share):
    """Say nothing."""


@pytest.fixture
def copy(small_output, tmp_path):
    """Return a copy of the finished dataset that a test may damage."""
    return shutil.copytree(small_output, tmp_path / "copy" / "tiny")


def test_a_tar_file_is_valid_and_has_the_digests_of_the_whole_dataset(gcn, small_output, tmp_path):
    code, out, err = gcn("publish", small_output, tmp_path / "tiny.tar")
    _, of_archive, _ = gcn("validate", "--deep", tmp_path / "tiny.tar", "--json")
    _, of_whole, _ = gcn("validate", small_output, "--json")

    (archive,), (whole,) = json.loads(of_archive), json.loads(of_whole)
    assert (code, err) == (0, "")
    assert archive["sound"]
    assert archive["directory"] == str(tmp_path / "tiny.tar")
    for key in ("digest", "data_digest", "chips"):
        assert archive[key] == whole[key]
    assert archive["digest"] in out
    assert archive["files"] < whole["files"]
    assert not [note for note in archive["notes"] if "SHA256SUMS" in note]


def test_equal_datasets_give_equal_archives_and_nothing_in_them_tells_of_the_machine(copy, small_output, tmp_path):
    pack(small_output, tmp_path / "one.tar", quiet)
    pack(copy, tmp_path / "two.tar", quiet)

    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        members = tar.getmembers()
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname, one.mode) for one in members} == {
        (0, 0, 0, "", "", 0o644)
    }
    assert all(one.name.startswith("tiny/") for one in members)


def test_a_directory_holds_what_a_reader_needs_and_its_checksums(gcn, small_output, tmp_path):
    code, _, _ = gcn("publish", small_output, tmp_path / "part")

    assert code == 0
    lines = (tmp_path / "part/SHA256SUMS").read_text().splitlines()
    sums = {name: sha for sha, name in (line.split("  ", 1) for line in lines)}
    files = [path for path in (tmp_path / "part").rglob("*") if path.is_file()]
    found = {path.relative_to(tmp_path / "part").as_posix() for path in files}
    assert set(sums) == found - {"SHA256SUMS"}
    for name, sha in sums.items():
        assert hashlib.sha256((tmp_path / "part" / name).read_bytes()).hexdigest() == sha
    assert not [name for name in found if name.endswith((".vrt", ".tif")) or name.startswith(".gcn")]
    assert {"index.qml", "catalog.qml"} <= found
    assert "label.qml" not in found

    whole, part = gcn_luigi.open_dataset(small_output), gcn_luigi.open_dataset(tmp_path / "part")
    for one, other in zip(whole.chips("dev"), part.chips("dev"), strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["label"], other["label"])
    assert part.statistics == whole.statistics
    assert part.lattice == whole.lattice
    with h5py.File(next((tmp_path / "part/shards").glob("*.h5"))) as shard:
        assert shard["image"].shape[0] > 0


def test_a_part_can_be_exported_and_packed_again(gcn, small_output, tmp_path):
    pack(small_output, tmp_path / "part", quiet)

    assert gcn("export", tmp_path / "part", tmp_path / "tifs", "--sample", 1)[0] == 0
    pack(small_output, tmp_path / "one.tar", quiet)
    pack(tmp_path / "part", tmp_path / "two.tar", quiet)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_pages_come_on_request_only_and_must_be_as_they_were_made(copy):
    dataset = gcn_luigi.open_dataset(copy)

    without, with_pages = (files_to_pack(dataset, with_pages=wanted) for wanted in (False, True))

    assert [file.path for file in with_pages if file not in without] == ["report.html"]
    with (copy / "report.html").open("a") as page:
        page.write("<!-- changed -->")
    with pytest.raises(ShardError, match="no quality page"):
        files_to_pack(dataset, with_pages=True)


def test_an_unsound_dataset_is_not_packed(gcn, copy, tmp_path):
    index = copy / "index.parquet"
    index.write_bytes(index.read_bytes()[:-1])

    code, _, err = gcn("publish", copy, tmp_path / "tiny.tar")

    assert code == 1
    assert "index.parquet" in err
    assert list(tmp_path.iterdir()) == [copy.parent]


@pytest.mark.parametrize("name", ["tiny.tar", "tiny"])
@pytest.mark.parametrize("change", [b"", b"longer", None])
def test_a_file_that_changes_while_it_is_packed_leaves_no_archive(copy, tmp_path, monkeypatch, name, change):
    shard = min((copy / "shards").iterdir())
    sound = shard.read_bytes()
    other = {b"": sound[:-7], None: bytes([*sound[:-1], sound[-1] ^ 1])}.get(change, sound + b"longer")
    monkeypatch.setattr(packing, "validate", lambda _: shard.write_bytes(other) and ())

    with pytest.raises(ShardError, match="changed while it was packed"):
        pack(copy, tmp_path / name, quiet)

    assert list(tmp_path.iterdir()) == [copy.parent]


def test_nothing_is_overwritten_and_nothing_is_packed_into_itself(small_output, tmp_path):
    (tmp_path / "tiny.tar").write_text("mine")

    with pytest.raises(ConfigError, match="already exists"):
        pack(small_output, tmp_path / "tiny.tar", quiet)
    with pytest.raises(ConfigError, match="inside the dataset"):
        pack(small_output, small_output / "tiny.tar", quiet)

    assert (tmp_path / "tiny.tar").read_text() == "mine"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.zip", "A.TAR", "a.tar.zst"])
def test_a_name_of_another_kind_of_archive_is_refused(small_output, tmp_path, name):
    with pytest.raises(ConfigError, match="is no kind of archive that is written") as refused:
        pack(small_output, tmp_path / name, lambda *_: None)

    assert "name ending in .tar" in refused.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_missing_dataset_is_named(gcn, tmp_path):
    code, _, err = gcn("publish", tmp_path / "none", tmp_path / "tiny.tar")

    assert code == 1
    assert "no finished dataset here" in err


class TestUnpacking:
    def tar(self, path, *members):
        with tarfile.open(path, "w") as tar:
            for member, text in members:
                info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
        return path

    @pytest.mark.parametrize("name", ["tiny/../../out", "/out", "../out"])
    def test_no_file_leads_out_of_the_directory(self, gcn, tmp_path, name):
        code, _, err = gcn("validate", self.tar(tmp_path / "a.tar", ("tiny/dataset.json", b"{}"), (name, b"x")))

        assert code == 1
        assert "leads out of its directory" in err

    def test_no_link_is_followed(self, gcn, tmp_path):
        link = tarfile.TarInfo("tiny/dataset.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"

        code, _, err = gcn("validate", self.tar(tmp_path / "a.tar", (link, b"")))

        assert code == 1
        assert "is a link" in err

    @pytest.mark.parametrize(
        ("names", "told"),
        [
            (("tiny/dataset.json", "tiny/dataset.json"), "twice, or within a file"),
            (("tiny", "tiny/dataset.json"), "twice, or within a file"),
            (("tiny/" + "a" * 300,), "cannot be unpacked: File name too long"),
        ],
    )
    def test_names_that_cannot_be_files_are_named(self, gcn, tmp_path, names, told):
        code, _, err = gcn("validate", self.tar(tmp_path / "a.tar", *((name, b"x") for name in names)))

        assert code == 1
        assert told in err
        assert "bug" not in err

    def test_a_file_that_is_mostly_holes_is_not_written_out(self, gcn, tmp_path):
        size = "9000000000000000"
        # How GNU tar 1.0 stores a file of which almost nothing is there.
        header = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": size}
        info = tarfile.TarInfo("tiny/dataset.json")
        info.pax_headers = {**header, "GNU.sparse.name": info.name}
        with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            holes = f"1\n{size}\n0\n".encode().ljust(512, b"\0")
            info.size = len(holes)
            tar.addfile(info, io.BytesIO(holes))

        code, _, err = gcn("validate", tmp_path / "a.tar")

        assert code == 1
        assert "has holes" in err

    def test_a_disk_that_fills_up_is_named(self, tmp_path, monkeypatch):
        archive = self.tar(tmp_path / "a.tar", ("tiny/dataset.json", b"{}"))
        full = mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
        monkeypatch.setattr(unpacking.shutil, "copyfileobj", full)

        with pytest.raises(PublishError, match="No space left") as refused, unpacking.opened(archive):
            pass

        assert "TMPDIR" in refused.value.fix

    def test_an_archive_of_something_else_is_refused(self, gcn, tmp_path):
        code, _, err = gcn("validate", self.tar(tmp_path / "a.tar", ("photos/one.jpg", b"x")))

        assert code == 1
        assert "exactly one dataset" in err

    def test_a_cut_archive_is_damaged(self, gcn, small_output, tmp_path):
        pack(small_output, tmp_path / "tiny.tar", quiet)
        with (tmp_path / "tiny.tar").open("r+b") as tar:
            tar.truncate(tar.seek(0, 2) // 2)

        code, _, err = gcn("validate", tmp_path / "tiny.tar")

        assert code == 1
        assert "the archive is damaged" in err

    def test_a_changed_byte_is_found(self, gcn, small_output, tmp_path):
        pack(small_output, tmp_path / "tiny.tar", quiet)
        with tarfile.open(tmp_path / "tiny.tar") as tar:
            place = tar.getmember("tiny/statistics.json").offset_data
        with (tmp_path / "tiny.tar").open("r+b") as tar:
            tar.seek(place + 20)
            tar.write(b"#")

        code, _, err = gcn("validate", tmp_path / "tiny.tar")

        assert code == 1
        assert "statistics.json: its bytes changed" in err

    def test_without_room_it_says_where_to_find_some(self, tmp_path, monkeypatch):
        archive = self.tar(tmp_path / "a.tar", ("tiny/dataset.json", b"{}"))
        monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))

        with pytest.raises(PublishError, match="are free"), unpacking.opened(archive):
            pass


class TestZenodo:
    def test_its_record_holds_plain_files_and_the_archive_is_valid(self, gcn, small_output, tmp_path):
        code, _, err = gcn("publish", small_output, tmp_path / "record", "--for", "zenodo", "--with-pages")

        assert code == 0
        metadata = json.loads((tmp_path / "record/zenodo.json").read_text(encoding="utf-8"))["metadata"]
        assert metadata["title"] == "An imaginary piece of Alaska"
        assert ("creators" in metadata) == ("Zenodo asks for creators" not in err)
        names = {path.name for path in (tmp_path / "record").iterdir()}
        assert {"tiny.tar", "README.md", "report.html", "zenodo.json", "SHA256SUMS"} <= names
        assert all(path.is_file() for path in (tmp_path / "record").iterdir())
        assert gcn("validate", tmp_path / "record/tiny.tar")[0] == 0

    def test_metadata_are_those_that_were_given_and_no_others(self):
        configuration = {
            "dataset": {
                "title": "Chips of the Juneau Icefield",
                "description": "Ice & debris",
                "creators": [
                    {"family_names": "Arendt", "given_names": "A.", "orcid": "0000-0002-1825-0097"},
                    {"name": "Park Survey", "affiliation": "NPS"},
                ],
                "licence": "CC-BY-4.0",
                "doi": "10.5281/zenodo.1234567",
            },
            "sources": {"outlines": {"title": "RGI", "doi": "10.5067/f6jmovy5navz"}, "topo": {"title": "DEM"}},
        }

        content, notes = deposit(configuration, "ab12")

        said = content["metadata"]
        assert notes == []
        assert said["creators"] == [
            {"name": "Arendt, A.", "orcid": "0000-0002-1825-0097"},
            {"name": "Park Survey", "affiliation": "NPS"},
        ]
        assert said["license"] == "cc-by-4.0"
        assert said["description"] == "<p>Ice &amp; debris</p><p>Digest of gcn_luigi: ab12</p>"
        assert [one["identifier"] for one in said["related_identifiers"]] == ["10.5067/f6jmovy5navz"]
        assert set(said) == {
            "upload_type", "title", "description", "creators", "license", "doi", "related_identifiers"
        }  # fmt: skip

    def test_what_nobody_said_is_asked_for(self):
        content, notes = deposit({}, "ab12")

        assert notes == [
            "Zenodo asks for title, creators, licence and description: set them in [dataset], or fill them in"
        ]
        assert set(content["metadata"]) == {"upload_type", "description"}

    def test_a_directory_is_needed(self, gcn, small_output, tmp_path):
        code, _, err = gcn("publish", small_output, tmp_path / "a.tar", "--for", "zenodo")

        assert code == 2
        assert "writes a directory" in err


def test_the_directory_for_a_hub_is_plain_and_has_a_card(gcn, small_output, tmp_path):
    code, out, _ = gcn("publish", small_output, tmp_path / "hub", "--for", "huggingface", "--json")

    said = json.loads(out)
    assert code == 0
    # Its README.md begins with the header of a dataset card.
    assert said["notes"] == []
    assert (tmp_path / "hub/README.md").read_text(encoding="utf-8").startswith("---\n")
    assert gcn("validate", tmp_path / "hub")[0] == 0
