"""Converting without a codec's library says what to install: no shard is damaged, none has to be built again."""

import sys

import pytest

from gcn_luigi.errors import ConfigError
from gcn_luigi.io.shard import codecs
from gcn_luigi.read.validate import validate
from gcn_luigi.stages.dataset.convert import convert_dataset
from tests.unit.io.shard.test_shard_bytes import frames_held

LIBRARIES = {"bitshuffle-lz4": "hdf5plugin", "zstd": "zstandard"}


def take_away(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    codecs.bitshuffle_library.cache_clear()


@pytest.fixture(autouse=True)
def with_libraries_again():
    yield
    codecs.bitshuffle_library.cache_clear()


def silent(*_):
    pass


@pytest.mark.parametrize(("codec", "library"), LIBRARIES.items())
@pytest.mark.parametrize("is_source", [False, True], ids=["into it", "out of it"])
def test_a_codec_without_its_library_is_named_with_what_to_install(
    small_output, tmp_path, monkeypatch, codec, library, is_source
):
    source, wanted = small_output, codec
    if is_source:
        pytest.importorskip(library)
        source, wanted = tmp_path / "source", "deflate"
        convert_dataset(small_output, source, None, codec, silent)
    take_away(library, monkeypatch)
    monkeypatch.setattr(
        "gcn_luigi.stages.dataset.convert.convert_shard", lambda *_: pytest.fail("work was begun in vain")
    )

    with pytest.raises(ConfigError, match=f"the codec {codec} is not installed") as caught:
        convert_dataset(source, tmp_path / "out", None, wanted, silent)

    assert "pip install" in caught.value.fix
    assert "codecs" in caught.value.fix
    assert "damaged" not in str(caught.value)
    assert "anew" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert [path for path in tmp_path.iterdir() if path != tmp_path / "source"] == []


def test_a_library_that_is_missed_only_in_a_shard_is_told_as_what_it_is(small_output, tmp_path, monkeypatch):
    # As when a dataset says another codec than its shards have.
    pytest.importorskip("zstandard")
    convert_dataset(small_output, tmp_path / "source", None, "zstd", silent)
    take_away("zstandard", monkeypatch)
    monkeypatch.setattr("gcn_luigi.stages.dataset.convert.check_codec", silent)

    with pytest.raises(ConfigError, match="the codec zstd is not installed"):
        convert_dataset(tmp_path / "source", tmp_path / "out", "windows", "deflate", silent)


def test_a_dataset_converted_while_frames_are_held_has_the_bytes_of_the_build(small_output, tmp_path):
    with frames_held():
        convert_dataset(small_output, tmp_path / "out", "chips", "deflate", silent)

    shards = sorted((small_output / "shards").glob("*.h5"))
    assert len(shards) > 1
    for path in shards:
        assert (tmp_path / "out" / "shards" / path.name).read_bytes() == path.read_bytes()
    assert list(validate(tmp_path / "out", deep=True)) == []
