"""A target exists only when its file was published whole under the fingerprint of now."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from gcn_luigi.errors import InputError, PublishError
from gcn_luigi.io.publish.atomic import digest
from gcn_luigi.io.publish.sidecar import Record, fingerprint_of
from gcn_luigi.tasks.target import PublishedFile


class Source:
    """Parts that a test can change."""

    def __init__(self, **parts):
        self.parts = parts

    def __call__(self):
        return self.parts


def make(root, source):
    return PublishedFile(root / "shards" / "a.h5", root / ".gcn" / "shards" / "a.h5.json", source)


def publish(target, content=b"whole"):
    with target.atomic_write() as temporary:
        temporary.write_bytes(content)


@pytest.fixture
def source():
    return Source(step=32, sources={"a.tif": [10, 20]})


@pytest.fixture
def target(tmp_path, source):
    return make(tmp_path, source)


class TestFingerprint:
    def test_the_order_of_keys_does_not_count(self):
        one = {"a": 1, "b": {"c": [1, 2], "d": None}}
        other = {"b": {"d": None, "c": [1, 2]}, "a": 1}

        assert fingerprint_of(one) == fingerprint_of(other)

    @pytest.mark.parametrize(
        "other",
        [{"a": 2}, {"a": "1"}, {"a": 1.5}, {"a": None}, {"b": 1}, {"a": 1, "b": 1}, {"a": [1]}, {}],
        ids=str,
    )
    def test_any_other_content_gives_another_one(self, other):
        assert fingerprint_of(other) != fingerprint_of({"a": 1})

    def test_the_order_of_a_list_counts(self):
        assert fingerprint_of({"a": [1, 2]}) != fingerprint_of({"a": [2, 1]})

    def test_it_is_the_same_in_every_process(self):
        parts = {"bands": ["red", "nir"], "scale": 0.1, "place": "Kahiltna Süd"}
        imported = "import sys; from gcn_luigi.io.publish.sidecar import fingerprint_of"
        script = f"{imported}; sys.stdout.write(fingerprint_of({parts!r}))"
        command = [sys.executable, "-W", "ignore", "-c", script]

        other = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77"})

        assert other.stdout == fingerprint_of(parts)

    def test_what_json_cannot_say_is_refused(self):
        with pytest.raises(ValueError, match="JSON"):
            fingerprint_of({"a": float("nan")})


class TestExists:
    def test_only_after_it_was_published(self, target):
        assert not target.exists()

        publish(target)

        assert target.exists()
        assert str(target) == str(target.path)

    def test_not_while_it_is_written(self, target):
        with target.atomic_write() as temporary:
            temporary.write_bytes(b"whole")
            assert not target.exists()

    def test_not_when_what_it_was_made_from_has_changed(self, target, source):
        publish(target)
        source.parts = {**source.parts, "step": 16}

        assert not target.exists()
        assert not target.matches("0" * 24)

    def test_again_when_the_change_is_taken_back(self, target, source):
        publish(target)
        before = source.parts
        source.parts = {**before, "step": 16}
        assert not target.exists()

        source.parts = dict(reversed(before.items()))

        assert target.exists()

    @pytest.mark.fault
    def test_not_when_the_file_is_lost(self, target):
        publish(target)
        target.path.unlink()

        assert not target.exists()

    @pytest.mark.fault
    @pytest.mark.parametrize("size", [0, 4, 6])
    def test_not_when_the_file_has_another_size(self, target, size):
        publish(target, b"whole")
        target.path.write_bytes(b"x" * size)

        assert not target.exists()

    @pytest.mark.fault
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe\x00", b"{}", b'{"size": 5}', b'{"fingerprint": null}']
    )
    def test_not_with_a_sidecar_that_says_nothing(self, target, content):
        publish(target)
        target.sidecar.write_bytes(content)

        assert not target.exists()

    @pytest.mark.fault
    def test_not_with_a_sidecar_of_which_any_digit_is_another_one(self, target):
        publish(target)
        text = target.sidecar.read_text()

        for place, letter in enumerate(text):
            if letter.isdigit():
                target.sidecar.write_text(f"{text[:place]}{(int(letter) + 1) % 10}{text[place + 1 :]}")
                assert target.record() is None, text[place - 20 : place + 5]

    @pytest.mark.fault
    def test_not_with_a_sidecar_that_cannot_be_read(self, target):
        publish(target)
        target.sidecar.unlink()
        target.sidecar.mkdir()

        assert target.record() is None
        assert not target.exists()


class TestPublishing:
    def test_the_sidecar_says_all_about_the_file(self, target, source):
        publish(target, b"abc")

        record = json.loads(target.sidecar.read_text(encoding="utf-8"))
        assert target.record() == Record(source.parts, 3, digest(target.path))
        said = {
            "fingerprint": fingerprint_of(source.parts),
            "size": 3,
            "sha256": digest(target.path),
            "parts": source.parts,
        }
        assert record == {**said, "seal": fingerprint_of(said)}

    def test_equal_content_gives_equal_sidecars(self, tmp_path, source):
        one, other = make(tmp_path / "1", source), make(tmp_path / "2", source)
        publish(one)
        source.parts = dict(reversed(source.parts.items()))
        publish(other)

        assert one.sidecar.read_bytes() == other.sidecar.read_bytes()

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"sources": {"a.tif": [10, 21]}}, "a.tif"),
            ({"step": 16}, "16"),
            ({"sources": {}}, "a.tif"),
            ({"sources": {"a.tif": {"a.tif": [10, 20], "a.tif.msk": [1, 2]}}}, "a.tif.msk"),
        ],
    )
    def test_what_changes_meanwhile_is_named_and_nothing_is_published(self, target, source, change, named):
        publish(target, b"older")
        before = source.parts

        def write_meanwhile():
            with target.atomic_write() as temporary:
                temporary.write_bytes(b"made from the old source")
                source.parts = {**source.parts, **change}

        with pytest.raises(InputError, match=r"changed while a\.h5 was made") as caught:
            write_meanwhile()

        assert named in caught.value.where
        assert target.path.read_bytes() == b"older"
        source.parts = before
        assert target.exists()

    @pytest.mark.fault
    @pytest.mark.parametrize("failure", [RuntimeError(), KeyboardInterrupt(), OSError(28, "No space left on device")])
    def test_a_failed_write_leaves_the_older_file_complete(self, target, failure):
        publish(target, b"older")

        def write_half():
            with target.atomic_write() as temporary:
                temporary.write_bytes(b"half")
                raise failure

        with pytest.raises((type(failure), PublishError)):
            write_half()

        assert target.path.read_bytes() == b"older"
        assert target.exists()
        assert [path.name for path in target.path.parent.iterdir()] == ["a.h5"]

    @pytest.mark.fault
    def test_the_old_sidecar_goes_first_then_the_file_comes_then_the_new_sidecar(self, target, source, monkeypatch):
        publish(target, b"older")
        source.parts = {**source.parts, "step": 16}
        seen, rename = [], type(target.path).replace

        def replace(temporary, final):
            seen.append((final.name, target.sidecar.exists(), target.path.read_bytes()))
            return rename(temporary, final)

        monkeypatch.setattr(type(target.path), "replace", replace)

        publish(target, b"newer")

        assert seen == [("a.h5", False, b"older"), ("a.h5.json", False, b"newer")]
        assert target.exists()

    @pytest.mark.fault
    def test_a_crash_between_file_and_sidecar_is_never_taken_for_the_older_file(self, target, source, monkeypatch):
        publish(target, b"older")
        before, rename = source.parts, type(target.path).replace
        source.parts = {**before, "step": 16}

        def replace(temporary, final):
            if final == target.sidecar:
                raise KeyboardInterrupt
            return rename(temporary, final)

        monkeypatch.setattr(type(target.path), "replace", replace)

        with pytest.raises(KeyboardInterrupt):
            publish(target, b"newer")

        assert target.path.read_bytes() == b"newer"
        assert not target.exists()
        # The same size as the older one: only the order of things tells that this is not it.
        source.parts = before
        assert not target.exists()

    def test_of_two_writers_each_leaves_a_complete_file(self, tmp_path, source):
        first, second = make(tmp_path, source), make(tmp_path, source)

        with first.atomic_write() as one:
            one.write_bytes(b"same")
            with second.atomic_write() as two:
                two.write_bytes(b"same")
            assert first.exists()

        assert first.exists()
        assert second.exists()
        assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.h5", "a.h5.json"]

    def test_what_another_build_publishes_meanwhile_stays_complete(self, tmp_path, source, monkeypatch):
        first, second = make(tmp_path, source), make(tmp_path, source)
        publish(first, b"same")
        seen, rename = [], type(first.path).replace

        def replace(temporary, final):
            seen.append(first.exists())
            return rename(temporary, final)

        monkeypatch.setattr(type(first.path), "replace", replace)

        publish(second, b"same")

        assert seen == [True, True]


class TestIntact:
    """Whether the bytes are those that were published."""

    def test_an_untouched_file_is_not_read(self, target, monkeypatch):
        publish(target)
        monkeypatch.setattr("gcn_luigi.tasks.target.digest", lambda _: pytest.fail("read"))

        assert target.exists()

    @pytest.mark.fault
    def test_a_flipped_bit_is_noticed_also_under_the_old_time(self, target):
        publish(target, b"whole")
        before = target.path.stat()
        target.path.write_bytes(b"whole"[:-1] + b"d")
        os.utime(target.path, ns=(before.st_atime_ns, before.st_mtime_ns))

        assert target.path.stat().st_mtime_ns == before.st_mtime_ns
        assert not target.exists()

    def test_a_copy_is_read_once_and_known_from_then_on(self, target, source, tmp_path, monkeypatch):
        publish(target)
        shutil.copytree(tmp_path, tmp_path / "copy")
        copied = make(tmp_path / "copy", source)
        assert copied.exists()
        monkeypatch.setattr("gcn_luigi.tasks.target.digest", lambda _: pytest.fail("read again"))

        assert copied.exists()

    @pytest.mark.fault
    def test_a_lost_bit_that_changed_no_time_is_found_by_a_deep_look(self, target):
        publish(target, b"whole")
        target.path.write_bytes(b"whale")
        # As a disk does that loses a bit: the inode says nothing.
        changed = target.path.stat().st_ctime_ns
        os.utime(target.sidecar, ns=(changed, changed))

        assert target.exists()
        assert not target.is_intact(target.record(), deep=True)

    @pytest.mark.fault
    def test_a_file_replaced_by_another_build_in_the_last_moment_is_not_vouched_for(self, target, monkeypatch):
        rename = type(target.path).replace

        def replace(temporary, final):
            rename(temporary, final)
            if final == target.path:
                other = final.with_name("other")
                other.write_bytes(b"other")
                rename(other, final)

        monkeypatch.setattr(type(target.path), "replace", replace)
        publish(target, b"whole")

        assert target.record().size == len(b"other")
        assert not target.exists()


class TestContent:
    """What a reader's fingerprint holds of a file that it reads."""

    def test_of_pixels_it_is_the_bytes(self, target, source):
        publish(target, b"same")
        first = target.content()
        source.parts = {**source.parts, "step": 16}
        publish(target, b"same")

        assert target.content() == first
        publish(target, b"other")
        assert target.content() != first

    def test_of_a_file_that_names_others_it_is_what_they_were_but_not_where(self, tmp_path, source):
        target = PublishedFile(tmp_path / "a.vrt", tmp_path / "a.vrt.json", source, by_reference=True)
        source.parts = {"sources": {"a.tif": [1, 2]}, "place": "../input"}
        publish(target, b"one")
        first = target.content()
        source.parts = {"sources": {"a.tif": [1, 2]}, "place": "../../input"}
        publish(target, b"two")

        assert target.content() == first
        source.parts = {"sources": {"a.tif": [1, 3]}, "place": "../../input"}
        publish(target, b"two")
        assert target.content() != first

    def test_of_nothing_it_is_nothing(self, target):
        assert target.content() is None
