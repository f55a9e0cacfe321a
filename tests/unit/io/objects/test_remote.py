"""Stores and web addresses in the place of directories are refused by name, and nothing is made."""

import pytest

import gcn_luigi
from gcn_luigi.errors import ConfigError
from gcn_luigi.io.objects.remote import refuse_remote
from gcn_luigi.tasks import Dataset

REMOTE = [
    "s3://bucket/x",
    "S3://bucket/x",
    "gs://bucket/x",
    "az://container/x",
    "abfss://c@account.dfs.core.windows.net/x",
    "http://example.org/x",
    "https://example.org/x",
    "hdfs://node/x",
    "new+scheme://x",
    "file:///data/x",
    "s3:/bucket/x",
    "/vsis3/bucket/x",
    "/vsicurl/https://example.org/x",
    "/vsizip/x.zip",
    "/vsimem/x",
    "/vsigs_streaming/x",
]
COMMANDS = [
    ("run", "demo", "--output"),
    ("plan", "demo", "--output"),
    ("status", "demo", "--output"),
    ("clean", "demo", "--output"),
    ("grids", "demo", "--output"),
    ("report", "demo", "--output"),
    ("why", "demo", "--output"),
    ("demo", "--output"),
    ("doctor", "--output"),
    ("check-split", "demo", "--output"),
    ("export", "dataset"),
    ("convert", "dataset"),
    ("run", "demo", "--data-root"),
    ("plan", "demo", "--data-root"),
    ("run", "demo", "--config-dir"),
    ("validate",),
]


@pytest.mark.parametrize("text", REMOTE)
def test_what_is_on_no_file_system_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        refuse_remote(text, where="--output")

    assert repr(text) in caught.value.what
    assert caught.value.where == "--output"


@pytest.mark.parametrize(
    "text",
    [
        "output",
        "/data/x",
        "C:/data",
        "c:\\data",
        "a:b/c",
        "s3/bucket",
        "./s3",
        "/vsi",
        "/data/vsis3/x",
        "",
        "x//y",
        "~",
    ],
)
def test_what_is_on_one_is_taken(text):
    refuse_remote(text, where="--output")


@pytest.mark.parametrize(
    ("text", "is_source", "told"),
    [
        ("s3://bucket/x", False, "`aws s3 sync DIRECTORY s3://bucket/x`"),
        ("s3://bucket/x", True, "`aws s3 sync s3://bucket/x DIRECTORY`"),
        ("/vsigs/bucket/x", False, "`gcloud storage rsync -r DIRECTORY STORE`"),
        ("hdfs://node/x", True, "`rclone copy hdfs://node/x DIRECTORY`"),
        ("https://example.org/x", True, "`wget --recursive --no-parent https://example.org/x`"),
        ("file:///data/x", False, "write only the path: /data/x"),
    ],
)
def test_the_way_out_is_told(text, is_source, told):
    with pytest.raises(ConfigError) as caught:
        refuse_remote(text, where="--output", is_source=is_source)

    assert told in caught.value.fix


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("place", ["s3://bucket/x", "/vsis3/bucket/x"])
def test_every_command_refuses_it_and_makes_nothing(gcn, tmp_path, monkeypatch, command, place):
    monkeypatch.chdir(tmp_path)

    code, _, err = gcn(*command, place)

    assert code == 1
    assert f"{place!r} is not on one" in err
    assert f"where: {command[-1] if command[-1].startswith('--') else ''}" in err
    assert "fix:   " in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["output_root", "data_root", "config_dir"])
def test_the_luigi_command_refuses_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="is not on one") as caught:
        Dataset(region="demo", **{name: "s3://bucket/x"})

    assert caught.value.where == f"--{name.replace('_', '-')}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/vsis3/bucket/demo", "az://container/demo", "s3:/bucket/demo"])
def test_a_dataset_is_read_from_stores_that_are_known(place):
    with pytest.raises(ConfigError) as caught:
        gcn_luigi.open_dataset(place)

    assert caught.value.where == "the place of the dataset"


def test_a_path_that_python_read_as_ascii_is_told_as_such():
    with pytest.raises(ConfigError, match="letters beyond ASCII") as caught:
        Dataset(region="demo", output_root=b"/data/\xc3\xa9".decode("ascii", "surrogateescape"))

    assert "LC_ALL=C.UTF-8" in caught.value.fix
